package fetch_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

const repository = "team/app"

// server is an in-process registry that lies as its tests want it to.
type server struct {
	*httptest.Server
	real http.Handler

	mu   sync.Mutex
	lie  func(w http.ResponseWriter, r *http.Request) bool // true: it answered
	seen []string
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{real: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	lie := s.lie
	if r.Method == http.MethodGet {
		s.seen = append(s.seen, r.URL.Path)
	}
	s.mu.Unlock()
	if lie == nil || !lie(w, r) {
		s.real.ServeHTTP(w, r)
	}
}

// lieAbout answers requests for d with respond; all else is true.
func (s *server) lieAbout(d v1.Hash, respond http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lie = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, d.String()) {
			return false
		}
		respond(w, r)
		return true
	}
}

// got counts the requests for d.
func (s *server) got(d v1.Hash) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, p := range s.seen {
		if strings.HasSuffix(p, d.String()) {
			n++
		}
	}
	return n
}

func (s *server) host() string { return strings.TrimPrefix(s.URL, "http://") }

// push puts what into the registry and returns its digest.
func (s *server) push(t *testing.T, what interface {
	Digest() (v1.Hash, error)
}) v1.Hash {
	t.Helper()
	d := must(what.Digest())(t)
	ref := must(name.NewDigest(s.host() + "/" + repository + "@" + d.String()))(t)
	var err error
	switch what := what.(type) {
	case v1.Image:
		err = remote.Write(ref, what)
	case v1.ImageIndex:
		err = remote.WriteIndex(ref, what)
	}
	if err != nil {
		t.Fatalf("push: %v", err)
	}
	return d
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// impatient is of tests in which a registry fails for good.
var impatient = fetch.Patience{Pause: time.Millisecond}

// setting is what a test changes of a fetch.
type setting struct {
	limits   fetch.Limits
	timeout  time.Duration
	options  fetch.Options
	insecure []string // beside the server itself
	strict   bool     // do not list the server
	chosen   oci.Selection
}

// pull fetches d from s into a new layout.
func (s *server) pull(t *testing.T, d v1.Hash, set setting) (oci.Tree, oci.Layout, error) {
	t.Helper()
	hosts := set.insecure
	if !set.strict {
		hosts = append(hosts, s.host())
	}
	set.options.Trust = must(fetch.LoadTrust("", hosts))(t)
	return pullFrom(t, s.host(), d, set)
}

func pullFrom(t *testing.T, host string, d v1.Hash, set setting) (oci.Tree, oci.Layout, error) {
	t.Helper()
	if set.limits == (fetch.Limits{}) {
		set.limits = fetch.Limits{Bytes: 1 << 20, Unpacked: 1 << 20}
	}
	if set.options.Patience == (fetch.Patience{}) {
		set.options.Patience = impatient
	}
	if set.timeout == 0 {
		set.timeout = 20 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), set.timeout)
	defer cancel()
	repo := must(image.ParseRepository(host + "/" + repository))(t)
	dir := must(oci.CreateLayout(t.TempDir()))(t)
	source, err := fetch.NewRegistry(ctx, repo, set.options)
	if err != nil {
		return oci.Tree{}, dir, err
	}
	fetched, err := fetch.Fetch(ctx, source, must(image.ParseDigest(d.String()))(t), set.chosen, dir, set.limits)
	return fetched.Tree, dir, err
}

// layerOf packs one file of some bytes.
func layerOf(t *testing.T, text string) v1.Layer {
	t.Helper()
	raw := tarOf(t, text)
	return must(tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(raw)), nil
	}))(t)
}

func tarOf(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "file", Mode: 0o644, Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(t *testing.T, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// imageOf builds an image for linux/architecture.
func imageOf(t *testing.T, architecture string, layers ...v1.Layer) v1.Image {
	t.Helper()
	img := must(mutate.AppendLayers(empty.Image, layers...))(t)
	config := must(img.ConfigFile())(t).DeepCopy()
	config.OS, config.Architecture = "linux", architecture
	return must(mutate.ConfigFile(img, config))(t)
}

func indexOf(images ...v1.Image) v1.ImageIndex {
	var index v1.ImageIndex = empty.Index
	for _, i := range images {
		config, err := i.ConfigFile()
		if err != nil {
			panic(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        i,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: config.OS, Architecture: config.Architecture}},
		})
	}
	return index
}

// rawLayer is a layer whose packed bytes are these, whatever they are; it
// claims the diff_id of unpacked.
type rawLayer struct {
	v1.Layer
	unpacked []byte
}

func newRawLayer(packed, unpacked []byte) v1.Layer {
	return rawLayer{Layer: static.NewLayer(packed, types.OCILayer), unpacked: unpacked}
}

func (l rawLayer) DiffID() (v1.Hash, error) {
	h, _, err := v1.SHA256(bytes.NewReader(l.unpacked))
	return h, err
}
