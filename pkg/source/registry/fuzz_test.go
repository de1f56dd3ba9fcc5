package registry_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/registry"
)

// shelf is a registry of one root, one child of it and one configuration.
type shelf struct {
	mediaType           string
	root, child, config []byte
	lies                bool
}

func sum(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	last := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	for _, doc := range [][]byte{s.root, s.child, s.config} {
		if sum(doc) != last {
			continue
		}
		w.Header().Set("Content-Type", s.mediaType)
		w.Header().Set("Docker-Content-Digest", last)
		if s.lies {
			doc = append(bytes.Clone(doc), ' ')
		}
		_, _ = w.Write(doc)
		return
	}
	if last != "" { // not the probe of /v2/
		http.NotFound(w, r)
	}
}

// Whatever a registry serves: facts are within their bounds, and are believed
// only of bytes that have the digest that was asked for; what Facts and Content
// say of whether an image can run is the same. CONFIG and CHILD stand for the
// digests of what is served.
func FuzzFacts(f *testing.F) {
	const manifest, index = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
	image1 := `{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"CONFIG","size":2},` +
		`"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"CONFIG","size":5}]}`
	config := `{"architecture":"amd64","os":"linux","created":"2026-01-01T00:00:00Z","config":{"Cmd":["/app"],"Labels":{"tier":"prod","secret":"x"}}}`
	f.Add(manifest, []byte(image1), []byte(`{}`), []byte(config), false)
	f.Add(index, []byte(`{"schemaVersion":2,"manifests":[{"mediaType":"`+manifest+`","digest":"CHILD","size":9,"platform":{"os":"linux","architecture":"arm64"}}]}`), []byte(image1), []byte(config), false)
	f.Add(manifest, []byte(`{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"CONFIG"},"layers":[{"size":-5}]}`), []byte(`null`), []byte(`{}`), false)
	f.Add(manifest, []byte(`{"schemaVersion":2,"config":{"mediaType":"x","digest":"CONFIG"},"layers":[{"size":9223372036854775807},{"size":9223372036854775807}]}`), []byte(`{}`), []byte(`{}`), false)
	f.Add("application/vnd.docker.distribution.manifest.v1+prettyjws", []byte(`{"schemaVersion":1}`), []byte(`{}`), []byte(`{}`), true)
	serving := &shelf{}
	s := httptest.NewServer(serving)
	f.Cleanup(s.Close)
	host := strings.TrimPrefix(s.URL, "http://")
	c := registry.New(plain(host))
	shop := registry.Credentials{Namespace: "shop"}
	f.Fuzz(func(t *testing.T, mediaType string, root, child, config []byte, lies bool) {
		if strings.ContainsAny(mediaType, "\r\n\x00") {
			return // no header can carry it
		}
		child = bytes.ReplaceAll(child, []byte("CONFIG"), []byte(sum(config)))
		root = bytes.ReplaceAll(bytes.ReplaceAll(root, []byte("CONFIG"), []byte(sum(config))), []byte("CHILD"), []byte(sum(child)))
		serving.mediaType, serving.root, serving.child, serving.config, serving.lies = mediaType, root, child, config, lies
		d, err := image.ParseDigest(sum(root))
		if err != nil {
			t.Fatal(err)
		}
		ref := repository(t, host+"/team/app").At(d)
		content, contentErr := c.Content(t.Context(), ref, shop)
		facts, err := c.Facts(t.Context(), ref, shop, []string{"tier"})
		if lies && (err == nil || contentErr == nil) {
			t.Errorf("bytes of another digest are believed: %+v", facts)
		}
		if err != nil {
			return
		}
		i := facts.Image
		if len(i.Platforms) > 32 || len(i.Labels) > 1 || len(i.Base) > 512 || i.Size < 0 || i.Layers < 0 {
			t.Errorf("facts beyond their bounds: %+v", i)
		}
		if i.ClaimedRevision != "" && (!source.ValidRevision(i.ClaimedRevision) || i.RevisionIgnored != "") {
			t.Errorf("revision %q, ignored %q", i.ClaimedRevision, i.RevisionIgnored)
		}
		if len(facts.Missing) > len(facts.Children) {
			t.Errorf("%d children are missing of %d", len(facts.Missing), len(facts.Children))
		}
		if facts.Content.Kind == image.ContentImage {
			if diff := cmp.Diff(content, facts.Content); contentErr != nil || diff != "" {
				t.Errorf("content, error %v (-alone +with facts):\n%s", contentErr, diff)
			}
		}
	})
}
