package gate

import (
	"fmt"
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
		{ObjectMeta: metav1.ObjectMeta{Name: "GATE-tags"}, Tags: map[string]string{
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
		{Images: "old.example/**", Reason: "ended", Expires: day(-1)},
		{Images: "new.example/**", Reason: "ends today", Expires: day(0)},
	}
}

// places are where an image stands in a Pod that is made.
var places = map[string]func(image string) *corev1.Pod{
	"container":     func(image string) *corev1.Pod { return simplePod(ref(freshHex), image) },
	"the only one":  func(image string) *corev1.Pod { return simplePod(image) },
	"initContainer": func(image string) *corev1.Pod { return withInit(simplePod(ref(freshHex)), image) },
	"image volume":  func(image string) *corev1.Pod { return withVolume(simplePod(ref(freshHex)), image) },
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

// references are the images of the table, and the policy that refuses each; "" for none.
var references = map[string]string{
	ref(freshHex): "",
	"r.example/team/app:any@sha256:" + freshHex: "",
	"app@sha256:" + freshHex:                    "",
	ref(expiredHex):                             "digests",
	ref(ranHex):                                 "",
	ref(longRanHex):                             "digests",
	ref(unknownHex):                             "digests",
	"r.example/team/app:1":                      "tags",
	"r.example/team/app":                        "tags",
	"nginx":                                     "tags",
	"UPPER.example/a@sha256:" + freshHex:        "digests",
	"a@sha256:" + strings.ToUpper(freshHex):     "tags",
	"a@sha512:" + freshHex + freshHex:           "tags",
	"a@sha256:" + freshHex[1:]:                  "tags",
	freshHex:                                    "tags",
	"sha256:" + freshHex:                        "tags",

	"registry.k8s.io/pause:3.10":                           "",
	"registry.k8s.io/a/b/c@sha256:" + unknownHex:           "",
	"evil.example/registry.k8s.io/x:1":                     "tags",
	"evil.example/registry.k8s.io/x@sha256:" + unknownHex:  "digests",
	"registryxk8s.io/x:1":                                  "tags",
	"registry.k8s.io.evil.example/x:1":                     "tags",
	"registry.k8s.io:443/x:1":                              "tags",
	"quay.io/team/x:v1":                                    "",
	"quay.io/team/x:v2":                                    "tags",
	"quay.io/team/x/y:v1":                                  "tags",
	"quay.io/team/x:v1@sha256:" + unknownHex:               "digests",
	"busybox":                                              "",
	"docker.io/busybox:1":                                  "",
	"index.docker.io/library/busybox@sha256:" + unknownHex: "",
	"evil/busybox":                                         "tags",
	"old.example/a:1":                                      "tags",
	"new.example/a:1":                                      "",
}

// Every place of a Pod, times every reference.
func TestDenyJudgesEveryPlace(t *testing.T) {
	g := newGated(t, v1alpha1.GateDeny, exempting, content()...)
	for place, shape := range places {
		for image, by := range references {
			t.Run(place+"/"+image, func(t *testing.T) {
				want := ""
				if by != "" {
					want = g.policy(by)
				}
				a := g.try(t, g.admin, shape(image))
				if got := a.refusedBy(t); got != want {
					t.Errorf("refused by %q, want %q: %v", got, want, a.err)
				}
			})
		}
	}
}
