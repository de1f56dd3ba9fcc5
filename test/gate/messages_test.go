package gate

import (
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// A refusal names the image, the gate and the reason, and what to do.
func TestRefusalsSayWhatToDo(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, exempting)
	old := g.oldPod(t)
	g.enforce(t, content()...)
	long := "r.example/" + strings.Repeat("a", 300) + "@sha256:" + unknownHex
	expect := func(image string, a *answer, words ...string) {
		t.Helper()
		if a.err == nil {
			t.Errorf("%s is admitted", image)
			return
		}
		words = append(words, "ImageGate "+g.gate.Name+" refuses")
		if image != "r.example/team/app:1" { // what to write instead is all there is to say
			words = append(words, "kubectl revet gate test -n "+g.namespace+" --gate "+g.gate.Name+" --image ")
		}
		for _, w := range words {
			if strings.HasPrefix(w, "!") {
				if strings.Contains(a.err.Error(), w[1:]) {
					t.Errorf("%s: the refusal says %q: %v", image, w[1:], a.err)
				}
				continue
			}
			if !strings.Contains(a.err.Error(), w) {
				t.Errorf("%s: the refusal does not say %q: %v", image, w, a.err)
			}
		}
	}
	for image, words := range map[string][]string{
		ref(unknownHex): {
			ref(unknownHex) + ": no verdict that counts here", "it failed, or was not verified",
			"kubectl revet explain -A sha256:" + unknownHex, "If it was not verified: kubectl revet verify " + ref(unknownHex),
		},
		ref(expiredHex):                    {ref(expiredHex) + ": its verdict of 20", "is older than 168h0m0s", "kubectl revet verify " + ref(expiredHex), "!explain"},
		long:                               {long[:256] + "...: no verdict that counts here"},
		"R.example/a@sha256:" + unknownHex: {"is no valid reference", "lower case"},
		"r.example/team/app:new":           {"is being verified", "kubectl revet explain -A r.example/team/app:new"},
		"r.example/team/app:bad":           {"its newest push failed", "kubectl revet explain -A r.example/team/app:bad", "!revet verify"},
		"r.example/team/app:1":             {"write r.example/team/app:1@sha256:" + freshHex},
		"redis":                            {"no trusted trigger has recorded a push of this tag", "write docker.io/library/redis:latest@sha256:DIGEST", "kubectl revet verify docker.io/library/redis:latest@sha256:DIGEST"},
		"sha256:" + freshHex:               {"is no valid reference"},
	} {
		expect(image, g.try(t, g.admin, podOf(image)), words...)
	}
	expect("two", g.try(t, g.admin, podOf(ref(freshHex), ref(unknownHex), ref(longRanHex))), ref(unknownHex)+" and 1 more: ")
	old.Spec.Containers[1].Image = "nginx:2"
	expect("a change", g.update(t, g.admin, old), "nginx:2: the image of a Pod that exists stays as it is")
}

// Without policies that pin, every tag is refused in words that say so.
func TestRefusalOfTagsWithoutPins(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, nil).enforce(t, content()...)
	a := g.try(t, g.admin, podOf("r.example/team/app:1"))
	if a.err == nil || !strings.Contains(a.err.Error(), "write r.example/team/app:1@sha256:"+freshHex) {
		t.Error(a.err)
	}
}
