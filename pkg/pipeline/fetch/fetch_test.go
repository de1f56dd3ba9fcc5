package fetch_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// What was fetched is in the layout, whole, under digests that hold when they
// are recomputed there.
func TestFetchStoresAllThatADigestNames(t *testing.T) {
	shared := layerOf(t, "shared")
	raw := tarOf(t, "plain")
	compressor := must(zstd.NewWriter(nil))(t)
	one := imageOf(t, "amd64", shared, layerOf(t, "amd64"))
	tests := []struct {
		name string
		what interface{ Digest() (v1.Hash, error) }
		want []string
	}{
		{"an image", one, []string{"linux/amd64"}},
		{"an index whose images share a layer", indexOf(one, imageOf(t, "arm64", shared)), []string{"linux/amd64", "linux/arm64"}},
		{"an index within an index", mutate.AppendManifests(indexOf(one), mutate.IndexAddendum{Add: indexOf(imageOf(t, "s390x", shared))}), []string{"linux/amd64", "linux/s390x"}},
		{"a layer that is not compressed", imageOf(t, "amd64", newRawLayer(raw, raw)), []string{"linux/amd64"}},
		{"a layer that is compressed with zstd", imageOf(t, "amd64", newRawLayer(compressor.EncodeAll(raw, nil), raw)), []string{"linux/amd64"}},
		{"an image without a layer", imageOf(t, "amd64"), []string{"linux/amd64"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			d := s.push(t, tt.what)
			fetched, dir, err := s.pull(t, d, setting{})
			if err != nil {
				t.Fatal(err)
			}
			if n := s.got(must(shared.Digest())(t)); n > 1 {
				t.Errorf("the shared layer was pulled %d times", n)
			}
			opened := must(oci.OpenLayout(dir.Path()))(t)
			tree := must(opened.Tree(t.Context()))(t)
			var platforms []string
			for _, i := range tree.Images {
				platforms = append(platforms, i.Config.String())
				for _, l := range i.Layers {
					b, err := opened.Blob(l.Digest)
					if err != nil {
						t.Errorf("layer %s: %v", l.Digest, err)
						continue
					}
					_ = b.Close()
				}
			}
			if diff := cmp.Diff(tt.want, platforms); diff != "" {
				t.Errorf("platforms (-want +got):\n%s", diff)
			}
			if tree.Root.Digest.String() != d.String() || fetched.Root.Digest != tree.Root.Digest {
				t.Errorf("layout names %s, fetched %s, want %s", tree.Root.Digest, fetched.Root.Digest, d)
			}
		})
	}
}

// whole is an image, pushed, and the digests of its parts.
type whole struct {
	manifest, config, layer v1.Hash
	manifestBytes           []byte
	layerBytes              int
}

func pushWhole(t *testing.T, s *server) whole {
	t.Helper()
	layer := layerOf(t, strings.Repeat("revet ", 200))
	img := imageOf(t, "amd64", layer)
	return whole{
		manifest:      s.push(t, img),
		config:        must(img.ConfigName())(t),
		layer:         must(layer.Digest())(t),
		manifestBytes: must(img.RawManifest())(t),
		layerBytes:    int(must(layer.Size())(t)),
	}
}

func answer(b []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) }
}

func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusTemporaryRedirect)
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// A registry that lies, fails or dawdles gets an error with its reason, and
// never a layout.
func TestFetchBelievesNothing(t *testing.T) {
	dawdle := func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("x"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	drip := func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
				_, _ = w.Write([]byte("x"))
				_ = http.NewResponseController(w).Flush()
			}
		}
	}
	tests := []struct {
		name string
		lie  func(*server, whole)
		set  setting
		want oci.Reason
		says string
	}{{
		name: "other bytes for the manifest",
		lie:  func(s *server, w whole) { s.lieAbout(w.manifest, answer(bytes.ToUpper(w.manifestBytes))) },
		want: oci.ReasonCorrupted, says: "manifest sha256:",
	}, {
		name: "another manifest that is whole in itself",
		lie: func(s *server, w whole) {
			s.lieAbout(w.manifest, answer(append([]byte(" "), w.manifestBytes...)))
		},
		want: oci.ReasonCorrupted, says: "its bytes have the digest",
	}, {
		name: "other bytes for the configuration",
		lie:  func(s *server, w whole) { s.lieAbout(w.config, answer([]byte("{}"))) },
		want: oci.ReasonCorrupted, says: "config sha256:",
	}, {
		name: "other bytes of the same number for a layer",
		lie:  func(s *server, w whole) { s.lieAbout(w.layer, answer(make([]byte, w.layerBytes))) },
		want: oci.ReasonCorrupted, says: "layer sha256:",
	}, {
		name: "a layer that ends early",
		lie:  func(s *server, w whole) { s.lieAbout(w.layer, answer(make([]byte, 7))) },
		want: oci.ReasonCorrupted, says: "it ends after 7 of",
	}, {
		name: "a layer that goes on",
		lie:  func(s *server, w whole) { s.lieAbout(w.layer, answer(make([]byte, w.layerBytes+1))) },
		want: oci.ReasonCorrupted, says: "more than the",
	}, {
		name: "a layer whose connection breaks",
		lie: func(s *server, w whole) {
			s.lieAbout(w.layer, func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Length", fmt.Sprint(w.layerBytes))
				_, _ = rw.Write([]byte("x"))
			})
		},
		want: oci.ReasonUnavailable, says: "unexpected EOF",
	}, {
		name: "a manifest without end",
		lie:  func(s *server, w whole) { s.lieAbout(w.manifest, answer(make([]byte, oci.MaxManifest+1))) },
		want: oci.ReasonTooLarge, says: "manifest sha256:",
	}, {
		name: "a manifest that is gone",
		lie:  func(s *server, w whole) { s.lieAbout(w.manifest, status(http.StatusNotFound)) },
		want: oci.ReasonMissing, says: "manifest sha256:",
	}, {
		name: "a layer that is gone",
		lie:  func(s *server, w whole) { s.lieAbout(w.layer, status(http.StatusNotFound)) },
		want: oci.ReasonMissing, says: "of image linux/amd64",
	}, {
		name: "credentials that do not open",
		lie:  func(s *server, w whole) { s.lieAbout(w.manifest, status(http.StatusForbidden)) },
		want: oci.ReasonDenied, says: "403",
	}, {
		name: "a registry that fails",
		lie:  func(s *server, w whole) { s.lieAbout(w.layer, status(http.StatusInternalServerError)) },
		want: oci.ReasonUnavailable, says: "500",
	}, {
		name: "a registry that stops in a layer",
		lie:  func(s *server, w whole) { s.lieAbout(w.layer, dawdle) },
		set:  setting{options: fetch.Options{Stall: 50 * time.Millisecond}},
		want: oci.ReasonTimedOut, says: "sent nothing for 50ms",
	}, {
		name: "a registry that never answers",
		lie: func(s *server, w whole) {
			s.lieAbout(w.layer, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		},
		set:  setting{options: fetch.Options{Stall: 50 * time.Millisecond}},
		want: oci.ReasonTimedOut, says: "sent nothing for 50ms",
	}, {
		name: "a manifest that drips past the deadline",
		lie:  func(s *server, w whole) { s.lieAbout(w.manifest, drip) },
		set:  setting{timeout: 200 * time.Millisecond},
		want: oci.ReasonTimedOut, says: "raise --timeout",
	}, {
		name: "a redirect without end",
		lie: func(s *server, w whole) {
			s.lieAbout(w.layer, func(rw http.ResponseWriter, r *http.Request) {
				redirect(rw, r.URL.Path)
			})
		},
		want: oci.ReasonRefused, says: "redirects more than",
	}, {
		name: "a redirect to a metadata service",
		lie: func(s *server, w whole) {
			s.lieAbout(w.layer, func(rw http.ResponseWriter, _ *http.Request) {
				redirect(rw, "https://169.254.169.254/latest")
			})
		},
		want: oci.ReasonRefused, says: "private address",
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			w := pushWhole(t, s)
			tt.lie(s, w)
			_, dir, err := s.pull(t, w.manifest, tt.set)
			wantError(t, err, tt.want, tt.says)
			wantNoLayout(t, dir)
		})
	}
}

func wantError(t *testing.T, err error, reason oci.Reason, says string) {
	t.Helper()
	var e *oci.Error
	if !errors.As(err, &e) || e.Reason != reason || !strings.Contains(err.Error(), says) {
		t.Errorf("error is %v, want the reason %s and %q", err, reason, says)
	}
}

func wantNoLayout(t *testing.T, dir oci.Layout) {
	t.Helper()
	if _, err := oci.OpenLayout(dir.Path()); err == nil {
		t.Error("there is a layout")
	}
	left, err := filepath.Glob(filepath.Join(dir.Path(), "blobs", "sha256", ".incoming-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("half-written blobs are left: %v %v", left, err)
	}
}

// Content that the registry serves faithfully may still be wrong in itself.
func TestFetchRefusesBrokenImages(t *testing.T) {
	raw := tarOf(t, "x")
	bomb, great := make([]byte, 4<<20), make([]byte, 65<<20)
	whole := imageOf(t, "amd64", layerOf(t, "whole"))
	tests := []struct {
		name string
		what interface{ Digest() (v1.Hash, error) }
		set  setting
		want oci.Reason
		says string
	}{
		{name: "a layer that unpacks to something else", what: imageOf(t, "amd64", newRawLayer(gzipOf(t, raw), []byte("else"))),
			want: oci.ReasonCorrupted, says: "but the configuration says"},
		{name: "a layer that breaks off within its compression", what: imageOf(t, "amd64", newRawLayer(gzipOf(t, raw)[:20], raw)),
			want: oci.ReasonCorrupted, says: "cannot unpack it"},
		{name: "an archive that breaks off", what: imageOf(t, "amd64", newRawLayer(gzipOf(t, raw[:512]), raw[:512])),
			want: oci.ReasonCorrupted, says: "cannot unpack it"},
		{name: "layers that are no archives", what: imageOf(t, "amd64", newRawLayer([]byte("rubbish"), []byte("rubbish"))),
			want: oci.ReasonNotAnImage, says: "none of its 1 layers"},
		{name: "a decompression bomb", what: imageOf(t, "amd64", newRawLayer(gzipOf(t, bomb), bomb)),
			want: oci.ReasonTooLarge, says: "--max-unpacked-bytes"},
		{name: "a decompression bomb within the limit for all layers", what: imageOf(t, "amd64", newRawLayer(gzipOf(t, great), great)),
			set: setting{limits: fetch.Limits{Bytes: 1 << 20, Unpacked: 1 << 40}}, want: oci.ReasonTooLarge, says: "--max-ratio"},
		{name: "more than the limit", what: whole, set: setting{limits: fetch.Limits{Bytes: 10, Unpacked: 1 << 20}},
			want: oci.ReasonTooLarge, says: "--max-bytes"},
		{name: "an artefact", what: mutate.MediaType(mutate.ConfigMediaType(empty.Image, "application/vnd.example.thing"), types.OCIManifestSchema1),
			want: oci.ReasonNotAnImage, says: "an artefact"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			_, dir, err := s.pull(t, s.push(t, tt.what), tt.set)
			wantError(t, err, tt.want, tt.says)
			wantNoLayout(t, dir)
		})
	}
}

// An index's children are all there, or it cannot be judged.
func TestFetchMissesAChild(t *testing.T) {
	s := newServer(t)
	gone := imageOf(t, "arm64", layerOf(t, "arm64"))
	d := s.push(t, indexOf(imageOf(t, "amd64", layerOf(t, "amd64")), gone))
	ref := must(name.NewDigest(s.host() + "/" + repository + "@" + must(gone.Digest())(t).String()))(t)
	if err := remote.Delete(ref); err != nil {
		t.Fatal(err)
	}
	_, dir, err := s.pull(t, d, setting{})
	wantError(t, err, oci.ReasonMissing, " of linux/arm64 of index "+d.String())
	wantNoLayout(t, dir)
}

// What is too large is refused before a layer of it is pulled.
func TestFetchAsksForNoLayerOfTooLargeAnImage(t *testing.T) {
	s := newServer(t)
	w := pushWhole(t, s)
	_, _, err := s.pull(t, w.manifest, setting{limits: fetch.Limits{Bytes: 1, Unpacked: 1}})
	wantError(t, err, oci.ReasonTooLarge, "--max-bytes")
	if n := s.got(w.layer); n != 0 {
		t.Errorf("the layer was asked for %d times", n)
	}
}

// A Content-Type header is a claim; the bytes say what they are.
func TestFetchIgnoresTheContentType(t *testing.T) {
	s := newServer(t)
	w := pushWhole(t, s)
	s.lieAbout(w.manifest, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", string(types.OCIImageIndex))
		_, _ = rw.Write(w.manifestBytes)
	})
	tree, _, err := s.pull(t, w.manifest, setting{})
	if err != nil || len(tree.Images) != 1 {
		t.Errorf("tree %+v, error %v; want one image", tree, err)
	}
}

// A layout that a later fetch does not complete names nothing, and holds no
// report, of the earlier one.
func TestFetchBeginsAnew(t *testing.T) {
	s := newServer(t)
	_, dir, err := s.pull(t, pushWhole(t, s).manifest, setting{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir.Path(), "reports"), 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := oci.CreateLayout(dir.Path()); err != nil {
		t.Fatal(err)
	}
	wantNoLayout(t, dir)
	if _, err := os.Stat(filepath.Join(dir.Path(), "reports")); err == nil {
		t.Error("the reports of the earlier fetch are left")
	}
}

// Of an index, only what was chosen is pulled, and the layout is one of that.
func TestFetchSelected(t *testing.T) {
	s := newServer(t)
	amd64, arm64 := imageOf(t, "amd64", layerOf(t, "amd64")), imageOf(t, "arm64", layerOf(t, "arm64"))
	d := s.push(t, indexOf(amd64, arm64))
	chosen, err := oci.ParseSelection("linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	tree, dir, err := s.pull(t, d, setting{chosen: chosen})
	if err != nil {
		t.Fatal(err)
	}
	again, err := dir.Tree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []oci.Tree{tree, again} {
		if len(got.Images) != 1 || got.Images[0].Config.Architecture != "amd64" || len(got.Unselected) != 1 {
			t.Errorf("images %+v, not chosen %+v", got.Images, got.Unselected)
		}
	}
	other := must(arm64.Digest())(t)
	if n := s.got(other); n != 0 {
		t.Errorf("the other image was asked for %d times", n)
	}
}
