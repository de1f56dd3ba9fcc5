package gate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// What pins can refuse nothing and lock nothing, and goes with its gate.
func TestPinsRefuseNothing(t *testing.T) {
	g := &v1alpha1.ImageGate{ObjectMeta: metav1.ObjectMeta{Name: "prod", UID: "u"}}
	in := Surroundings{Shards: 1, SystemNamespace: "revet-system", KindUID: "kind", Mode: v1alpha1.GateDeny, MutatingServed: true, MutatingVersion: "v1"}
	objects, err := Compile(g, in)
	if err != nil {
		t.Fatal(err)
	}
	field := func(u *unstructured.Unstructured, path ...string) string {
		s, _, _ := unstructured.NestedString(u.Object, path...)
		return s
	}
	type row struct{ Version, Kind, Name, Policy, Failure, Missing, Parameter string }
	var got []row
	for _, u := range objects.Pins {
		got = append(got, row{u.GetAPIVersion(), u.GetKind(), u.GetName(), field(u, "spec", "policyName"), field(u, "spec", "failurePolicy"),
			field(u, "spec", "paramRef", "parameterNotFoundAction"), field(u, "spec", "paramRef", "name")})
		if owners := u.GetOwnerReferences(); len(owners) != 1 || len(u.GetFinalizers()) != 0 || u.GetLabels()[GateLabel] != "prod" {
			t.Errorf("%s: owners %v, finalizers %v, labels %v", u.GetName(), owners, u.GetFinalizers(), u.GetLabels())
		}
	}
	const version = "admissionregistration.k8s.io/v1"
	want := []row{
		{version, "MutatingAdmissionPolicy", "revet-gate-prod-pin", "", "Ignore", "", ""},
		{version, "MutatingAdmissionPolicyBinding", "revet-gate-prod-pin", "revet-gate-prod-pin", "", "Allow", "prod.tags"},
		{version, "MutatingAdmissionPolicy", "revet-gate-prod-keep", "", "Ignore", "", ""},
		{version, "MutatingAdmissionPolicyBinding", "revet-gate-prod-keep", "revet-gate-prod-keep", "", "", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	in.MutatingVersion = ""
	if _, err := Compile(g, in); err == nil {
		t.Error("policies were made in no version")
	}
	// An update that changes no image must not wait for what the API server mutates by.
	conditions, _, _ := unstructured.NestedSlice(objects.Pins[2].Object, "spec", "matchConditions")
	if len(conditions) == 0 || conditions[len(conditions)-1].(map[string]any)["name"] != "image-changes" {
		t.Errorf("conditions of what keeps pins: %v", conditions)
	}
}

func TestWhenTagsArePinned(t *testing.T) {
	for _, test := range []struct {
		mode   v1alpha1.GateMode
		served bool
		policy v1alpha1.PinPolicy
		want   bool
	}{
		{v1alpha1.GateDeny, true, v1alpha1.PinNewest, true},
		{v1alpha1.GateDeny, true, v1alpha1.PinLastPassed, true},
		{v1alpha1.GateDeny, true, "", true},
		{v1alpha1.GateDeny, true, v1alpha1.PinOff, false},
		{v1alpha1.GateDeny, false, v1alpha1.PinNewest, false},
		{v1alpha1.GateWarn, true, v1alpha1.PinNewest, false},
		{v1alpha1.GateAudit, true, v1alpha1.PinNewest, false},
	} {
		g := &v1alpha1.ImageGate{ObjectMeta: metav1.ObjectMeta{Name: "prod"}, Spec: v1alpha1.ImageGateSpec{PinTags: test.policy}}
		objects, err := Compile(g, Surroundings{Shards: 1, SystemNamespace: "revet-system", KindUID: "kind", Mode: test.mode, MutatingServed: test.served, MutatingVersion: "v1beta1"})
		if err != nil {
			t.Fatal(err)
		}
		if got := len(objects.Pins) > 0; got != test.want {
			t.Errorf("%+v: pinned is %v", test, got)
		}
	}
}
