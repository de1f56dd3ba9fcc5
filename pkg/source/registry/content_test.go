package registry_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source/registry"
)

const (
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
	ociConfig   = "application/vnd.oci.image.config.v1+json"
	tarLayer    = "application/vnd.oci.image.layer.v1.tar"
	inToto      = "application/vnd.in-toto+json"
)

// depot is a registry of documents by digest, apart by manifests and blobs.
type depot struct {
	manifests, blobs map[string][]byte
	contentType      string
	elsewhere        string // where it sends those who ask for blobs
	asked            []string
}

type object map[string]any

func newDepot() *depot {
	return &depot{manifests: map[string][]byte{}, blobs: map[string][]byte{}, contentType: ociManifest}
}

// serve serves the depot, and returns a client and the reference of what is in it.
func (s *depot) serve(t *testing.T, root object) (*registry.Client, image.Reference) {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	d, err := image.ParseDigest(root["digest"].(string))
	if err != nil {
		t.Fatal(err)
	}
	return registry.New(plain(host)), repository(t, host+"/shop/web").At(d)
}

func (s *depot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/")
	last := parts[len(parts)-1]
	from := s.blobs
	switch {
	case r.URL.Path == "/v2/":
		return
	case parts[len(parts)-2] == "manifests":
		from = s.manifests
	case s.elsewhere != "":
		http.Redirect(w, r, s.elsewhere, http.StatusTemporaryRedirect)
		return
	}
	s.asked = append(s.asked, parts[len(parts)-2])
	raw, ok := from[last]
	if !ok {
		http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`, http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", s.contentType)
	_, _ = w.Write(raw)
}

func (s *depot) manifest(t *testing.T, m object) object {
	t.Helper()
	m["schemaVersion"] = 2
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	s.manifests[sum(raw)] = raw
	return object{"mediaType": ociManifest, "digest": sum(raw), "size": len(raw)}
}

func (s *depot) blob(mediaType string, raw []byte) object {
	s.blobs[sum(raw)] = raw
	return object{"mediaType": mediaType, "digest": sum(raw), "size": len(raw)}
}

func (s *depot) index(t *testing.T, children ...object) object {
	t.Helper()
	return s.manifest(t, object{"manifests": children})
}

func (s *depot) image(t *testing.T, os, layerType string, layer []byte) object {
	t.Helper()
	config := s.blob(ociConfig, []byte(`{"os":"`+os+`","architecture":"amd64","rootfs":{"diff_ids":["`+sum(layer)+`"]},"config":{"Labels":{"tier":"`+os+`"}}}`))
	return s.manifest(t, object{"config": config, "layers": []object{s.blob(layerType, layer)}})
}

func (s *depot) artefact(t *testing.T, kind string) object {
	t.Helper()
	return s.manifest(t, object{"config": s.blob("application/vnd.oci.empty.v1+json", []byte("{}")), "layers": []object{}, "artifactType": kind})
}

func on(child object, os, architecture string) object {
	child["platform"] = object{"os": os, "architecture": architecture}
	return child
}

// archive returns a small tar archive.
func archive(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "bin/sh"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What a digest is follows from bytes that have it: no Content-Type exempts, and
// what cannot be read does not.
func TestContentIsDecidedFromBytes(t *testing.T) {
	payload := []byte(`{"critical":{}}`)
	tests := []struct {
		name  string
		root  func(t *testing.T, s *depot) object
		want  image.Runnability
		asked string // requests for manifests and blobs, if it matters
	}{
		{"an image", func(t *testing.T, s *depot) object { return s.image(t, "linux", tarLayer, archive(t)) }, image.HasImageConfig, "manifests blobs"},
		{"a large image", func(t *testing.T, s *depot) object {
			return s.image(t, "linux", tarLayer, make([]byte, 1<<20))
		}, image.HasImageConfig, "manifests"},
		{"an image without an architecture, of odd layers", func(t *testing.T, s *depot) object {
			return s.manifest(t, object{"config": s.blob(ociConfig, []byte(`{"os":"linux"}`)), "layers": []object{s.blob("application/x-whatever", archive(t))}})
		}, image.HasImageConfig, ""},
		{"a signature of cosign 2", func(t *testing.T, s *depot) object {
			return s.image(t, "", "application/vnd.dev.cosign.simplesigning.v1+json", payload)
		}, image.NoArchive, "manifests blobs"},
		{"the same, and blobs are elsewhere", func(t *testing.T, s *depot) object {
			s.elsewhere = "http://storage.example.com/blob"
			return s.image(t, "", "application/vnd.dev.cosign.simplesigning.v1+json", payload)
		}, image.HasImageConfig, ""},
		{"an image served as HTML", func(t *testing.T, s *depot) object {
			s.contentType = "text/html"
			return s.image(t, "linux", tarLayer, archive(t))
		}, image.HasImageConfig, ""},
		{"an index served as an image", func(t *testing.T, s *depot) object {
			s.contentType = ociManifest
			return s.index(t, s.image(t, "linux", tarLayer, archive(t)))
		}, image.HasRunnableChild, ""},
		{"an index with parameters in its type", func(t *testing.T, s *depot) object {
			s.contentType = ociIndex + "; charset=utf-8"
			return s.index(t, s.artefact(t, "a"), s.image(t, "linux", tarLayer, archive(t)))
		}, image.HasRunnableChild, ""},
		{"an artefact served as an index", func(t *testing.T, s *depot) object {
			s.contentType = ociIndex
			return s.artefact(t, "a")
		}, image.NoImageConfig, "manifests"},
		{"an index of images for platforms", func(t *testing.T, s *depot) object {
			return s.index(t, on(s.image(t, "linux", tarLayer, make([]byte, 1<<20)), "linux", "amd64"), on(s.image(t, "linux", tarLayer, archive(t)), "linux", "arm64"))
		}, image.HasRunnableChild, "manifests manifests"},
		{"an index of artefacts for platforms", func(t *testing.T, s *depot) object {
			return s.index(t, on(s.artefact(t, "a"), "linux", "amd64"), on(s.artefact(t, "b"), "linux", "arm64"))
		}, image.NoRunnableChild, "manifests manifests manifests"},
		{"a long list of referrers", func(t *testing.T, s *depot) object {
			return s.index(t, s.artefacts(t, 1000)...)
		}, image.NoRunnableChild, ""},
		{"a list longer than is read", func(t *testing.T, s *depot) object {
			return s.index(t, s.artefacts(t, 1025)...)
		}, image.NothingKnown, ""},
		{"a long list at whose end an image is", func(t *testing.T, s *depot) object {
			return s.index(t, append(s.artefacts(t, 100), s.image(t, "linux", tarLayer, archive(t)))...)
		}, image.HasRunnableChild, ""},
		{"a list of which one is gone", func(t *testing.T, s *depot) object {
			all := s.artefacts(t, 3)
			delete(s.manifests, all[1]["digest"].(string))
			return s.index(t, all...)
		}, image.HasRunnableChild, "manifests manifests manifests"},
		{"a list of large artefacts, more than is read", func(t *testing.T, s *depot) object {
			var all []object
			for i := range 6 {
				m := object{"config": s.blob("application/x-thing", []byte(fmt.Sprint(i))), "annotations": object{"x": strings.Repeat("x", 1<<20)}}
				all = append(all, s.manifest(t, m))
			}
			return s.index(t, all...)
		}, image.NothingKnown, "manifests manifests manifests manifests manifests"},
		{"an index without children", func(t *testing.T, s *depot) object { return s.manifest(t, object{"manifests": []object{}}) }, image.NoRunnableChild, ""},
		{"an index of an index of artefacts", func(t *testing.T, s *depot) object { return s.index(t, s.index(t, s.artefact(t, "a"))) }, image.NoRunnableChild, ""},
		{"indexes deeper than is read", func(t *testing.T, s *depot) object {
			return s.index(t, s.index(t, s.index(t, s.artefact(t, "a"))))
		}, image.HasRunnableChild, ""},
		{"a cache of BuildKit with a large layer", func(t *testing.T, s *depot) object {
			return s.index(t, s.blob(tarLayer+"+gzip", append([]byte("\x1f\x8b"), make([]byte, 7<<20)...)), s.blob("application/vnd.buildkit.cacheconfig.v0", []byte(`{"layers":[]}`)))
		}, image.NoRunnableChild, ""},
		{"a cache of BuildKit of which a blob is gone", func(t *testing.T, s *depot) object {
			d := s.blob(tarLayer, archive(t))
			clear(s.blobs)
			return s.index(t, d)
		}, image.HasRunnableChild, ""},
		{"an image that an index calls a layer", func(t *testing.T, s *depot) object {
			d := s.image(t, "linux", tarLayer, archive(t))
			d["mediaType"] = tarLayer
			return s.index(t, d)
		}, image.HasRunnableChild, ""},
		{"a manifest that is there as a blob only", func(t *testing.T, s *depot) object {
			d := s.image(t, "linux", tarLayer, archive(t))
			raw := s.manifests[d["digest"].(string)]
			delete(s.manifests, d["digest"].(string))
			return s.index(t, s.blob(tarLayer, raw))
		}, image.HasRunnableChild, ""},
		{"what can be read in two ways", func(t *testing.T, s *depot) object {
			return s.manifest(t, object{"manifests": []object{}, "layers": []object{}})
		}, image.NothingKnown, "manifests"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newDepot()
			client, ref := s.serve(t, tt.root(t, s))
			got, err := client.Content(t.Context(), ref, shop)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.Runnability()); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.asked, strings.Join(s.asked, " ")); tt.asked != "" && diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// Another registry may have a manifest under the digest of a blob that was not read to its end:
// one that lies about it can exempt nothing elsewhere.
func TestABlobThatWasNotReadWholeIsClaimed(t *testing.T) {
	begins := func(n int) []byte { return append([]byte("\x1f\x8b"), make([]byte, n-2)...) }
	for _, test := range []struct {
		name         string
		root         func(t *testing.T, s *depot) object
		why          image.Runnability
		claimed, all bool
	}{
		{"a large blob", func(t *testing.T, s *depot) object { return s.index(t, s.blob(tarLayer, begins(1<<20))) }, image.NoRunnableChild, true, true},
		{"one in an index within", func(t *testing.T, s *depot) object { return s.index(t, s.index(t, s.blob(tarLayer, begins(513)))) }, image.NoRunnableChild, true, false},
		{"a small blob", func(t *testing.T, s *depot) object { return s.index(t, s.blob(tarLayer, begins(512))) }, image.NoRunnableChild, false, true},
		{"a JSON document that is no manifest", func(t *testing.T, s *depot) object {
			return s.index(t, s.blob("application/x-thing", []byte(`{"a":"`+strings.Repeat("a", 1000)+`"}`)))
		}, image.NoRunnableChild, false, true},
		{"an image that is shown as a blob", func(t *testing.T, s *depot) object {
			return s.index(t, s.lie(t, begins(1<<20)))
		}, image.NoRunnableChild, true, true},
		{"the same, and the lie is short", func(t *testing.T, s *depot) object {
			return s.index(t, s.lie(t, begins(512)))
		}, image.HasRunnableChild, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newDepot()
			client, ref := s.serve(t, test.root(t, s))
			got, err := client.Content(t.Context(), ref, shop)
			if err != nil || got.Runnability() != test.why || got.Claimed() != test.claimed {
				t.Errorf("content %s, claimed %t, error %v; want %s, %t", got.Runnability(), got.Claimed(), err, test.why, test.claimed)
			}
			if !test.all {
				return // facts are not read that deep
			}
			facts, err := client.Facts(t.Context(), ref, shop, nil)
			if err != nil || facts.Content.Runnability() != test.why || facts.Content.Claimed() != test.claimed {
				t.Errorf("facts %s, claimed %t, error %v; want %s, %t", facts.Content.Runnability(), facts.Content.Claimed(), err, test.why, test.claimed)
			}
		})
	}
}

// lie returns an image whose manifest is not shown, and that is another thing as a blob.
func (s *depot) lie(t *testing.T, shown []byte) object {
	t.Helper()
	d := s.image(t, "linux", tarLayer, archive(t))
	delete(s.manifests, d["digest"].(string))
	s.blobs[d["digest"].(string)] = shown
	d["mediaType"] = tarLayer
	return d
}

func (s *depot) artefacts(t *testing.T, n int) []object {
	t.Helper()
	all := make([]object, n)
	for i := range all {
		all[i] = s.artefact(t, fmt.Sprint(i))
	}
	return all
}

// Facts count what hosts can have: neither attestations, whatever their size, nor
// what is marked as for no platform; and a list of artefacts may be long.
func TestFactsOfIndexes(t *testing.T) {
	type outcome struct {
		Platforms []string
		Labels    map[string]string
		Children  int
		Missing   int
		Runs      bool
	}
	for _, tt := range []struct {
		name string
		root func(t *testing.T, s *depot) object
		want outcome
	}{
		{"an image and its attestation", func(t *testing.T, s *depot) object {
			return s.index(t, on(s.image(t, "unknown", inToto, []byte("{}")), "unknown", "unknown"), on(s.image(t, "linux", tarLayer, archive(t)), "linux", "amd64"))
		}, outcome{Platforms: []string{"linux/amd64"}, Labels: map[string]string{"tier": "linux"}, Children: 2, Runs: true}},
		{"an attestation that is too large to look into", func(t *testing.T, s *depot) object {
			return s.index(t, on(s.image(t, "unknown", inToto, make([]byte, 2<<20)), "unknown", "unknown"), on(s.image(t, "linux", tarLayer, archive(t)), "linux", "amd64"))
		}, outcome{Platforms: []string{"linux/amd64"}, Labels: map[string]string{"tier": "linux"}, Children: 2, Runs: true}},
		{"a child without a platform whose configuration names none that hosts have", func(t *testing.T, s *depot) object {
			return s.index(t, on(s.image(t, "linux", tarLayer, archive(t)), "linux", "amd64"), s.image(t, "unknown", inToto, make([]byte, 2<<20)))
		}, outcome{Platforms: []string{"linux/amd64"}, Labels: map[string]string{"tier": "linux"}, Children: 2, Runs: true}},
		{"an artefact under a platform", func(t *testing.T, s *depot) object {
			return s.index(t, on(s.artefact(t, "a"), "linux", "arm64"), on(s.image(t, "linux", tarLayer, archive(t)), "linux", "amd64"))
		}, outcome{Platforms: []string{"linux/amd64"}, Labels: map[string]string{"tier": "linux"}, Children: 2, Runs: true}},
		{"a cache of BuildKit", func(t *testing.T, s *depot) object {
			return s.index(t, s.blob(tarLayer, archive(t)), s.blob("application/vnd.buildkit.cacheconfig.v0", []byte(`{"layers":[]}`)))
		}, outcome{Children: 2}},
		{"an attestation that is gone", func(t *testing.T, s *depot) object {
			gone := s.image(t, "unknown", inToto, []byte("{}"))
			delete(s.manifests, gone["digest"].(string))
			return s.index(t, on(gone, "unknown", "unknown"), on(s.image(t, "linux", tarLayer, archive(t)), "linux", "amd64"))
		}, outcome{Platforms: []string{"linux/amd64"}, Labels: map[string]string{"tier": "linux"}, Children: 2, Missing: 1, Runs: true}},
		{"a long list of referrers", func(t *testing.T, s *depot) object { return s.index(t, s.artefacts(t, 300)...) }, outcome{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newDepot()
			root := tt.root(t, s)
			client, ref := s.serve(t, root)
			facts, err := client.Facts(t.Context(), ref, shop, []string{"tier"})
			if err != nil {
				t.Fatal(err)
			}
			var listed []string
			for _, c := range facts.Image.Children {
				listed = append(listed, c.Platform)
				if c.Digest == root["digest"] || !slices.Contains(texts(facts.Children), c.Digest) {
					t.Errorf("the index does not name the child %s", c.Digest)
				}
			}
			if diff := cmp.Diff(tt.want.Platforms, listed); diff != "" {
				t.Errorf("platforms of the listed children (-want +got):\n%s", diff)
			}
			got := outcome{facts.Image.Platforms, facts.Image.Labels, len(facts.Children), len(facts.Missing), facts.Content.Runnable()}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}

// A list that is pushed again with one more costs what is new in it; what is not
// proven is asked for again.
func TestWhatIsProvenIsNotReadAgain(t *testing.T) {
	s := newDepot()
	all := s.artefacts(t, 100)
	first := s.index(t, all...)
	second := s.index(t, append(all, s.artefact(t, "new"), s.image(t, "linux", tarLayer, make([]byte, 1<<20)))...)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	c := registry.New(plain(host))
	for _, want := range []struct {
		root     object
		runs     bool
		requests int
	}{{first, false, 101}, {second, true, 3}, {second, true, 2}, {first, false, 1}} {
		d, err := image.ParseDigest(want.root["digest"].(string))
		if err != nil {
			t.Fatal(err)
		}
		s.asked = nil
		got, err := c.Content(t.Context(), repository(t, host+"/shop/web").At(d), shop)
		if err != nil || got.Runnable() != want.runs || len(s.asked) != want.requests {
			t.Errorf("it runs: %t, after %d requests, %v; want %t after %d", got.Runnable(), len(s.asked), err, want.runs, want.requests)
		}
	}
}

// A registry that does not answer for the children leaves its caller the time to
// record what is not known.
func TestContentLeavesTimeToItsCaller(t *testing.T) {
	s := newDepot()
	child := s.artefact(t, "a")
	root := s.index(t, child)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, child["digest"].(string)) {
			<-r.Context().Done()
			return
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	d, err := image.ParseDigest(root["digest"].(string))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	got, err := registry.New(plain(host)).Content(ctx, repository(t, host+"/shop/web").At(d), shop)
	if err != nil || !got.Runnable() || ctx.Err() != nil {
		t.Errorf("got %+v, %v, and the caller's time: %v", got, err, ctx.Err())
	}
}
