package running

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/image"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

const (
	good    = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	bad     = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	old     = "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
	foreign = "sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
)

func testGate() Gate {
	return Gate{
		Name:     "production",
		Selects:  func(namespace string) bool { return strings.HasPrefix(namespace, "prod") },
		IsExempt: func(reference string) bool { return strings.HasPrefix(reference, "registry.k8s.io/") },
		Judge: func(d image.Digest) gate.Finding {
			return map[string]gate.Finding{
				good: {Standing: gate.Verified}, bad: {Standing: gate.Failed, Message: "it failed"}, old: {Standing: gate.Expired},
			}[d.String()]
		},
	}
}

func pod(name string, images ...string) corev1.Pod {
	p := corev1.Pod{}
	p.Namespace, p.Name, p.UID = "prod", name, types.UID("uid-"+name)
	for i, ref := range images {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "c" + strconv.Itoa(i), Image: ref})
	}
	return p
}

func with(p corev1.Pod, change func(*corev1.Pod)) corev1.Pod {
	change(&p)
	return p
}

func breakGlass(p *corev1.Pod) { p.Labels = map[string]string{v1alpha1.BreakGlassLabel: "true"} }

func runs(id string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c0", ImageID: id}} }
}

func TestAPodCountsAsTheWorstOfItsImages(t *testing.T) {
	for _, test := range []struct {
		name string
		pod  corev1.Pod
		want Standing
	}{
		{"verified", pod("p", "r.example/a@"+good), Verified},
		{"a tag stays readable beside the digest", pod("p", "r.example/a:1@"+good), Verified},
		{"verified and expired", pod("p", "r.example/a@"+good, "r.example/b@"+old), Expired},
		{"verified and unknown", pod("p", "r.example/a@"+good, "r.example/b@"+foreign), Unknown},
		{"unknown weighs more than expired", pod("p", "r.example/a@"+old, "r.example/b@"+foreign), Unknown},
		{"failed weighs most", pod("p", "r.example/a@"+foreign, "r.example/b@"+bad), Failed},
		{"exempt", pod("p", "registry.k8s.io/pause:3.10"), Exempt},
		{"exempt and verified", pod("p", "registry.k8s.io/pause:3.10", "r.example/a@"+good), Verified},
		{"an exemption does not cover another image", pod("p", "registry.k8s.io/pause:3.10", "r.example/b@"+foreign), Unknown},
		{"a tag that nobody resolved", pod("p", "r.example/a:1"), Unknown},
		{"a tag, and the node tells the digest", with(pod("p", "r.example/a:1"), runs("r.example/a@"+good)), Verified},
		{"a tag, and the node tells the digest of what failed", with(pod("p", "r.example/a:1"), runs("r.example/a@"+bad)), Failed},
		{"a configuration's digest is not the image's", with(pod("p", "r.example/a:1"), runs(good)), Unknown},
		{"the reference's digest is what the gate admitted", with(pod("p", "r.example/a@"+good), runs("r.example/a@"+foreign)), Verified},
		{"break-glass", with(pod("p", "r.example/a@"+foreign), breakGlass), BreakGlass},
		{"break-glass of what failed", with(pod("p", "r.example/a@"+bad), breakGlass), Failed},
		{"break-glass that nobody needed", with(pod("p", "r.example/a@"+good), breakGlass), Verified},
		{"an init container", with(pod("p", "r.example/a@"+good), func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "i", Image: "r.example/b@" + bad}}
		}), Failed},
		{"an image volume", with(pod("p", "r.example/a@"+good), func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "r.example/v:1"}}}}
		}), Unknown},
		{"an image volume that has the name of a container", with(pod("p", "r.example/a:1"), func(p *corev1.Pod) {
			runs("r.example/a@" + good)(p)
			p.Spec.Volumes = []corev1.Volume{{Name: "c0", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "r.example/v:1"}}}}
		}), Unknown},
		{"no image at all", pod("p"), Unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, _ := testGate().Look(&test.pod); got != test.want {
				t.Errorf("counts as %s, want %s", got, test.want)
			}
		})
	}
}

// pages serves Pods in pages of two, and fails where it is told to.
type pages struct {
	client.Reader
	pods   []corev1.Pod
	failAt int // the page, from 1; 0 never
	read   int
}

var errBroken = errors.New("the page broke")

func (p *pages) List(_ context.Context, into client.ObjectList, opts ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(opts)
	if p.read++; p.read == p.failAt {
		return errBroken
	}
	from := 0
	if o.Continue != "" {
		from, _ = strconv.Atoi(o.Continue)
	}
	end := min(from+2, len(p.pods))
	list, ok := into.(*corev1.PodList)
	if !ok {
		return fmt.Errorf("it lists %T", into)
	}
	list.Items = p.pods[from:end]
	if end < len(p.pods) {
		list.Continue = strconv.Itoa(end)
	}
	return nil
}

func count(t *testing.T, pods ...corev1.Pod) Census {
	t.Helper()
	all, err := Count(t.Context(), &pages{pods: pods}, []Gate{testGate()}, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

func TestACensusCountsEveryPage(t *testing.T) {
	elsewhere := with(pod("x", "r.example/a@"+bad), func(p *corev1.Pod) { p.Namespace = "test" })
	done := with(pod("done", "r.example/a@"+bad), func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })
	crashed := with(pod("crashed", "r.example/a@"+bad), func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })
	c := count(t, pod("a", "r.example/a@"+good), elsewhere, pod("b", "r.example/a@"+old), done, crashed,
		pod("c", "registry.k8s.io/pause:1"), pod("d", "r.example/d:1"),
		with(pod("e", "r.example/e@"+foreign), breakGlass), pod("f", "r.example/f@"+bad))
	s := c.Status()
	if s.ObservedAt == nil || !s.ObservedAt.Time.Equal(now) {
		t.Errorf("observed at %v", s.ObservedAt)
	}
	got := map[string]int64{
		"pods": s.Pods, "verified": s.Verified, "expired": s.Expired, "failed": s.Failed, "unknown": s.Unknown,
		"exempt": s.Exempt, "breakGlass": s.BreakGlass, "unverified": s.Unverified,
	}
	want := map[string]int64{
		"pods": 6, "verified": 1, "expired": 1, "failed": 1, "unknown": 1, "exempt": 1, "breakGlass": 1, "unverified": 4,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	var worst []string
	for _, w := range s.Worst {
		worst = append(worst, w.Pod+" "+w.Standing)
	}
	if diff := cmp.Diff([]string{"f Failed", "e BreakGlass", "d Unknown", "b Expired"}, worst); diff != "" {
		t.Errorf("worst (-want +got):\n%s", diff)
	}
	if len(c.BreakGlass) != 1 || len(c.Digests) != 4 {
		t.Errorf("break-glass %v, digests %v", c.BreakGlass, c.Digests)
	}
}

// Half a census would call what it did not see verified.
func TestABrokenPageIsNoCensus(t *testing.T) {
	broken := &pages{pods: []corev1.Pod{pod("a", "r.example/a@"+good), pod("b"), pod("c", "r.example/c@"+bad)}, failAt: 2}
	all, err := Count(t.Context(), broken, []Gate{testGate()}, func() time.Time { return now })
	if !errors.Is(err, errBroken) || all != nil {
		t.Errorf("got %v, %v; want no census and the error", all, err)
	}
}

// The worst come first even if they are read last, and no more than 20 are kept.
func TestTheWorstAreKeptOfMany(t *testing.T) {
	var pods []corev1.Pod
	for i := range 100 {
		pods = append(pods, pod(fmt.Sprintf("p%03d", i), "r.example/a:1"))
	}
	pods = append(pods, pod("z", "r.example/a@"+bad))
	c := count(t, pods...)
	if len(c.Worst) != maxWorst || c.Worst[0].Pod != "z" || c.Worst[1].Pod != "p000" || c.Worst[19].Pod != "p018" {
		t.Errorf("worst are %d, from %v", len(c.Worst), c.Worst)
	}
	if got := c.Status().Unknown; got != 100 {
		t.Errorf("unknown %d", got)
	}
}

// Whoever may make Pods in one namespace takes no room from others, and no more memory than a few
// megabytes: neither by many digests, nor by long references.
func TestOneNamespaceTakesNoRoomOfOthers(t *testing.T) {
	digest := func(i int) string { return fmt.Sprintf("sha256:%064x", i) }
	var images []string
	for i := range maxDigestsIn + 10 {
		images = append(images, "r.example/a@"+digest(i))
	}
	images[0] = strings.Repeat("x", 1<<20) + "@" + digest(0)
	other := with(pod("z", "r.example/a@"+good), func(p *corev1.Pod) { p.Namespace = "prod-other" })
	c := count(t, pod("many", images...), other)
	if got := len(c.Digests); got != maxDigestsIn+1 || c.Uncounted != 10 || len(c.Findings) != got {
		t.Errorf("%d digests, %d findings, and %d were not counted", got, len(c.Findings), c.Uncounted)
	}
	for d, place := range c.Digests {
		if len(place.Image) > maxReference {
			t.Errorf("of %s a reference of %d bytes is kept", d, len(place.Image))
		}
		if place.Pod.Namespace == "prod-other" && c.Findings[d].Standing != gate.Verified {
			t.Errorf("of another namespace: %+v", c.Findings[d])
		}
	}
}

// What only an exempt reference names does not run by a verdict.
func TestExemptReferencesNameNoDigest(t *testing.T) {
	c := count(t, pod("a", "registry.k8s.io/a@"+old), pod("b", "r.example/b@"+good))
	if len(c.Digests) != 1 || len(c.Findings) != 1 {
		t.Errorf("digests %v, findings %v", c.Digests, c.Findings)
	}
}
