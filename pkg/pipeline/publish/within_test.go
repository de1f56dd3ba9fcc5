package publish

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/revet-dev/revet/pkg/image"
)

// nested pushes an index that names an image, and an index of another one. It
// returns their digests, and that of an image beside them.
func nested(t *testing.T, s *site) (root, direct, below, beside image.Digest) {
	t.Helper()
	made := func(img v1.Image, err error) (v1.Image, image.Digest) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return img, digestOf(t, img)
	}
	first, direct := made(random.Image(64, 1))
	second, below := made(random.Image(64, 1))
	third, beside := made(random.Image(64, 1))
	inner := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: second})
	outer := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: first}, mutate.IndexAddendum{Add: inner, Descriptor: v1.Descriptor{MediaType: types.OCIImageIndex}})
	for tag, what := range map[string]remote.Taggable{"outer": outer, "beside": third} {
		if err := remote.Push(s.to.repository.Tag(tag), what); err != nil {
			t.Fatal(err)
		}
	}
	return digestOf(t, outer), direct, below, beside
}

func digestOf(t *testing.T, of interface{ Digest() (v1.Hash, error) }) image.Digest {
	t.Helper()
	h, err := of.Digest()
	if err != nil {
		t.Fatal(err)
	}
	d, err := image.ParseDigest(h.String())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// What an index leads to is described as the registry has it, and what is beside it is not.
func TestWithin(t *testing.T) {
	s := newSite(t, quiet())
	root, direct, below, beside := nested(t, s)
	found, err := s.to.Within(t.Context(), root, []image.Digest{direct, below, beside, image.DigestOf([]byte("nothing"))})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for name, d := range map[string]image.Digest{"root": root, "direct": direct, "below": below, "beside": beside} {
		desc, ok := found[d]
		got[name] = ok
		if !ok {
			continue
		}
		want, err := remote.Head(s.to.repository.Digest(d.String()))
		if err != nil || desc.Digest != d || desc.Size != want.Size || desc.MediaType != string(want.MediaType) {
			t.Errorf("%s is %+v, want %+v, %v", name, desc, want, err)
		}
	}
	if diff := cmp.Diff(map[string]bool{"root": true, "direct": true, "below": true, "beside": false}, got); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}

// Only what may lead to what is wanted is read, and what is gone leads to nothing.
func TestWithinReadsNoMore(t *testing.T) {
	real := quiet()
	type refusal struct {
		of     image.Digest
		status int
	}
	var refused atomic.Value
	s := newSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if no, ok := refused.Load().(refusal); ok && strings.HasSuffix(r.URL.Path, no.of.String()) {
			w.WriteHeader(no.status)
			return
		}
		real.ServeHTTP(w, r)
	}))
	root, direct, below, _ := nested(t, s)
	refused.Store(refusal{direct, http.StatusForbidden})
	found, err := s.to.Within(t.Context(), root, []image.Digest{below})
	if err != nil || found[below].Digest != below || !found[direct].Digest.IsZero() {
		t.Errorf("without an image that nobody wants: %v, %v", found, err)
	}
	all, err := s.to.Within(t.Context(), root, []image.Digest{below, direct})
	if err == nil {
		t.Errorf("without an image that somebody wants: %v", all)
	}
	for d := range found {
		if d != root && d != below {
			refused.Store(refusal{d, http.StatusNotFound}) // the index between
		}
	}
	found, err = s.to.Within(t.Context(), root, []image.Digest{direct, below})
	if err != nil || found[direct].Digest != direct || !found[below].Digest.IsZero() {
		t.Errorf("without an index: %v, %v", found, err)
	}
}

// What a registry does not answer is no answer, and bytes of another digest are none either.
func TestWithinIsNotKnown(t *testing.T) {
	real := quiet()
	var spoil atomic.Value
	s := newSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f, ok := spoil.Load().(func(http.ResponseWriter, *http.Request) bool); ok && f(w, r) {
			return
		}
		real.ServeHTTP(w, r)
	}))
	root, direct, below, _ := nested(t, s)
	for name, tt := range map[string]struct {
		f    func(http.ResponseWriter, *http.Request) bool
		want string
	}{
		"the index is gone": {func(w http.ResponseWriter, r *http.Request) bool {
			gone := strings.HasSuffix(r.URL.Path, root.String())
			if gone {
				w.WriteHeader(http.StatusNotFound)
			}
			return gone
		}, "ContentMissing: manifest " + root.String()},
		"an image is another": {func(w http.ResponseWriter, r *http.Request) bool {
			other := strings.HasSuffix(r.URL.Path, direct.String())
			if other {
				_, _ = w.Write([]byte("{}"))
			}
			return other
		}, "ContentCorrupted: manifest " + direct.String()},
		"nobody answers": {func(w http.ResponseWriter, r *http.Request) bool {
			broken := strings.Contains(r.URL.Path, "/manifests/")
			if broken {
				w.WriteHeader(http.StatusForbidden)
			}
			return broken
		}, "AccessDenied: manifest " + root.String()},
	} {
		spoil.Store(tt.f)
		if _, err := s.to.Within(t.Context(), root, []image.Digest{direct, below}); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
}
