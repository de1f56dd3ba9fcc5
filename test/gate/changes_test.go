package gate

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
)

// The images of a Pod that is older than its gate.
const oldTag = "nginx:1"

var oldPinned = "r.example/team/app:1@sha256:" + unknownHex

// oldPod is a Pod that is older than its gate.
func (g *gated) oldPod(t *testing.T) *corev1.Pod {
	t.Helper()
	p := withInit(podOf(oldPinned, oldTag), oldPinned)
	p.Namespace, p.GenerateName, p.Name = g.namespace, "", "old"
	p.Finalizers = []string{"example.test/job"}
	p.Labels = map[string]string{"app": "a"}
	g.make(t, p)
	return p
}

// change is a change of the old Pod, and whether the gate refuses it to a developer.
type change struct {
	name    string
	change  func(*corev1.Pod)
	refused bool
}

func image(container int, image string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.Containers[container].Image = image }
}

var changes = []change{
	{"a label", func(p *corev1.Pod) { p.Labels["b"] = "c" }, false},
	{"an annotation", func(p *corev1.Pod) { p.Annotations = map[string]string{"b": "c"} }, false},
	{"no finalizer", func(p *corev1.Pod) { p.Finalizers = nil }, false},
	{"an owner", func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "j", UID: "1"}}
	}, false},
	{"a deadline", func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = new(int64); *p.Spec.ActiveDeadlineSeconds = 9 }, false},
	{"a toleration", func(p *corev1.Pod) { p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Key: "k"}) }, false},

	{"another digest", image(0, "r.example/team/app:1@sha256:"+longRanHex), true},
	{"a verified digest", image(0, ref(freshHex)), true},
	{"another digest of an init container", func(p *corev1.Pod) { p.Spec.InitContainers[0].Image = ref(longRanHex) }, true},
	{"the same digest with another tag", image(0, "r.example/team/app:2@sha256:"+unknownHex), false},
	{"the same digest elsewhere", image(0, "docker.io/x@sha256:"+unknownHex), false},
	{"the digest of another container", image(1, oldPinned), true},
	{"no digest", image(0, "r.example/team/app:1"), true},
	{"a digest for a tag", image(1, "nginx:1@sha256:"+freshHex), true},
	{"another tag", image(1, "nginx:2"), true},
	{"what is no digest", image(0, "r.example/team/app:1@sha256:"+strings.ToUpper(unknownHex)), true},
	{"an exempt image", image(1, "registry.k8s.io/pause:3"), false},
	{"an image that looks exempt", image(1, "evil.example/registry.k8s.io/pause:3"), true},
	{"an exempt image and another one", func(p *corev1.Pod) {
		p.Spec.Containers[0].Image, p.Spec.Containers[1].Image = "registry.k8s.io/pause:3", "nginx:2"
	}, true},
	{"a label of break-glass and another image", func(p *corev1.Pod) {
		p.Labels[gate.BreakGlassLabel], p.Spec.Containers[1].Image = "true", "nginx:2"
	}, true},
}

func (g *gated) expectChanges(t *testing.T, u user, old *corev1.Pod, refused bool) {
	t.Helper()
	for _, c := range changes {
		p := old.DeepCopy()
		c.change(p)
		want := ""
		if c.refused && refused {
			want = g.policy("changes")
		}
		a := g.update(t, u, p)
		if got := a.refusedBy(t); got != want {
			t.Errorf("%s: refused by %q, want %q: %v", c.name, got, want, a.err)
		}
		if c.refused && !refused && !a.says(t, g.policy("changes")) {
			t.Errorf("%s: nobody says that it would be refused", c.name)
		}
	}
}

// The images of Pods that exist stay as they are, and everything else may change, whatever the
// gate knows or is missing.
func TestChangesOfPods(t *testing.T) {
	beside(t)
	for _, mode := range []v1alpha1.GateMode{v1alpha1.GateAudit, v1alpha1.GateWarn, v1alpha1.GateDeny} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			g := newGated(t, mode, exempting)
			old := g.oldPod(t)
			g.enforce(t, content()...)
			g.expectChanges(t, asDeveloper(t), old, mode == v1alpha1.GateDeny)
		})
	}
}

// Whoever may do without the gate says so by the label.
func TestBypassOfChanges(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, exempting)
	old := g.oldPod(t)
	g.enforce(t, content()...)
	old.Spec.Containers[1].Image = "nginx:2"
	if got := g.update(t, g.admin, old).refusedBy(t); got != g.policy("changes") {
		t.Errorf("without the label it is refused by %q", got)
	}
	old.Labels[gate.BreakGlassLabel] = "true"
	if a := g.update(t, g.admin, old); a.err != nil {
		t.Error(a.err)
	}
	controller := asUser(t, gate.WorkloadControllers()[0], developers)
	if got := g.update(t, controller, old).refusedBy(t); got != g.policy("changes") {
		t.Errorf("a controller's change is refused by %q", got)
	}
}

// debug adds ephemeral containers to a Pod as kubectl debug does.
func (g *gated) debug(t *testing.T, u user, p *corev1.Pod, images ...string) *answer {
	t.Helper()
	p = p.DeepCopy()
	for i, image := range images {
		p.Spec.EphemeralContainers = append(p.Spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debugger-" + string(rune('a'+i+len(p.Spec.EphemeralContainers))), Image: image,
				TerminationMessagePolicy: corev1.TerminationMessageReadFile, ImagePullPolicy: corev1.PullIfNotPresent}})
	}
	return ask(t, func(ctx context.Context) error {
		return u.SubResource("ephemeralcontainers").Update(ctx, p, client.DryRunAll)
	})
}

// Ephemeral containers are judged as Pods that are made are; what the Pod runs already is not.
func TestEphemeralContainers(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, exempting)
	old := g.oldPod(t)
	g.enforce(t, content()...)
	developer := asDeveloper(t)
	for _, r := range references {
		if r.image == ref(expiredHex) || strings.HasPrefix(r.image, "old.example") {
			continue // the API server tells an update the Pod's time, not its own
		}
		a := g.debug(t, developer, old, r.image)
		if got, want := a.refusedBy(t), g.named(r.deny); got != want {
			t.Errorf("%s is refused by %q, want %q: %v", r.image, got, want, a.err)
		}
		if r.deny != "" {
			if got := g.debug(t, developer, old, ref(freshHex), r.image).refusedBy(t); got != g.policy(r.deny) {
				t.Errorf("%s beside another one is refused by %q", r.image, got)
			}
		}
	}
}

// An ephemeral container that is there does not stand in the way of the next, and is no excuse
// for another of the same image under another name.
func TestEphemeralContainersThatAreThere(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, exempting)
	old := g.oldPod(t)
	old.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "first", Image: oldTag,
		TerminationMessagePolicy: corev1.TerminationMessageReadFile, ImagePullPolicy: corev1.PullIfNotPresent}}}
	if err := g.admin.SubResource("ephemeralcontainers").Update(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	g.enforce(t, content()...)
	if a := g.debug(t, asDeveloper(t), old, ref(freshHex)); a.err != nil {
		t.Error(a.err)
	}
	if got := g.debug(t, asDeveloper(t), old, oldTag).refusedBy(t); got != g.policy("tags") {
		t.Errorf("the same image again is refused by %q", got)
	}
}

// kubectl debug of a node makes a Pod.
func TestDebugOfANode(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, exempting).enforce(t, content()...)
	node := func(image string) *corev1.Pod {
		p := podOf(image)
		p.Spec.NodeName, p.Spec.HostPID, p.Spec.HostIPC, p.Spec.HostNetwork = "node", true, true, true
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
		p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
		p.Spec.Volumes = []corev1.Volume{{Name: "host-root", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}}
		return p
	}
	if got := g.try(t, g.admin, node("ubuntu")).refusedBy(t); got != g.policy("tags") {
		t.Errorf("refused by %q", got)
	}
	if a := g.try(t, g.admin, node(ref(freshHex))); a.err != nil {
		t.Error(a.err)
	}
}

// With the parameter, its kind or its namespace gone, a gate in Deny starts nothing, and what
// runs can be changed and ended; in Audit and Warn everything starts.
func TestNothingLocksWhenItIsGone(t *testing.T) {
	alone(t)
	for _, mode := range []v1alpha1.GateMode{v1alpha1.GateAudit, v1alpha1.GateWarn, v1alpha1.GateDeny} {
		t.Run(string(mode), func(t *testing.T) {
			g := newGated(t, mode, func(g *v1alpha1.ImageGate, in *gate.Surroundings) {
				exempting(g, in)
				in.SystemNamespace = "system-" + g.Name
			})
			g.makeNamespace(t, g.in.SystemNamespace, nil)
			old := g.oldPod(t)
			workload := deploymentOf(oldTag)
			workload.Namespace = g.namespace
			g.make(t, workload)
			g.enforce(t, content()...)
			developer := asDeveloper(t)
			gone := func(what string) {
				t.Helper()
				for _, image := range []string{ref(freshHex), ref(unknownHex), "nginx:1"} {
					if mode == v1alpha1.GateDeny {
						g.await(t, "without "+what+" nothing starts", func() error {
							if a := g.try(t, developer, podOf(image)); !strings.Contains(a.refusedBy(t), g.gate.Name) {
								return errAdmitted
							}
							return nil
						})
						continue
					}
					if a := g.try(t, developer, podOf(image)); a.err != nil {
						t.Errorf("without %s: %v", what, a.err)
					}
				}
				g.expectChanges(t, developer, old, mode == v1alpha1.GateDeny)
				changed := workload.DeepCopy()
				changed.Finalizers, changed.Spec.Template.Spec.Containers[0].Image = []string{"example.test/x"}, "nginx:2"
				if a := g.update(t, developer, changed); a.err != nil {
					t.Errorf("without %s a Deployment: %v", what, a.err)
				}
			}
			for _, o := range content() {
				o.Namespace, o.Name = g.in.SystemNamespace, strings.Replace(o.Name, "GATE", g.gate.Name, 1)
				if err := g.admin.Delete(t.Context(), o); err != nil {
					t.Fatal(err)
				}
			}
			gone("its parameters")
			if err := g.admin.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: g.in.SystemNamespace}}); err != nil {
				t.Fatal(err)
			}
			gone("its namespace")
			g.withoutKind(t, "VerifiedImages", func() { gone("their kind") })
			g.delete(t)
			g.await(t, "the gate's end", func() error { return g.try(t, developer, podOf("nginx:1")).err })
		})
	}
}

// delete ends a gate, as the garbage collector does that follows its owner's end.
func (g *gated) delete(t *testing.T) {
	t.Helper()
	for _, b := range g.objects.Bindings {
		if err := g.admin.Delete(t.Context(), b.DeepCopy()); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range g.objects.Policies {
		if err := g.admin.Delete(t.Context(), p.DeepCopy()); err != nil {
			t.Fatal(err)
		}
	}
}
