package sandbox_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/sandbox"
)

var key = bytes.Repeat([]byte{7}, sandbox.MinKey)

func digest(t *testing.T, n int) image.Digest {
	t.Helper()
	sum := sha256.Sum256(fmt.Appendf(nil, "image %d", n))
	d, err := image.ParseDigest("sha256:" + hex.EncodeToString(sum[:]))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func weight(n int32) *int32 { return &n }

func TestDecide(t *testing.T) {
	kata := v1alpha1.Sandbox{RuntimeClassName: "kata"}
	with := func(change func(*v1alpha1.Sandbox)) v1alpha1.Sandbox {
		s := kata
		change(&s)
		return s
	}
	legacy := with(func(s *v1alpha1.Sandbox) {
		s.Exclude = []v1alpha1.SandboxExclusion{{Images: "team-a/**", Reason: "it needs io_uring"}, {Images: "registry.example:5000/x/app:v1*", Reason: "too large"}}
	})
	none := with(func(s *v1alpha1.Sandbox) { s.Weight = weight(0) })
	falls := with(func(s *v1alpha1.Sandbox) { s.Fallback = v1alpha1.FallbackDefault })
	inClass := sandbox.Route{RuntimeClassName: "kata"}
	for _, test := range []struct {
		name    string
		sandbox v1alpha1.Sandbox
		image   sandbox.Image
		missing bool
		unable  string
		want    sandbox.Route
	}{
		{"no class asks for none", v1alpha1.Sandbox{}, sandbox.Image{Repository: "a/b"}, false, "", sandbox.Route{}},
		{"a class", kata, sandbox.Image{Repository: "a/b"}, false, "", inClass},
		{"a class that is missing, and nothing is said of it", kata, sandbox.Image{Repository: "a/b"}, true, "", inClass},
		{"a class that is missing, and may be done without", falls, sandbox.Image{Repository: "a/b"}, true, "",
			sandbox.Route{Around: v1alpha1.RouteFellBack, Message: `the cluster has no RuntimeClass "kata", and spec.sandbox.fallback is Default`}},
		{"a class that is there, and may be done without", falls, sandbox.Image{Repository: "a/b"}, false, "", inClass},
		{"a class that could not start the run before, and may be done without", falls, sandbox.Image{Repository: "a/b"}, false, "no shim",
			sandbox.Route{Around: v1alpha1.RouteFellBack, Message: "spec.sandbox.fallback is Default, and the run before could not start: no shim"}},
		{"a class that could not start the run before", kata, sandbox.Image{Repository: "a/b"}, false, "no shim", inClass},
		{"an excluded repository", legacy, sandbox.Image{Repository: "team-a/b/c"}, false, "",
			sandbox.Route{Around: v1alpha1.RouteExcluded, Message: "spec.sandbox.exclude names team-a/**: it needs io_uring"}},
		{"another repository", legacy, sandbox.Image{Repository: "team-b/c"}, false, "", inClass},
		{"an excluded tag", legacy, sandbox.Image{Repository: "registry.example:5000/x/app", Tags: []string{"v1", "v1.2"}}, false, "",
			sandbox.Route{Around: v1alpha1.RouteExcluded, Message: "spec.sandbox.exclude names registry.example:5000/x/app:v1*: too large"}},
		{"an excluded tag, and one that is not", legacy, sandbox.Image{Repository: "registry.example:5000/x/app", Tags: []string{"v1", "v2"}}, false, "", inClass},
		{"no tag where one is excluded", legacy, sandbox.Image{Repository: "registry.example:5000/x/app"}, false, "", inClass},
		{"a weight of nothing", none, sandbox.Image{Repository: "a/b"}, false, "",
			sandbox.Route{Around: v1alpha1.RouteOutsideWeight, Message: "spec.sandbox.weight gives the class to 0 percent of digests, and this is none of them"}},
		{"a weight of all needs no key", with(func(s *v1alpha1.Sandbox) { s.Weight = weight(100) }), sandbox.Image{Repository: "a/b"}, false, "", inClass},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.image.Digest = digest(t, 1)
			got, err := sandbox.Decide(test.sandbox, key, test.image, test.missing, test.unable)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("route (-want +got):\n%s", diff)
			}
		})
	}
}

// Of 200 digests a weight of 30 takes between 24 and 36 percent, always the same.
func TestWeightIsStableAndFair(t *testing.T) {
	inside := func(percent int32, key []byte) map[int]bool {
		in := map[int]bool{}
		for n := range 200 {
			r, err := sandbox.Decide(v1alpha1.Sandbox{RuntimeClassName: "kata", Weight: &percent}, key, sandbox.Image{Digest: digest(t, n)}, false, "")
			if err != nil {
				t.Fatal(err)
			}
			if r.RuntimeClassName == "kata" {
				in[n] = true
			}
		}
		return in
	}
	thirty := inside(30, key)
	if n := len(thirty); n < 48 || n > 72 {
		t.Errorf("%d of 200 digests have the class, which are not 24 to 36 percent", n)
	}
	if diff := cmp.Diff(thirty, inside(30, key)); diff != "" {
		t.Errorf("the same digests, asked again (-first +second):\n%s", diff)
	}
	for n := range thirty {
		if !inside(31, key)[n] {
			t.Fatalf("digest %d is inside at 30 percent and not at 31", n)
		}
	}
	if cmp.Equal(thirty, inside(30, bytes.Repeat([]byte{8}, sandbox.MinKey))) {
		t.Error("another key chooses the same digests, so that anybody could tell which they are")
	}
}

func TestDecideRefuses(t *testing.T) {
	if _, err := sandbox.Decide(v1alpha1.Sandbox{RuntimeClassName: "kata", Weight: weight(30)}, key[1:], sandbox.Image{Digest: digest(t, 1)}, false, ""); !errors.Is(err, sandbox.ErrNoKey) {
		t.Errorf("a weight with a short key: %v", err)
	}
	broken := v1alpha1.Sandbox{RuntimeClassName: "kata", Exclude: []v1alpha1.SandboxExclusion{{Images: "a/**b", Reason: "no"}, {Images: "a/b:", Reason: "no"}}}
	if _, err := sandbox.Decide(broken, key, sandbox.Image{}, false, ""); err == nil {
		t.Error("an exclusion that cannot be read was passed over")
	}
	err := sandbox.Check(broken)
	if err == nil || !strings.Contains(err.Error(), "exclude[0].images") || !strings.Contains(err.Error(), "exclude[1].images") {
		t.Errorf("Check says %v", err)
	}
}
