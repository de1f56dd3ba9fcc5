package gate

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
)

// The UIDs of owners.
const trustedUID, untrustedUID = "11111111-trusted", "22222222-untrusted"

// withUntrusted adds an owner whose label does not count to everything that a gate knows.
func withUntrusted(all []*v1alpha1.VerifiedImages) []*v1alpha1.VerifiedImages {
	for _, o := range all {
		o.UntrustedOwners = map[string]string{untrustedUID: "Deployment/x/y"}
	}
	return all
}

func owned[T client.Object](o T, uids ...string) T {
	for i, uid := range uids {
		controller := i == 0
		o.SetOwnerReferences(append(o.GetOwnerReferences(), metav1.OwnerReference{
			APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "o", UID: types.UID(uid), Controller: &controller}))
	}
	return o
}

func glass(images ...string) *corev1.Pod {
	p := podOf(images...)
	p.Labels = map[string]string{gate.BreakGlassLabel: "true"}
	return p
}

func TestBreakGlassOfPods(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, nil)
	old := g.oldPod(t)
	labelled := owned(glass(oldTag), trustedUID)
	labelled.Namespace, labelled.GenerateName, labelled.Name = g.namespace, "", "labelled"
	g.make(t, labelled)
	g.enforce(t, withUntrusted(content())...)
	developer := asDeveloper(t)
	for image, by := range map[string]string{ref(unknownHex): "digests", "nginx:1": "tags"} {
		other := glass(image)
		other.Labels[gate.BreakGlassLabel] = "yes"
		annotated := podOf(image)
		annotated.Annotations = map[string]string{gate.BreakGlassLabel: "true"}
		for _, test := range []struct {
			name    string
			who     user
			pod     *corev1.Pod
			refused bool
		}{
			{"the right and the label", g.admin, glass(image), false},
			{"the right without the label", g.admin, podOf(image), true},
			{"the right and another value", g.admin, other, true},
			{"the right and an annotation", g.admin, annotated, true},
			{"the label without the right", developer, glass(image), true},
			{"the label and a forged owner", developer, owned(glass(image), trustedUID), true},
			{"the right and an untrusted owner", g.admin, owned(glass(image), untrustedUID), false},
		} {
			want := ""
			if test.refused {
				want = g.policy(by)
			}
			if a := g.try(t, test.who, test.pod); a.refusedBy(t) != want {
				t.Errorf("%s: refused by %q, want %q: %v", test.name, a.refusedBy(t), want, a.err)
			}
		}
		for _, name := range gate.WorkloadControllers() {
			controller := asUser(t, name, developers)
			for what, pod := range map[string]*corev1.Pod{
				"":                           owned(glass(image), trustedUID),
				"an untrusted owner":         owned(glass(image), untrustedUID),
				"an untrusted owner besides": owned(glass(image), trustedUID, untrustedUID),
				"no owner":                   glass(image),
				"an owner and no label":      owned(podOf(image), trustedUID),
			} {
				want := g.policy(by)
				if what == "" {
					want = ""
				}
				if a := g.try(t, controller, pod); a.refusedBy(t) != want {
					t.Errorf("%s with %s: refused by %q, want %q: %v", name, what, a.refusedBy(t), want, a.err)
				}
			}
		}
		manager := asUser(t, "system:kube-controller-manager", developers)
		if got := g.try(t, manager, owned(glass(image), trustedUID)).refusedBy(t); got != g.policy(by) {
			t.Errorf("a controller that is not listed: refused by %q", got)
		}
		if got := g.debug(t, developer, labelled, image).refusedBy(t); got != g.policy(by) {
			t.Errorf("an ephemeral container of a labelled Pod: refused by %q", got)
		}
		if a := g.debug(t, g.admin, labelled, image); a.err != nil {
			t.Error(a.err)
		}
		if got := g.debug(t, g.admin, old, image).refusedBy(t); got != g.policy(by) {
			t.Errorf("an ephemeral container by right without a label: refused by %q", got)
		}
		controller := asUser(t, gate.WorkloadControllers()[0], developers)
		if got := g.debug(t, controller, labelled, image).refusedBy(t); got != g.policy(by) {
			t.Errorf("an ephemeral container of a controller: refused by %q", got)
		}
	}
}

// The label on a template takes the right, in every kind, or one of Kubernetes' controllers
// that copies what has it.
func TestBreakGlassOfTemplates(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, nil).enforce(t, withUntrusted(content())...)
	developer := asDeveloper(t)
	kinds := map[string]func(corev1.PodTemplateSpec) client.Object{"ControllerRevision": revision}
	for kind, make := range workloads {
		kinds[kind] = make
	}
	copied := map[string]bool{"ReplicaSet": true, "Job": true}
	for kind, make := range kinds {
		of := func(glass bool, uids ...string) client.Object {
			return owned(named(make(templateWith(glass, "nginx:1"))), uids...)
		}
		expect := func(what string, u user, o client.Object, by string) {
			t.Helper()
			if a := g.try(t, u, o); a.refusedBy(t) != g.named(by) {
				t.Errorf("%s, %s: refused by %q, want %q: %v", kind, what, a.refusedBy(t), by, a.err)
			}
		}
		expect("the right", g.admin, of(true), "")
		expect("no right", developer, of(true), "breakglass")
		expect("no right and a forged owner", developer, of(true, trustedUID), "breakglass")
		expect("no label", developer, of(false), "")
		for _, name := range gate.WorkloadControllers() {
			controller := asUser(t, name, developers)
			untrusted := ""
			if copied[kind] {
				untrusted = "owners"
			}
			expect(name, controller, of(true, trustedUID), "")
			expect(name+" for an untrusted owner", controller, of(true, untrustedUID), untrusted)
			expect(name+" for two owners", controller, of(true, trustedUID, untrustedUID), untrusted)
			expect(name+" for nobody", controller, of(true), untrusted)
			expect(name+" without the label", controller, of(false, untrustedUID), "")
		}
	}
}

// A template may be changed without the label, or not changed with it.
func TestBreakGlassOfChangedTemplates(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, nil)
	old := map[string][2]client.Object{}
	for kind, make := range workloads {
		var two [2]client.Object
		for i, glass := range []bool{false, true} {
			two[i] = make(templateWith(glass, "nginx:1"))
			two[i].SetNamespace(g.namespace)
			two[i].SetName([]string{"without", "with"}[i])
			g.make(t, two[i])
		}
		old[kind] = two
	}
	g.enforce(t, withUntrusted(content())...)
	developer := asDeveloper(t)
	for kind, two := range old {
		expect := func(what string, u user, o client.Object, change func(client.Object), by string) {
			t.Helper()
			o = o.DeepCopyObject().(client.Object)
			change(o)
			if a := g.update(t, u, o); a.refusedBy(t) != g.named(by) {
				t.Errorf("%s, %s: refused by %q, want %q: %v", kind, what, a.refusedBy(t), by, a.err)
			}
		}
		set := func(o client.Object) { templateIn(o).Labels[gate.BreakGlassLabel] = "true" }
		unset := func(o client.Object) { delete(templateIn(o).Labels, gate.BreakGlassLabel) }
		annotate := func(o client.Object) { o.SetAnnotations(map[string]string{"a": "b"}) }
		expect("set", developer, two[0], set, "breakglass")
		expect("set with the right", g.admin, two[0], set, "")
		expect("unset", developer, two[1], unset, "")
		expect("another change of the object", developer, two[1], annotate, "")
		if kind == "Job" {
			continue // its image never changes
		}
		image := func(o client.Object) { templateIn(o).Spec.Containers[0].Image = ref(freshHex) }
		expect("kept with another image", developer, two[1], image, "breakglass")
		expect("kept with another image and the right", g.admin, two[1], image, "")
		expect("unset with another image", developer, two[1], func(o client.Object) { image(o); unset(o) }, "")
		expect("another image without it", developer, two[0], image, "")
	}
}

// In Audit and Warn the label is nobody's business but the auditor's.
func TestBreakGlassRefusesNothingInWarn(t *testing.T) {
	beside(t)
	for _, mode := range []v1alpha1.GateMode{v1alpha1.GateAudit, v1alpha1.GateWarn} {
		g := newGated(t, mode, nil).enforce(t, withUntrusted(content())...)
		g.expectSoft(t, mode, "a template", "breakglass", g.try(t, asDeveloper(t), named(workloads["Job"](templateWith(true, ref(freshHex))))))
		controller := asUser(t, gate.WorkloadControllers()[0], developers)
		g.expectSoft(t, mode, "a copy", "owners", g.try(t, controller, owned(named(workloads["Job"](templateWith(true, ref(freshHex)))), untrustedUID)))
	}
}
