package gate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
)

// The digests of the tables, by what the gate knows of them.
var (
	freshHex   = strings.Repeat("a", 64)
	expiredHex = strings.Repeat("b", 64)
	ranHex     = strings.Repeat("c", 64)
	longRanHex = strings.Repeat("d", 64)
	unknownHex = strings.Repeat("e", 64)
)

func ref(hex string) string { return "r.example/team/app@sha256:" + hex }

// content is what a gate knows: a fresh digest, one whose verdict expired and that is still
// there, one that ran here, and one that ran too long ago.
func content() []*v1alpha1.VerifiedImages {
	ago := func(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339) }
	fresh := map[string]string{freshHex: ago(time.Hour), expiredHex: ago(200 * time.Hour)}
	for i := range 31 {
		fresh[manyHex(i)] = ago(time.Hour)
	}
	return []*v1alpha1.VerifiedImages{
		{ObjectMeta: metav1.ObjectMeta{Name: "GATE"}, Digests: fresh,
			Ran: map[string]string{ranHex: ago(24 * time.Hour), longRanHex: ago(31 * 24 * time.Hour)}},
		{ObjectMeta: metav1.ObjectMeta{Name: "GATE.tags"}, Tags: map[string]string{
			"docker.io/library/nginx:latest": freshHex,
			"r.example/team/app:1":           freshHex,
			"r.example/team/app:new":         "BeingVerified",
			"r.example/team/app:bad":         "Failed",
		}},
	}
}

// manyHex are verified digests, one for each container of a large Pod.
func manyHex(i int) string { return fmt.Sprintf("%064x", i+1) }

// exempting exempts two registries, and images that ended or end.
func exempting(g *v1alpha1.ImageGate, _ *gate.Surroundings) {
	day := func(d int) string { return time.Now().UTC().AddDate(0, 0, d).Format(time.DateOnly) }
	g.Spec.Exempt = []v1alpha1.GateExemption{
		{Images: "registry.k8s.io/**", Reason: "the platform's own"},
		{Images: "quay.io/team/*:v1", Reason: "one tag"},
		{Images: "docker.io/library/busybox", Reason: "short names"},
		{Images: "ghcr.io/team/*", Reason: "one segment"},
		{Images: "old.example/**", Reason: "ended", Expires: day(-1)},
		{Images: "new.example/**", Reason: "ends today", Expires: day(0)},
	}
}

// places are where an image stands in a Pod that is made.
var places = map[string]func(image string) *corev1.Pod{
	"container":     func(image string) *corev1.Pod { return podOf(ref(freshHex), image) },
	"the only one":  func(image string) *corev1.Pod { return podOf(image) },
	"initContainer": func(image string) *corev1.Pod { return withInit(podOf(ref(freshHex)), image) },
	"image volume":  func(image string) *corev1.Pod { return withVolume(podOf(ref(freshHex)), image) },
}

func withInit(p *corev1.Pod, image string) *corev1.Pod {
	p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Name: "init", Image: image})
	return p
}

func withVolume(p *corev1.Pod, image string) *corev1.Pod {
	p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "files", VolumeSource: corev1.VolumeSource{
		Image: &corev1.ImageVolumeSource{Reference: image, PullPolicy: corev1.PullIfNotPresent}}})
	return p
}

// judged is an image, the policy that refuses it, and the one that would in Audit and Warn
// where tags are pinned; empty for none.
type judged struct{ image, deny, pinning string }

// references are the images of the table.
var references = func() []judged {
	var all []judged
	for by, images := range map[string][]string{
		"": {
			ref(freshHex), "r.example/team/app:any@sha256:" + freshHex, "app@sha256:" + freshHex, ref(ranHex),
			"registry.k8s.io/pause:3.10", "registry.k8s.io/a/b/c@sha256:" + unknownHex, "quay.io/team/x:v1",
			"busybox", "docker.io/busybox:1", "ghcr.io/team/a:1", "index.docker.io/library/busybox@sha256:" + unknownHex, "new.example/a:1",
		},
		"digests": {
			ref(expiredHex), ref(longRanHex), ref(unknownHex), "UPPER.example/a@sha256:" + freshHex,
			"sha256:1/app@sha256:" + freshHex, "r.example/a..b@sha256:" + freshHex,
			"evil.example/registry.k8s.io/x@sha256:" + unknownHex, "quay.io/team/x:v1@sha256:" + unknownHex,
		},
		"tags": {
			"r.example/team/app:new", "r.example/team/app:bad", "r.example/team/app", "nginx:1",
			"a@sha256:" + strings.ToUpper(freshHex), "a@sha512:" + freshHex + freshHex, "a@sha256:" + freshHex[1:],
			freshHex, "sha256:" + freshHex, "Nginx", "evil.example/registry.k8s.io/x:1", "registryxk8s.io/x:1",
			"registry.k8s.io.evil.example/x:1", "registry.k8s.io:443/x:1", "quay.io/team/x:v2", "quay.io/team/x/y:v1",
			"evil/busybox", "old.example/a:1", "registry.k8s.io/UPPER:1", "registry.k8s.io/x@sha256:" + unknownHex[1:], "ghcr.io/team/a/b:1",
		},
	} {
		for _, image := range images {
			all = append(all, judged{image, by, by})
		}
	}
	for _, known := range []string{"nginx", "docker.io/library/nginx:latest", "index.docker.io/nginx", "r.example/team/app:1"} {
		all = append(all, judged{known, "tags", ""})
	}
	return all
}()

// Every place of a Pod, times every reference.
func TestDenyJudgesEveryPlace(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, exempting).enforce(t, content()...)
	for place, shape := range places {
		for _, r := range references {
			a := g.try(t, g.admin, shape(r.image))
			if got, want := a.refusedBy(t), g.named(r.deny); got != want {
				t.Errorf("%s as %s is refused by %q, want %q: %v", r.image, place, got, want, a.err)
			}
		}
	}
}

// named is a policy's name, or empty.
func (g *gated) named(part string) string {
	if part == "" {
		return ""
	}
	return g.policy(part)
}

// In Audit and Warn everything is admitted, and the same policies say that they would refuse
// it, but for tags that would be pinned.
func TestAuditAndWarnRefuseNothing(t *testing.T) {
	beside(t)
	for _, mode := range []v1alpha1.GateMode{v1alpha1.GateAudit, v1alpha1.GateWarn} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			g := newGated(t, mode, func(g *v1alpha1.ImageGate, in *gate.Surroundings) {
				exempting(g, in)
				in.MutatingServed = mutating
			}).enforce(t, content()...)
			for _, r := range references {
				by := r.deny
				if mutating {
					by = r.pinning
				}
				g.expectSoft(t, mode, r.image, by, g.try(t, g.admin, podOf(r.image)))
			}
		})
	}
}

// expectSoft expects that a request is admitted and that a policy spoke up, as the mode does.
func (g *gated) expectSoft(t *testing.T, mode v1alpha1.GateMode, what, by string, a *answer) {
	t.Helper()
	if a.err != nil {
		t.Errorf("%s is refused: %v", what, a.err)
		return
	}
	warned, audited := slices.Contains(a.warnedBy(), g.policy(by)), slices.Contains(a.audited(t), g.policy(by))
	if by == "" {
		warned, audited = len(a.without(t, g.policy("ran"))) > 0, false
	}
	if warned != (by != "" && mode == v1alpha1.GateWarn) || audited != (by != "") {
		t.Errorf("%s: warned %v, audited %v, want %q in mode %s", what, a.warnedBy(), a.audited(t), by, mode)
	}
}

// without are the policies that said something, but for one.
func (a *answer) without(t *testing.T, policy string) []string {
	return slices.DeleteFunc(append(a.warnedBy(), a.audited(t)...), func(p string) bool { return p == policy })
}

// What starts only because it ran here is warned of, where a person sees warnings.
func TestRanHereIsWarnedOf(t *testing.T) {
	beside(t)
	for _, mode := range []v1alpha1.GateMode{v1alpha1.GateAudit, v1alpha1.GateWarn, v1alpha1.GateDeny} {
		g := newGated(t, mode, nil).enforce(t, content()...)
		for hex, want := range map[string]bool{ranHex: true, freshHex: false} {
			a := g.try(t, g.admin, podOf(ref(hex)))
			if a.err != nil {
				t.Errorf("%s: %v", mode, a.err)
			}
			if got := slices.Contains(a.audited(t), g.policy("ran")); got != want {
				t.Errorf("%s: noted %t, want %t", mode, got, want)
			}
			if got := slices.Contains(a.warnedBy(), g.policy("ran")); got != (want && mode != v1alpha1.GateAudit) {
				t.Errorf("%s: warned %t: %v", mode, got, a.warnings)
			}
		}
	}
}

func TestOnExpiredDenyKnowsNothingOfWhatRan(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, func(g *v1alpha1.ImageGate, _ *gate.Surroundings) {
		g.Spec.OnExpired = v1alpha1.ExpiredDeny
	}).enforce(t, content()...)
	if got := g.try(t, g.admin, podOf(ref(ranHex))).refusedBy(t); got != g.policy("digests") {
		t.Errorf("refused by %q", got)
	}
}

// Thirty-one containers with long names and as many exemptions as a gate may have cost less
// than the API server allows; one bad image among them is found.
func TestLargePods(t *testing.T) {
	beside(t)
	path := strings.Repeat("long-path-of-a-team/", 9)
	for _, shards := range []int{1, 16} {
		t.Run(fmt.Sprint(shards), func(t *testing.T) {
			t.Parallel()
			g := newGated(t, v1alpha1.GateDeny, func(g *v1alpha1.ImageGate, in *gate.Surroundings) {
				in.Shards = shards
				for i := range 63 {
					images := fmt.Sprintf("r.example/%s*-%d-%s", path, i, strings.Repeat("x*", 20))
					g.Spec.Exempt = append(g.Spec.Exempt, v1alpha1.GateExemption{Images: images, Reason: "a long one"})
				}
				g.Spec.Exempt = append(g.Spec.Exempt, v1alpha1.GateExemption{Images: "r.example/" + path + "exempt-*", Reason: "r"})
			}).enforce(t, sharded(shards, content())...)
			name := func(i int) string { return fmt.Sprintf("r.example/%sexempt-%d", path, i) }
			var verified, exempt, mixed []string
			for i := range 31 {
				verified = append(verified, fmt.Sprintf("r.example/%sa%d@sha256:%s", path, i, manyHex(i)))
				exempt = append(exempt, name(i)+":1")
				mixed = append(mixed, name(i)+"@sha256:"+unknownHex)
			}
			for what, images := range map[string][]string{"verified": verified, "exempt": exempt, "exempt digests": mixed} {
				if a := g.try(t, g.admin, podOf(images...)); a.err != nil {
					t.Errorf("%s: %v", what, a.err)
				}
				for i := range images {
					bad := slices.Clone(images)
					bad[i] = ref(unknownHex)
					want := "digests"
					if shards == 16 {
						want += "-" + unknownHex[:1]
					}
					if got := g.try(t, g.admin, podOf(bad...)).refusedBy(t); got != g.policy(want) {
						t.Errorf("%s with a bad one at %d: refused by %q", what, i, got)
					}
				}
			}
		})
	}
}

// sharded divides what a gate knows by the first digit.
func sharded(shards int, all []*v1alpha1.VerifiedImages) []*v1alpha1.VerifiedImages {
	if shards == 1 {
		return all
	}
	out := []*v1alpha1.VerifiedImages{all[1]}
	for _, d := range "0123456789abcdef" {
		o := &v1alpha1.VerifiedImages{ObjectMeta: metav1.ObjectMeta{Name: "GATE." + string(d)}, Digests: map[string]string{}, Ran: map[string]string{}}
		for hex, at := range all[0].Digests {
			if hex[0] == byte(d) {
				o.Digests[hex] = at
			}
		}
		for hex, at := range all[0].Ran {
			if hex[0] == byte(d) {
				o.Ran[hex] = at
			}
		}
		out = append(out, o)
	}
	return out
}

// Each of the sixteen policies judges its own digests, and no other one does.
func TestSixteenPolicies(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, func(_ *v1alpha1.ImageGate, in *gate.Surroundings) { in.Shards = 16 }).
		enforce(t, sharded(16, content())...)
	for hex, want := range map[string]string{
		freshHex: "", ranHex: "", expiredHex: "digests-b", longRanHex: "digests-d", unknownHex: "digests-e", manyHex(3): "",
		strings.Repeat("0", 64): "digests-0", strings.Repeat("f", 64): "digests-f",
	} {
		if got := g.try(t, g.admin, podOf(ref(hex))).refusedBy(t); got != g.named(want) {
			t.Errorf("%s is refused by %q, want %q", hex, got, want)
		}
	}
	if got := g.try(t, g.admin, podOf("r.example/team/app:1")).refusedBy(t); got != g.policy("tags") {
		t.Errorf("a tag is refused by %q", got)
	}
}
