package imagegate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
)

// Property: while the spec is not valid, the policies and what they look up are kept up to date
// by the last valid one, also by a process that starts meanwhile.
func TestAnInvalidSpecKeepsWhatIsInForceUpToDate(t *testing.T) {
	for _, test := range []struct {
		name    string
		invalid func(*v1alpha1.ImageGateSpec)
		restart bool
	}{
		{"platforms", func(s *v1alpha1.ImageGateSpec) { s.Require.Platforms = []string{"linux"} }, false},
		{"platforms, and a new process", func(s *v1alpha1.ImageGateSpec) { s.Require.Platforms = []string{"linux"} }, true},
		{"exemptions, and a new process", func(s *v1alpha1.ImageGateSpec) {
			s.Exempt = []v1alpha1.GateExemption{{Images: "a/**b", Reason: "r"}}
		}, true},
		{"the selector, other triggers and another mode, and a new process", func(s *v1alpha1.ImageGateSpec) {
			s.NamespaceSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Is"}}
			s.Trust = []v1alpha1.TrustedTrigger{{Namespace: "verify", Trigger: "other"}}
			s.Mode, s.Force, s.PinTags = v1alpha1.GateAudit, false, v1alpha1.PinOff
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBed(t)
			b.record("a", "1", v1alpha1.OutcomePass)
			b.record("b", "2", v1alpha1.OutcomePass)
			b.mustPass(15)
			if got := b.ready(); got != "True Enforced: mode Deny is in force" {
				t.Fatalf("Ready is %s", got)
			}
			before := b.policies()
			b.edit(test.invalid)
			if test.restart {
				b.start()
			}
			b.mustPass(3)
			b.record("a", "1", v1alpha1.OutcomeFail)
			b.record("c", "3", v1alpha1.OutcomePass)
			if err := b.client.Delete(t.Context(), &before[0]); err != nil {
				t.Fatal(err)
			}
			b.mustPass(15)
			digests, tags := b.written()
			if digests != "bc" {
				t.Errorf("%q are looked up, want b and c", digests)
			}
			want := map[string]string{"r.example/app:1": "Failed", "r.example/app:2": hexOfDigit("b"), "r.example/app:3": hexOfDigit("c")}
			if diff := cmp.Diff(want, tags); diff != "" {
				t.Errorf("tags (-want +got):\n%s", diff)
			}
			specs := func(all []admissionv1.ValidatingAdmissionPolicy) map[string]admissionv1.ValidatingAdmissionPolicySpec {
				by := map[string]admissionv1.ValidatingAdmissionPolicySpec{}
				for i := range all {
					by[all[i].Name] = all[i].Spec
				}
				return by
			}
			if diff := cmp.Diff(specs(before), specs(b.policies())); diff != "" {
				t.Errorf("policies (-want +got):\n%s", diff)
			}
			g := b.read()
			if got := b.ready(); !strings.HasPrefix(got, "False InvalidSpec: spec.") || !strings.Contains(got, "kept up to date by the last valid spec") {
				t.Errorf("Ready is %s", got)
			}
			if g.Status.ObservedGeneration != 1 || g.Status.Mode != v1alpha1.GateDeny {
				t.Errorf("generation %d and mode %s are said to be in force", g.Status.ObservedGeneration, g.Status.Mode)
			}
			if scope := b.reconciler.Scopes()[bedGate]; scope.Generation == g.Generation {
				t.Error("what runs would be judged by the invalid spec")
			}
		})
	}
}

// Property: a process goes on by a valid spec that it saw, also if that is too large to be kept.
func TestAnInvalidSpecAfterALargeOne(t *testing.T) {
	b := newBed(t)
	b.edit(func(s *v1alpha1.ImageGateSpec) {
		var values []string
		for i := range 3000 {
			values = append(values, fmt.Sprintf("%060d", i))
		}
		s.NamespaceSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "a", Operator: metav1.LabelSelectorOpIn, Values: values}}
	})
	b.record("a", "1", v1alpha1.OutcomePass)
	b.mustPass(15)
	b.edit(func(s *v1alpha1.ImageGateSpec) { s.Require.Platforms = []string{"linux"} })
	b.record("a", "1", v1alpha1.OutcomeFail)
	b.mustPass(3)
	if digests, _ := b.written(); digests != "" {
		t.Errorf("%q are looked up", digests)
	}
}

// Property: where no valid spec is known, what is there stays as it is, which Ready says.
func TestAnInvalidSpecFromTheBeginning(t *testing.T) {
	b := newBed(t)
	valid := b.read().Spec
	b.edit(func(s *v1alpha1.ImageGateSpec) { s.Require.Platforms = []string{"linux"} })
	b.record("a", "1", v1alpha1.OutcomePass)
	b.mustPass(5)
	if got := b.ready(); !strings.Contains(got, "False InvalidSpec: spec.require.platforms") || !strings.Contains(got, "no valid spec is known") {
		t.Errorf("Ready is %s", got)
	}
	if n := len(b.policies()) + len(b.bindings()); n != 0 {
		t.Errorf("there are %d policies and bindings", n)
	}
	// Nor does a policy count that somebody else made.
	foreign := &admissionv1.ValidatingAdmissionPolicy{}
	foreign.Name = gate.SpecKeeper(bedGate)
	compiled, err := gate.Compile(&v1alpha1.ImageGate{ObjectMeta: metav1.ObjectMeta{Name: bedGate, UID: "other"}, Spec: valid},
		gate.Surroundings{Shards: 1, SystemNamespace: "revet-system", KindUID: "kind", Mode: v1alpha1.GateDeny})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range compiled.Policies {
		if p.Name == foreign.Name {
			foreign.ObjectMeta = p.ObjectMeta
		}
	}
	if err := b.client.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	b.start()
	b.mustPass(5)
	if digests, _ := b.written(); digests != "" {
		t.Errorf("%q are looked up", digests)
	}
}

// Property: as soon as there is no place for what policies look up, no binding is in force, and
// all are again once there is.
func TestNothingIsBoundWithoutAPlaceForWhatPoliciesLookUp(t *testing.T) {
	home := client.ObjectKey{Name: "revet-system"}
	for _, test := range []struct {
		name       string
		gone, back func(*bed, *corev1.Namespace)
	}{
		{"the namespace is being deleted", func(b *bed, n *corev1.Namespace) {
			n.Finalizers = []string{"test/finalizer"}
			if err := errors.Join(b.client.Update(b.t.Context(), n), b.client.Delete(b.t.Context(), n)); err != nil {
				b.t.Fatal(err)
			}
		}, func(b *bed, n *corev1.Namespace) {
			if err := b.client.Get(b.t.Context(), home, n); err != nil {
				b.t.Fatal(err)
			}
			n.Finalizers = nil
			if err := b.client.Update(b.t.Context(), n); err != nil {
				b.t.Fatal(err)
			}
			again := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: home.Name}}
			if err := b.client.Create(b.t.Context(), again); err != nil {
				b.t.Fatal(err)
			}
		}},
		{"the namespace is gone", func(b *bed, n *corev1.Namespace) {
			if err := b.client.Delete(b.t.Context(), n); err != nil {
				b.t.Fatal(err)
			}
		}, func(b *bed, _ *corev1.Namespace) {
			again := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: home.Name}}
			if err := b.client.Create(b.t.Context(), again); err != nil {
				b.t.Fatal(err)
			}
		}},
		{"the kind is gone", func(b *bed, _ *corev1.Namespace) {
			if err := b.client.DeleteAllOf(b.t.Context(), &v1alpha1.VerifiedImages{}, client.InNamespace(home.Name)); err != nil {
				b.t.Fatal(err)
			}
			for _, name := range []string{bedGate, gate.TagsName(bedGate)} {
				b.reconciler.OwnedHandler().OnDelete(&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
					Namespace: home.Name, Name: name, Labels: map[string]string{v1alpha1.GateLabel: bedGate},
				}})
			}
			b.fails = func(o client.Object) error {
				if _, ok := o.(*v1alpha1.VerifiedImages); ok {
					return apierrors.NewNotFound(schema.GroupResource{Group: "revet.dev", Resource: "verifiedimages"}, o.GetName())
				}
				return nil
			}
		}, func(b *bed, _ *corev1.Namespace) { b.fails = nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBed(t)
			b.mustPass(5)
			bound := len(b.bindings())
			if bound == 0 {
				t.Fatal("nothing is bound at first")
			}
			n := &corev1.Namespace{}
			if err := b.client.Get(t.Context(), home, n); err != nil {
				t.Fatal(err)
			}
			test.gone(b, n)
			if err := b.pass(1); !errors.Is(err, errNowhere) {
				t.Errorf("the pass ends with %v", err)
			}
			if got := b.bindings(); len(got) != 0 {
				t.Errorf("%d bindings are in force", len(got))
			}
			if len(b.policies()) == 0 {
				t.Error("the policies are gone")
			}
			if got := b.ready(); !strings.Contains(got, "no gate is in force") {
				t.Errorf("Ready is %s", got)
			}
			test.back(b, n)
			b.mustPass(15)
			if got := len(b.bindings()); got != bound {
				t.Errorf("%d of %d bindings are back", got, bound)
			}
			if err := b.client.Get(t.Context(), home, n); err != nil {
				t.Fatal(err)
			}
			kind := &metav1.PartialObjectMetadata{}
			kind.SetGroupVersionKind(definitionKind)
			if err := b.client.Get(t.Context(), client.ObjectKey{Name: gate.VerifiedImagesKind}, kind); err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(kind.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == n.UID }) {
				t.Errorf("the kind is owned by %v, want the namespace that is there now", kind.OwnerReferences)
			}
			for _, binding := range b.bindings() {
				if len(binding.OwnerReferences) != 1 || binding.OwnerReferences[0].UID != kind.UID {
					t.Errorf("%s is owned by %v, want the kind that is there now", binding.Name, binding.OwnerReferences)
				}
			}
		})
	}
}

// Property: all gates are looked at as soon as a namespace begins to go, and not for each change
// of one.
func TestANamespaceThatGoesHasAllGatesLookedAt(t *testing.T) {
	b := newBed(t)
	b.mustPass(1)
	h := b.reconciler.NamespaceHandler()
	now := metav1.NewTime(noon)
	there := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "revet-system"}}
	going := there.DeepCopy()
	going.DeletionTimestamp = &now
	for _, test := range []struct {
		name  string
		event func()
		want  bool
	}{
		{"it comes", func() { h.OnAdd(there, false) }, true},
		{"it changes", func() { h.OnUpdate(there, there) }, false},
		{"it begins to go", func() { h.OnUpdate(there, going) }, true},
		{"it goes on going", func() { h.OnUpdate(going, going) }, false},
		{"it is gone", func() { h.OnDelete(going) }, true},
	} {
		b.queued = nil
		test.event()
		if got := slices.Contains(b.queued, bedGate); got != test.want {
			t.Errorf("%s: the gate is looked at: %v", test.name, got)
		}
	}
}

// Property: an owner that somebody changed is put back, of a policy and of a binding: a gate would
// outlast what it needs.
func TestOwnersArePutBack(t *testing.T) {
	b := newBed(t)
	b.mustPass(5)
	other := []metav1.OwnerReference{{APIVersion: "v1", Kind: "Namespace", Name: "other", UID: "other"}}
	policies, bindings := b.policies(), b.bindings()
	policy, binding := policies[0].DeepCopy(), bindings[0].DeepCopy()
	policy.OwnerReferences, binding.OwnerReferences = other, nil
	if err := errors.Join(b.client.Update(t.Context(), policy), b.client.Update(t.Context(), binding)); err != nil {
		t.Fatal(err)
	}
	b.mustPass(3)
	for i, p := range b.policies() {
		if diff := cmp.Diff(policies[i].OwnerReferences, p.OwnerReferences); diff != "" {
			t.Errorf("owners of %s (-want +got):\n%s", p.Name, diff)
		}
	}
	for i, p := range b.bindings() {
		if diff := cmp.Diff(bindings[i].OwnerReferences, p.OwnerReferences); diff != "" {
			t.Errorf("owners of %s (-want +got):\n%s", p.Name, diff)
		}
	}
}

// Property: a process that starts removes the bindings of gates that went while none ran.
func TestBindingsOfGatesThatAreGoneAreRemovedAtStart(t *testing.T) {
	left := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{
		Name: "revet-gate-old-tags", UID: "left", Labels: map[string]string{v1alpha1.GateLabel: "old"},
	}}
	others := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "others", UID: "others"}}
	b := newBed(t, left, others)
	if diff := cmp.Diff([]string{"old", bedGate}, b.promoted); diff != "" {
		t.Errorf("queued at start (-want +got):\n%s", diff)
	}
	if err := b.reconciler.Reconcile(t.Context(), "old"); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, binding := range b.bindings() {
		names = append(names, binding.Name)
	}
	if diff := cmp.Diff([]string{"others"}, names); diff != "" {
		t.Errorf("bindings (-want +got):\n%s", diff)
	}
}

// Property: the object of tags is written at most as often as its share of the bytes allows, what
// comes meanwhile is written at once, and what should be is there in the end. Digests do not wait
// for it.
func TestWritesOfTagsAreBounded(t *testing.T) {
	b := newBed(t)
	b.rate = 1024
	b.start()
	b.mustPass(15)
	b.wrote = nil
	digits := "0123456789abcdef"
	want := map[string]string{}
	for i := range 60 {
		digit, tag := digits[i%16:i%16+1], fmt.Sprint("t", i)
		b.record(digit, tag, v1alpha1.OutcomePass)
		want["r.example/app:"+tag] = hexOfDigit(digit)
		b.mustPass(1)
	}
	writes := map[string]int{}
	for _, name := range b.wrote {
		writes[name]++
	}
	// An object of tags has 1 KiB at least, which takes 4 s of a quarter of the rate.
	if n := writes[gate.TagsName(bedGate)]; n < 2 || n > 15 {
		t.Errorf("tags are written %d times in 60 s, want at most 15", n)
	}
	if digests, _ := b.written(); digests != digits {
		t.Errorf("of the digests %q are written", digests)
	}
	b.mustPass(60)
	if _, tags := b.written(); !cmp.Equal(want, tags) {
		t.Errorf("in the end the tags are wrong (-want +got):\n%s", cmp.Diff(want, tags))
	}
	if got := b.read().Status.Conditions; !slices.ContainsFunc(got, func(c metav1.Condition) bool {
		return c.Type == v1alpha1.ConditionUpToDate && c.Status == metav1.ConditionTrue
	}) {
		t.Errorf("conditions %v", got)
	}
}

// Property: what keeps tags from being written stands in the status.
func TestALagOfTagsIsTold(t *testing.T) {
	b := newBed(t)
	b.rate = 64
	b.start()
	b.mustPass(120)
	for i := range 30 {
		b.record("a", fmt.Sprint("t", i), v1alpha1.OutcomePass)
		b.mustPass(1)
	}
	for _, c := range b.read().Status.Conditions {
		if c.Type == v1alpha1.ConditionUpToDate && (c.Status != metav1.ConditionFalse || !strings.Contains(c.Message, "changes of tags wait")) {
			t.Errorf("UpToDate is %s: %s", c.Status, c.Message)
		}
	}
}

// Property: that a mode is in force is said only once API servers had the time to take it up.
func TestAModeIsInForceOnceItWasTakenUp(t *testing.T) {
	b := newBed(t)
	b.mustPass(15)
	b.edit(func(s *v1alpha1.ImageGateSpec) { s.Mode, s.Force = v1alpha1.GateWarn, false })
	b.mustPass(1)
	if got := b.ready(); got != "True Enforced: mode Warn is written, and API servers take it up within seconds" {
		t.Errorf("at once Ready is %s", got)
	}
	b.mustPass(int(settle / time.Second))
	if got := b.ready(); got != "True Enforced: mode Warn is in force" {
		t.Errorf("after %s Ready is %s", settle, got)
	}
	b.start()
	b.mustPass(1)
	if got := b.ready(); got == "" {
		t.Error("a new process says nothing")
	}
}
