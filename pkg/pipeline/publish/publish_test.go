package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// site is a registry with one image in one repository.
type site struct {
	t       *testing.T
	to      *Registry
	subject oci.Descriptor
}

func newSite(t *testing.T, handler http.Handler) *site {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	host := strings.TrimPrefix(s.URL, "http://")
	repository, err := image.ParseRepository(host + "/team/app")
	if err != nil {
		t.Fatal(err)
	}
	trust, err := fetch.LoadTrust("", []string{host})
	if err != nil {
		t.Fatal(err)
	}
	to, err := NewRegistry(repository, fetch.Options{Trust: trust, Stall: 500 * time.Millisecond, Patience: fetch.Patience{Pause: time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	to.pause = 20 * time.Millisecond
	to.options = append(to.options, remote.WithRetryBackoff(remote.Backoff{Duration: time.Millisecond, Factor: 1, Steps: 3}))
	return &site{t: t, to: to}
}

func (s *site) push() {
	s.t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := remote.Push(s.to.repository.Tag("v1"), img); err != nil {
		s.t.Fatal(err)
	}
	desc, err := remote.Head(s.to.repository.Tag("v1"))
	if err != nil {
		s.t.Fatal(err)
	}
	d, err := image.ParseDigest(desc.Digest.String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.subject = oci.Descriptor{MediaType: string(desc.MediaType), Digest: d, Size: desc.Size}
}

func (s *site) artifact(mediaType, text string) Artifact {
	return Artifact{Subject: s.subject, Type: mediaType, Content: []byte(text), Title: "report"}
}

// listed are the artefacts that a stock client finds beside the image.
func (s *site) listed() []v1.Descriptor {
	s.t.Helper()
	index, err := remote.Referrers(s.to.repository.Digest(s.subject.Digest.String()))
	if err != nil {
		s.t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		s.t.Fatal(err)
	}
	return list.Manifests
}

func quiet(options ...registry.Option) http.Handler {
	return registry.New(append(options, registry.Logger(log.New(io.Discard, "", 0)))...)
}

// A report is found by the image's digest, is of the type that it says, and holds
// what was pushed; the same report is the same artefact.
func TestPush(t *testing.T) {
	for api, handler := range map[string]http.Handler{
		"referrers API": quiet(registry.WithReferrersSupport(true)),
		"fallback tag":  quiet(),
	} {
		t.Run(api, func(t *testing.T) {
			s := newSite(t, handler)
			s.push()
			a := s.artifact("application/sarif+json", `{"version":"2.1.0"}`)
			digest, err := s.to.Push(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := s.to.Push(t.Context(), a); err != nil || again != digest {
				t.Errorf("again it is %s, %v; want %s", again, err, digest)
			}
			listed := s.listed()
			if len(listed) != 1 || listed[0].Digest.String() != digest.String() {
				t.Fatalf("listed are %+v", listed)
			}
			img, err := remote.Image(s.to.repository.Digest(digest.String()))
			if err != nil {
				t.Fatal(err)
			}
			m, err := img.Manifest()
			if err != nil {
				t.Fatal(err)
			}
			if m.Subject == nil || m.Subject.Digest.String() != s.subject.Digest.String() || m.Subject.Size != s.subject.Size || string(m.Subject.MediaType) != s.subject.MediaType {
				t.Errorf("its subject is %+v, want %+v", m.Subject, s.subject)
			}
			raw, err := img.RawManifest()
			if err != nil || !bytes.Contains(raw, []byte(`"artifactType":"application/sarif+json"`)) {
				t.Errorf("its manifest is %s, %v", raw, err)
			}
			layer, err := remote.Layer(s.to.repository.Digest(m.Layers[0].Digest.String()))
			if err != nil {
				t.Fatal(err)
			}
			rc, err := layer.Compressed()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(rc); err != nil || !bytes.Equal(got, a.Content) {
				t.Errorf("its content is %q, %v", got, err)
			}
		})
	}
}

// Who pushes at the same time overwrites others in the fallback tag; all of them
// are in it in the end.
func TestPushesAtOnceAreAllListed(t *testing.T) {
	s := newSite(t, slowly(quiet()))
	s.push()
	s.to.pause = 100 * time.Millisecond // a busy machine takes long from reading to writing, too
	const n = 6
	var want sync.Map
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			d, err := s.to.Push(t.Context(), s.artifact(fmt.Sprintf("application/vnd.example.%d", i), "{}"))
			if err != nil {
				t.Error(err)
			}
			want.Store(d.String(), true)
		})
	}
	wait.Wait()
	listed := s.listed()
	for _, d := range listed {
		want.Delete(d.Digest.String())
	}
	want.Range(func(d, _ any) bool {
		t.Errorf("%v is not listed", d)
		return true
	})
	if len(listed) != n {
		t.Errorf("%d are listed, want %d", len(listed), n)
	}
}

// slowly widens the gap between reading the fallback tag and writing it.
func slowly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/sha256-") {
			timer := time.NewTimer(5 * time.Millisecond)
			select {
			case <-timer.C:
			case <-r.Context().Done():
			}
		}
		next.ServeHTTP(w, r)
	})
}

// In the list under the fallback tag, a newer report takes the place of older
// ones of its kind; what others listed there stays.
func TestNewReportsTakeThePlaceOfOldOnes(t *testing.T) {
	s := newSite(t, quiet())
	s.push()
	var last image.Digest
	other, err := s.to.Push(t.Context(), s.artifact("application/vnd.cyclonedx+json", "{}"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if last, err = s.to.Push(t.Context(), s.artifact("application/sarif+json", fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]bool{}
	for _, d := range s.listed() {
		got[d.Digest.String()] = true
	}
	if diff := cmp.Diff(map[string]bool{other.String(): true, last.String(): true}, got); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
}

// A registry that refuses, fails or stalls ends the push with its reason.
func TestPushFails(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	tests := []struct {
		name   string
		writes http.HandlerFunc
		want   oci.Reason
	}{
		{"no right to push", status(http.StatusForbidden), oci.ReasonDenied},
		{"it fails", status(http.StatusInternalServerError), oci.ReasonUnavailable},
		{"it stalls", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, oci.ReasonTimedOut},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			real := quiet()
			var broken bool
			s := newSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if broken && r.Method != http.MethodGet && r.Method != http.MethodHead {
					tt.writes(w, r)
					return
				}
				real.ServeHTTP(w, r)
			}))
			s.push()
			broken = true
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			d, err := s.to.Push(ctx, s.artifact("application/sarif+json", "{}"))
			var e *oci.Error
			if !errors.As(err, &e) || e.Reason != tt.want || !d.IsZero() {
				t.Errorf("digest %s, error %v; want the reason %s", d, err, tt.want)
			}
		})
	}
}

// A list that somebody overwrites each time is given up.
func TestPushGivesUp(t *testing.T) {
	real := quiet()
	s := newSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/sha256-") {
			w.WriteHeader(http.StatusNotFound) // as if others had removed it
			return
		}
		real.ServeHTTP(w, r)
	}))
	s.push()
	s.to.pause = time.Millisecond
	if _, err := s.to.Push(t.Context(), s.artifact("application/sarif+json", "{}")); err == nil || !strings.Contains(err.Error(), "other writers kept replacing") {
		t.Errorf("error is %v", err)
	}
}

// An artefact that says too little is not pushed.
func TestPushRefuses(t *testing.T) {
	s := newSite(t, quiet())
	if d, err := s.to.Push(t.Context(), s.artifact("application/sarif+json", "{}")); err == nil || !d.IsZero() {
		t.Errorf("an artefact about nothing is %s, %v", d, err)
	}
}

// SBOMs are there of all images or of none.
func TestSBOMs(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sbom"), 0o750); err != nil {
		t.Fatal(err)
	}
	var tree oci.Tree
	for i := range 2 {
		d, err := image.ParseDigest(fmt.Sprintf("sha256:%064x", i+1))
		if err != nil {
			t.Fatal(err)
		}
		tree.Images = append(tree.Images, oci.Image{Manifest: oci.Descriptor{Digest: d}})
	}
	if got, err := SBOMs(dir, tree); err != nil || got != nil {
		t.Errorf("without any, they are %v, %v", got, err)
	}
	for i, img := range tree.Images {
		if err := os.WriteFile(filepath.Join(dir, "sbom", img.Manifest.Digest.Hex()+".cdx.json"), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := SBOMs(dir, tree)
		if (i == 0) != (err != nil) || i == 1 && (len(got) != 2 || got[1].Subject.Digest != img.Manifest.Digest) {
			t.Errorf("with %d of them, they are %v, %v", i+1, got, err)
		}
	}
}
