package gate

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/push"
)

// hexOf is a digest of one letter. Those of a to f are verified, and that of 9.
func hexOf(c string) string { return strings.Repeat(c, 64) }

func at(c string) string { return "@sha256:" + hexOf(c) }

// known are the tags that a gate begins with.
var known = map[string]string{
	"docker.io/library/nginx:latest": hexOf("a"),
	"docker.io/library/nginx:1":      hexOf("b"),
	"docker.io/team/app:1":           hexOf("c"),
	"r.example.com/app:1":            hexOf("d"),
	"registry.svc:5000/shop/web:1":   hexOf("e"),
	"localhost/app:1":                hexOf("f"),
	"r.example.com/app:pending":      "BeingVerified",
	"r.example.com/app:bad":          "Failed",
	"r.example.com/app:old":          "Expired",
	"r.example.com/app:broken":       "NotVerified",
	"r.example.com/app:half":         "CheckOff",
}

// mutatingVersion asks the API server as the controller does.
func mutatingVersion(t *testing.T) string {
	t.Helper()
	for _, version := range gate.MutatingVersions() {
		kind := schema.GroupKind{Group: "admissionregistration.k8s.io", Kind: "MutatingAdmissionPolicy"}
		_, err := asAdmin(t).RESTMapper().RESTMapping(kind, version)
		if err == nil {
			return version
		}
		if !meta.IsNoMatchError(err) {
			t.Fatal(err)
		}
	}
	return ""
}

// pinned is a gate that knows tags, and the namespace behind it.
type pinned struct {
	*gated
	tags *v1alpha1.VerifiedImages
}

// newTagged puts a gate that knows tags into force.
func newTagged(t *testing.T, mode v1alpha1.GateMode, change func(*v1alpha1.ImageGate, *gate.Surroundings)) pinned {
	t.Helper()
	version := mutatingVersion(t)
	if mutating != (version != "") {
		t.Fatalf("the API server serves version %q, and mutating is %v", version, mutating)
	}
	now := time.Now().UTC().Format(time.RFC3339)
	digests := &v1alpha1.VerifiedImages{ObjectMeta: metav1.ObjectMeta{Name: "GATE"}, Digests: map[string]string{}}
	for _, c := range "abcdef9" {
		digests.Digests[hexOf(string(c))] = now
	}
	tags := &v1alpha1.VerifiedImages{ObjectMeta: metav1.ObjectMeta{Name: "GATE.tags"}, Tags: known}
	g := newGated(t, mode, func(g *v1alpha1.ImageGate, in *gate.Surroundings) {
		in.MutatingServed, in.MutatingVersion = mutating, version
		g.Spec.Exempt = []v1alpha1.GateExemption{{Images: "free.example/**", Reason: "as it stands"}}
		if change != nil {
			change(g, in)
		}
	}).enforce(t, digests, tags)
	p := pinned{gated: g, tags: &v1alpha1.VerifiedImages{}}
	if err := g.admin.Get(t.Context(), client.ObjectKey{Namespace: revetNamespace, Name: gate.TagsName(g.gate.Name)}, p.tags); err != nil {
		t.Fatal(err)
	}
	if len(g.objects.Pins) > 0 {
		p.awaitPin(t, "nginx:1", "nginx:1"+at("b"))
		live := p.create(t, podOf("nginx:1"))
		live.Spec.Containers[0].Image = "nginx:1"
		p.await(t, "a pin is kept", func() error { return p.update(t, p.admin, live).err })
	}
	return p
}

// newPinned is one in Deny, on a cluster that pins.
func newPinned(t *testing.T) pinned {
	t.Helper()
	return newTagged(t, v1alpha1.GateDeny, nil)
}

// knows replaces what the gate knows of tags.
func (g pinned) knows(t *testing.T, tags map[string]string) {
	t.Helper()
	g.tags.Tags = tags
	if err := g.admin.Update(t.Context(), g.tags); err != nil {
		t.Fatal(err)
	}
}

// becomes makes a Pod with an image, for show. It returns what its image would be, or why it
// would not be.
func (g pinned) becomes(t *testing.T, image string) string {
	t.Helper()
	return g.becomesFor(t, g.admin, podOf(image))
}

func (g pinned) becomesFor(t *testing.T, u user, p *corev1.Pod) string {
	t.Helper()
	p.Namespace = g.namespace
	if err := u.Create(t.Context(), p, client.DryRunAll); err != nil {
		return err.Error()
	}
	return p.Spec.Containers[0].Image
}

// awaitPin waits until an image becomes another.
func (g pinned) awaitPin(t *testing.T, image, want string) {
	t.Helper()
	g.await(t, image+" becomes "+want, func() error {
		if got := g.becomes(t, image); got != want {
			return errors.New(got)
		}
		return nil
	})
}

func (g pinned) create(t *testing.T, p *corev1.Pod) *corev1.Pod {
	t.Helper()
	p = p.DeepCopy()
	p.Namespace = g.namespace
	if err := g.admin.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return p
}

func images(p *corev1.Pod) []string {
	var all []string
	for _, u := range gate.Uses(&p.Spec) {
		all = append(all, u.Image)
	}
	return all
}

// Every form of a name is the same tag, and keeps its form. Where the API server pins nothing,
// the message says what to write, and that is admitted.
func TestEveryFormOfATagsName(t *testing.T) {
	beside(t)
	g := newTagged(t, v1alpha1.GateDeny, nil)
	for image, want := range map[string]string{
		"nginx":                                "nginx:latest" + at("a"),
		"nginx:latest":                         "nginx:latest" + at("a"),
		"library/nginx":                        "library/nginx:latest" + at("a"),
		"docker.io/nginx":                      "docker.io/nginx:latest" + at("a"),
		"docker.io/library/nginx:latest":       "docker.io/library/nginx:latest" + at("a"),
		"index.docker.io/library/nginx:latest": "index.docker.io/library/nginx:latest" + at("a"),
		"index.docker.io/nginx:1":              "index.docker.io/nginx:1" + at("b"),
		"nginx:1":                              "nginx:1" + at("b"),
		"team/app:1":                           "team/app:1" + at("c"),
		"r.example.com/app:1":                  "r.example.com/app:1" + at("d"),
		"registry.svc:5000/shop/web:1":         "registry.svc:5000/shop/web:1" + at("e"),
		"localhost/app:1":                      "localhost/app:1" + at("f"),
		// What is exempt, or has a digest.
		"free.example/app:1":      "free.example/app:1",
		"nginx" + at("9"):         "nginx" + at("9"),
		"nginx:1" + at("9"):       "nginx:1" + at("9"),
		"any.example/x" + at("9"): "any.example/x" + at("9"),
	} {
		got := g.becomes(t, image)
		if !mutating && image != want {
			if !strings.Contains(got, "write "+want) {
				t.Errorf("%s: %s, want to be told to write %s", image, got, want)
			}
			got = g.becomes(t, want)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", image, got, want)
		}
	}
}

// A Pod may have many images with long names.
func TestPinsLargePods(t *testing.T) {
	beside(t)
	g := newPinned(t)
	long := "r.example.com/" + strings.Repeat("a", 185) + ":1"
	g.knows(t, map[string]string{long: hexOf("a"), "docker.io/library/nginx:1": hexOf("9")})
	g.awaitPin(t, "nginx:1", "nginx:1"+at("9"))
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "large"}}
	for i := range 31 {
		c := corev1.Container{Name: fmt.Sprint("c", i), Image: long}
		p.Spec.Containers = append(p.Spec.Containers, c)
		c.Name = fmt.Sprint("i", i)
		p.Spec.InitContainers = append(p.Spec.InitContainers, c)
	}
	live := g.create(t, p)
	again := live.DeepCopy()
	again.Spec.Containers, again.Spec.InitContainers = p.Spec.Containers, p.Spec.InitContainers
	for i := range again.Spec.Containers {
		again.Spec.Containers[i] = *live.Spec.Containers[i].DeepCopy()
		again.Spec.InitContainers[i] = *live.Spec.InitContainers[i].DeepCopy()
		again.Spec.Containers[i].Image, again.Spec.InitContainers[i].Image = long, long
	}
	if err := g.admin.Update(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	for _, image := range append(images(live), images(again)...) {
		if image != long+at("a") {
			t.Fatalf("an image is %s", image)
		}
	}
}

// Only images change: neither other fields nor the order of a list, whatever of it is pinned.
func TestPinsEveryPlaceOfAPod(t *testing.T) {
	beside(t)
	g := newPinned(t)
	always := corev1.ContainerRestartPolicyAlways
	whole := func(image func(string) string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Labels: map[string]string{"a": "b"}}, Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{
				{Name: "z", Image: image("free.example/x:1"), Args: []string{"1"}},
				{Name: "y", Image: image("nginx:1"), Env: []corev1.EnvVar{{Name: "A", Value: "1"}}, RestartPolicy: &always},
				{Name: "x", Image: image("free.example/y:1")},
				{Name: "w", Image: image("team/app:1")},
			},
			Containers: []corev1.Container{
				{Name: "b", Image: image("team/app:1"), ImagePullPolicy: corev1.PullNever, Command: []string{"x", "y"}},
				{Name: "a", Image: image("free.example/x:1")},
				{Name: "c", Image: image("nginx"), VolumeMounts: []corev1.VolumeMount{{Name: "v", MountPath: "/v"}}},
			},
			Volumes: []corev1.Volume{
				{Name: "e", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
				{Name: "v", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: image("r.example.com/app:1"), PullPolicy: corev1.PullNever}}},
				{Name: "u", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: image("free.example/x:1")}}},
			},
		}}
	}
	pins := map[string]string{"nginx:1": "nginx:1" + at("b"), "team/app:1": "team/app:1" + at("c"), "nginx": "nginx:latest" + at("a"), "r.example.com/app:1": "r.example.com/app:1" + at("d")}
	got := g.create(t, whole(func(s string) string { return s }))
	want := whole(func(s string) string {
		if pin := pins[s]; pin != "" {
			return pin
		}
		return s
	})
	if diff := cmp.Diff(images(want), images(got)); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	// What the API server says of the same Pod with the digests written by hand.
	want.Name, want.Namespace = "q", g.namespace
	if err := g.admin.Create(t.Context(), want, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	want.Spec.Containers[2].ImagePullPolicy = corev1.PullAlways // of a tag that is latest
	if diff := cmp.Diff(want.Spec, got.Spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}

// The words say why, and what to write instead.
func TestATagThatIsNotPinnedIsRefusedWithWhatToDo(t *testing.T) {
	beside(t)
	gates := map[v1alpha1.PinPolicy]pinned{}
	for _, policy := range []v1alpha1.PinPolicy{v1alpha1.PinNewest, v1alpha1.PinOff} {
		gates[policy] = newTagged(t, v1alpha1.GateDeny, func(g *v1alpha1.ImageGate, _ *gate.Surroundings) { g.Spec.PinTags = policy })
	}
	for _, test := range []struct {
		name   string
		policy v1alpha1.PinPolicy
		image  string
		pinned bool // where the API server pins
		want   string
	}{
		{"verified", v1alpha1.PinNewest, "nginx:1", true, "write nginx:1" + at("b")},
		{"verified, without a tag", v1alpha1.PinNewest, "docker.io/nginx", true, "write docker.io/nginx:latest" + at("a")},
		{"being verified", v1alpha1.PinNewest, "r.example.com/app:pending", false, "its newest push is being verified"},
		{"failed", v1alpha1.PinNewest, "r.example.com/app:bad", false, "its newest push failed"},
		{"expired", v1alpha1.PinNewest, "r.example.com/app:old", false, "the verdict of its newest push is too old"},
		{"no verdict", v1alpha1.PinNewest, "r.example.com/app:broken", false, "ended without a verdict"},
		{"half a verdict", v1alpha1.PinNewest, "r.example.com/app:half", false, "does not meet the gate's requirements: CheckOff"},
		{"unknown", v1alpha1.PinNewest, "nginx:2", false, "no trusted trigger has recorded a push of this tag; write docker.io/library/nginx:2@sha256:DIGEST"},
		{"no tags are taken", v1alpha1.PinOff, "nginx:1", false, "the gate takes no tags; write docker.io/library/nginx:1@sha256:DIGEST"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := gates[test.policy]
			got := g.becomes(t, test.image)
			if test.pinned && mutating {
				if strings.Contains(got, "denied") {
					t.Errorf("it is refused: %s", got)
				}
				return
			}
			if !strings.Contains(got, "ImageGate "+g.gate.Name+" refuses "+test.image+": ") || !strings.Contains(got, test.want) {
				t.Errorf("message is %q, want %q", got, test.want)
			}
			// Whoever knows what to write needs no other command.
			if strings.Contains(got, "kubectl revet") == test.pinned {
				t.Errorf("message is %q", got)
			}
		})
	}
}

// In Audit and Warn nothing is changed, and a tag is judged as it would be pinned.
func TestNothingIsPinnedUnlessInDeny(t *testing.T) {
	beside(t)
	for _, mode := range []v1alpha1.GateMode{v1alpha1.GateAudit, v1alpha1.GateWarn} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			g := newTagged(t, mode, nil)
			if len(g.objects.Pins) != 0 {
				t.Errorf("there are %d objects that pin", len(g.objects.Pins))
			}
			for image, says := range map[string]bool{"nginx:1": !mutating, "nginx:2": true} {
				p := podOf(image)
				if got := g.becomesFor(t, g.admin, p); got != image {
					t.Errorf("%s becomes %s", image, got)
				}
				if a := g.try(t, g.admin, podOf(image)); a.says(t, g.policy("tags")) != says {
					t.Errorf("%s: the policy speaks up: %v, want %v", image, !says, says)
				}
			}
		})
	}
}

// What the ledger says becomes what the API server does.
func TestPinsFollowTheNewestPush(t *testing.T) {
	beside(t)
	g := newPinned(t)
	standings := map[string]gate.Standing{hexOf("a"): gate.Verified, hexOf("b"): gate.Verified, hexOf("c"): gate.Failed}
	find := func(hex string) gate.Finding { return gate.Finding{Standing: standings[hex]} }
	pushes := []gate.TagPush{}
	pushed := func(c string, sequence int64, underway bool) {
		pushes = append(pushes, gate.TagPush{Trigger: "t", Repository: push.Repository{Kind: push.Registry, Name: "r.example.com/web"}, Tag: "1",
			Moment: push.Moment{Sequence: sequence, PushedAt: sequence}, Digest: hexOf(c), Underway: underway})
	}
	const image = "r.example.com/web:1"
	for _, step := range []struct {
		name               string
		pushed             string
		underway           bool
		newest, lastPassed string
	}{
		{"a push that passed", "a", false, "a", "a"},
		{"a push that is being verified", "d", true, "", "a"},
		{"a newer push that passed", "b", false, "b", "b"},
		{"a push that failed", "c", false, "", "b"},
		{"back to the first", "a", false, "a", "a"},
	} {
		pushed(step.pushed, int64(len(pushes)+1), step.underway)
		for policy, want := range map[v1alpha1.PinPolicy]string{v1alpha1.PinNewest: step.newest, v1alpha1.PinLastPassed: step.lastPassed} {
			tags := gate.Rules{}.Pins(policy, pushes, find, nil, gate.MaxTagBytes).Tags
			// A tag that moves with it shows that the API server has seen the change.
			tags["r.example.com/clock:"+fmt.Sprint(len(pushes), "-", policy)] = hexOf("f")
			g.knows(t, tags)
			clock := fmt.Sprint("r.example.com/clock:", len(pushes), "-", policy)
			g.awaitPin(t, clock, clock+at("f"))
			got := g.becomes(t, image)
			if want != "" && got != image+at(want) || want == "" && !strings.Contains(got, "refuses "+image) {
				t.Errorf("%s, %s: %s, want %q", step.name, policy, got, want)
			}
		}
	}
}

// In an emergency what was verified may be what does not work.
func TestPinsNothingBehindBreakGlass(t *testing.T) {
	beside(t)
	g := newPinned(t)
	labelled := func() *corev1.Pod {
		p := podOf("nginx:1")
		p.Labels = map[string]string{gate.BreakGlassLabel: "true"}
		return p
	}
	if got := g.becomesFor(t, asDeveloper(t), labelled()); got != "nginx:1"+at("b") {
		t.Errorf("for somebody whose label does not count, nginx:1 becomes %s", got)
	}
	if got := g.becomesFor(t, g.admin, labelled()); got != "nginx:1" {
		t.Errorf("for somebody who may, nginx:1 becomes %s", got)
	}
}

// An excluded namespace is none of the gate's business, nor is one that it does not select.
func TestPinsOnlyInGatedNamespaces(t *testing.T) {
	beside(t)
	g := newTagged(t, v1alpha1.GateDeny, func(g *v1alpha1.ImageGate, in *gate.Surroundings) {
		in.Excluded, in.ExcludedPrefixes = []string{"by-name-" + g.Name}, []string{"by-prefix-"}
	})
	selected := map[string]string{"gated": g.namespace}
	for name, test := range map[string]struct {
		labels map[string]string
		want   string
	}{
		"by-name-" + g.gate.Name:    {selected, "nginx:1"},
		"by-prefix-" + g.gate.Name:  {selected, "nginx:1"},
		"unselected-" + g.gate.Name: {nil, "nginx:1"},
		"selected-" + g.gate.Name:   {selected, "nginx:1" + at("b")},
	} {
		g.makeNamespace(t, name, test.labels)
		p := podOf("nginx:1")
		p.Namespace = name
		if err := g.admin.Create(t.Context(), p, client.DryRunAll); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := p.Spec.Containers[0].Image; got != test.want {
			t.Errorf("%s: nginx:1 becomes %s, want %s", name, got, test.want)
		}
	}
}
