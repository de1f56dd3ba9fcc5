package gate

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

func compiled(t *testing.T, change func(*v1alpha1.ImageGate, *Surroundings)) Objects {
	t.Helper()
	g, in := example(), Surroundings{Shards: 1, SystemNamespace: "revet-system", KindUID: "kind", Mode: v1alpha1.GateDeny}
	if change != nil {
		change(g, &in)
	}
	o, err := Compile(g, in)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func example() *v1alpha1.ImageGate {
	return &v1alpha1.ImageGate{
		ObjectMeta: metav1.ObjectMeta{Name: "production", UID: "uid"},
		Spec: v1alpha1.ImageGateSpec{
			NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{"env": "production", "a": "b", "c": "d"}},
			Trust:             []v1alpha1.TrustedTrigger{{Namespace: "z", Trigger: "t"}, {Namespace: "image-verification", Trigger: "t"}, {Namespace: "z", Trigger: "u"}},
			Exempt:            []v1alpha1.GateExemption{{Images: "registry.k8s.io/**", Reason: "r"}, {Images: "r.example/a:1", Reason: "r", Expires: "2027-06-30"}},
		},
	}
}

func TestCompileIsDeterministic(t *testing.T) {
	want := compiled(t, nil)
	for range 20 {
		if diff := cmp.Diff(want, compiled(t, nil)); diff != "" {
			t.Fatalf("another time (-want +got):\n%s", diff)
		}
	}
}

// Every policy ends with its gate, and every binding with Revet's namespace. Each says whose
// it is, and has one owner: one with two stays until both are gone.
func TestObjectsAreOwned(t *testing.T) {
	yes := true
	want := metav1.ObjectMeta{
		Labels: map[string]string{"revet.dev/gate": "production", "app.kubernetes.io/part-of": "revet"},
	}
	byGate := []metav1.OwnerReference{{
		APIVersion: "revet.dev/v1alpha1", Kind: "ImageGate", Name: "production", UID: "uid",
		Controller: &yes, BlockOwnerDeletion: &yes,
	}}
	byKind := []metav1.OwnerReference{{
		APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition",
		Name: "verifiedimages.revet.dev", UID: "kind",
	}}
	o := compiled(t, func(_ *v1alpha1.ImageGate, in *Surroundings) {
		in.MutatingServed, in.MutatingVersion = true, "v1"
	})
	if len(o.Policies) == 0 || len(o.Policies) != len(o.Bindings) {
		t.Fatalf("%d policies and %d bindings", len(o.Policies), len(o.Bindings))
	}
	for i, p := range o.Policies {
		want.Name = p.Name
		if !strings.HasPrefix(p.Name, "revet-gate-production-") || o.Bindings[i].Spec.PolicyName != p.Name {
			t.Errorf("policy %d is %s, and its binding binds %s", i, p.Name, o.Bindings[i].Spec.PolicyName)
		}
		want.OwnerReferences, want.Annotations = byGate, p.Annotations
		if diff := cmp.Diff(want, p.ObjectMeta); diff != "" {
			t.Errorf("metadata of a policy (-want +got):\n%s", diff)
		}
		want.OwnerReferences, want.Annotations = byKind, nil
		if diff := cmp.Diff(want, o.Bindings[i].ObjectMeta); diff != "" {
			t.Errorf("metadata of a binding (-want +got):\n%s", diff)
		}
	}
	if len(o.Pins) != 4 {
		t.Fatalf("%d objects pin tags", len(o.Pins))
	}
	for _, pin := range o.Pins {
		want := byGate
		if strings.HasSuffix(pin.GetKind(), "Binding") {
			want = byKind
		}
		if diff := cmp.Diff(want, pin.GetOwnerReferences()); diff != "" {
			t.Errorf("owners of %s %s (-want +got):\n%s", pin.GetKind(), pin.GetName(), diff)
		}
	}
}

// In Audit and Warn nothing refuses, whatever fails or is missing. In Deny what may refuse
// does so, and templates are still only warned of.
func TestOnlyDenyRefuses(t *testing.T) {
	refusing := map[string]bool{"digests": true, "tags": true, "changes": true, "breakglass": true, "owners": true, "namespaces": true,
		"templates": false, "tagtemplates": false, "ran": false}
	for _, mode := range []v1alpha1.GateMode{v1alpha1.GateAudit, v1alpha1.GateWarn, v1alpha1.GateDeny} {
		o := compiled(t, func(_ *v1alpha1.ImageGate, in *Surroundings) { in.Mode = mode })
		if len(o.Policies) != len(refusing) {
			t.Errorf("%d policies, want %d", len(o.Policies), len(refusing))
		}
		for i, p := range o.Policies {
			part := strings.TrimPrefix(p.Name, "revet-gate-production-")
			may, known := refusing[part]
			if !known {
				t.Errorf("policy %s is not in the table", part)
			}
			refuses := may && mode == v1alpha1.GateDeny
			want := []admissionv1.ValidationAction{"Warn", "Audit"}
			if mode == v1alpha1.GateAudit {
				want = want[1:]
			} else if refuses {
				want = []admissionv1.ValidationAction{"Deny"}
			}
			b := o.Bindings[i]
			if diff := cmp.Diff(want, b.Spec.ValidationActions); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", mode, part, diff)
			}
			if got := *p.Spec.FailurePolicy == admissionv1.Fail; got != refuses {
				t.Errorf("%s, %s: failurePolicy %s", mode, part, *p.Spec.FailurePolicy)
			}
			if (p.Spec.ParamKind == nil) != (b.Spec.ParamRef == nil) {
				t.Errorf("%s has a parameter in one place", part)
			}
			if ref := b.Spec.ParamRef; ref != nil && (*ref.ParameterNotFoundAction == admissionv1.DenyAction) != refuses {
				t.Errorf("%s, %s: missing = %s", mode, part, *ref.ParameterNotFoundAction)
			}
			// What judges an update of something that exists must not need a parameter.
			for _, r := range p.Spec.MatchConstraints.ResourceRules {
				for _, operation := range r.Operations {
					if refuses && operation == admissionv1.Update && p.Spec.ParamKind != nil && r.Resources[0] != "pods/ephemeralcontainers" {
						t.Errorf("%s looks up a parameter when %v is updated", part, r.Resources)
					}
				}
			}
		}
	}
}

func TestSixteenShardsCoverEveryDigest(t *testing.T) {
	names := map[string]string{}
	o := compiled(t, func(_ *v1alpha1.ImageGate, in *Surroundings) { in.Shards = 16 })
	for i, p := range o.Policies {
		if ref := o.Bindings[i].Spec.ParamRef; ref != nil {
			names[strings.TrimPrefix(p.Name, "revet-gate-production-")] = ref.Name
		}
	}
	want := map[string]string{"tags": "production.tags", "tagtemplates": "production.tags", "owners": "production.tags"}
	for _, d := range "0123456789abcdef" {
		for _, part := range []string{"digests", "templates", "ran"} {
			want[part+"-"+string(d)] = "production." + string(d)
		}
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
}

// No gate's policy has the name of another gate's.
func TestNamesOfPartsAreUnambiguous(t *testing.T) {
	var parts []string
	for _, shards := range []int{1, 16} {
		for _, p := range compiled(t, func(_ *v1alpha1.ImageGate, in *Surroundings) { in.Shards = shards }).Policies {
			parts = append(parts, strings.TrimPrefix(p.Name, "revet-gate-production-"))
		}
	}
	for _, a := range parts {
		for _, b := range parts {
			if strings.HasSuffix(a, "-"+b) {
				t.Errorf("gate x has %s, and gate x-%s has %s", a, strings.TrimSuffix(a, "-"+b), b)
			}
		}
	}
}

// Property: excluded namespaces stand in every binding, beside the gate's own selector; the
// policies, whose selectors the API server parses for every write of anything, have none.
func TestExcludedNamespacesStandInTheBindings(t *testing.T) {
	o := compiled(t, func(g *v1alpha1.ImageGate, in *Surroundings) {
		in.Excluded, in.MutatingServed, in.MutatingVersion = []string{"openshift-x", "z"}, true, "v1"
		g.Spec.NamespaceSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "tier", Operator: metav1.LabelSelectorOpExists}}
	})
	want := example().Spec.NamespaceSelector.DeepCopy()
	want.MatchExpressions = []metav1.LabelSelectorRequirement{
		{Key: "tier", Operator: metav1.LabelSelectorOpExists},
		{Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpNotIn,
			Values: []string{"image-verification", "kube-node-lease", "kube-public", "kube-system", "openshift-x", "revet-system", "z"}},
	}
	for i, p := range o.Policies {
		if strings.HasSuffix(p.Name, "-namespaces") {
			continue // a cluster-scoped kind; its condition says it
		}
		if s := p.Spec.MatchConstraints.NamespaceSelector; s != nil {
			t.Errorf("%s has a selector of its own: %v", p.Name, s)
		}
		if diff := cmp.Diff(want, o.Bindings[i].Spec.MatchResources.NamespaceSelector); diff != "" {
			t.Errorf("%s (-want +got):\n%s", o.Bindings[i].Name, diff)
		}
	}
	if len(o.Pins) == 0 {
		t.Error("nothing is pinned: the test says nothing of pins")
	}
	for _, o := range o.Pins {
		_, inPolicy, _ := unstructured.NestedMap(o.Object, "spec", "matchConstraints", "namespaceSelector")
		got, inBinding, err := unstructured.NestedMap(o.Object, "spec", "matchResources", "namespaceSelector")
		if binding := strings.HasSuffix(o.GetKind(), "Binding"); err != nil || inPolicy || inBinding != binding {
			t.Errorf("%s %s: in a policy: %t, in a binding: %t, %v", o.GetKind(), o.GetName(), inPolicy, inBinding, err)
			continue
		}
		var selector metav1.LabelSelector
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(got, &selector); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, &selector); inBinding && diff != "" {
			t.Errorf("%s (-want +got):\n%s", o.GetName(), diff)
		}
	}
}

func TestCompileNamesTheFieldThatIsWrong(t *testing.T) {
	for _, test := range []struct {
		want   string
		change func(*v1alpha1.ImageGate, *Surroundings)
	}{
		{"spec.exempt[1].images", func(g *v1alpha1.ImageGate, _ *Surroundings) { g.Spec.Exempt[1].Images = "nginx" }},
		{"spec.exempt[1].expires", func(g *v1alpha1.ImageGate, _ *Surroundings) { g.Spec.Exempt[1].Expires = "2027-02-30" }},
		{"spec.namespaceSelector", func(g *v1alpha1.ImageGate, _ *Surroundings) {
			g.Spec.NamespaceSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}}
		}},
		{"spec.require.platforms", func(g *v1alpha1.ImageGate, _ *Surroundings) { g.Spec.Require.Platforms = []string{"amd64"} }},
		{"spec.mode", func(_ *v1alpha1.ImageGate, in *Surroundings) { in.Mode = "" }},
		{"1 or 16", func(_ *v1alpha1.ImageGate, in *Surroundings) { in.Shards = 0 }},
		{"namespace", func(_ *v1alpha1.ImageGate, in *Surroundings) { in.SystemNamespace = "" }},
		{"UID", func(_ *v1alpha1.ImageGate, in *Surroundings) { in.KindUID = "" }},
		{"name", func(g *v1alpha1.ImageGate, _ *Surroundings) { g.Name = "" }},
	} {
		g, in := example(), Surroundings{Shards: 1, SystemNamespace: "revet-system", KindUID: "kind", Mode: v1alpha1.GateDeny}
		test.change(g, &in)
		if o, err := Compile(g, in); err == nil || !strings.Contains(err.Error(), test.want) || len(o.Policies) > 0 {
			t.Errorf("error %v with %d policies, want one that names %s", err, len(o.Policies), test.want)
		}
	}
}

// An exemption counts to the end of its last day, in UTC.
func TestExemptionsEnd(t *testing.T) {
	e, err := ExemptionsOf(example())
	if err != nil {
		t.Fatal(err)
	}
	last := time.Date(2027, 6, 30, 23, 59, 59, 0, time.UTC)
	for _, test := range []struct {
		reference string
		at        time.Time
		want      bool
	}{
		{"r.example/a:1", last, true}, {"r.example/a:1", last.Add(time.Second), false},
		{"registry.k8s.io/x", last.AddDate(9, 0, 0), true}, {"registryxk8s.io/x", last, false}, {"registry.k8s.io/X", last, false},
	} {
		if got := e.Match(test.reference, test.at); got != test.want {
			t.Errorf("%s at %s: %t, want %t", test.reference, test.at, got, test.want)
		}
	}
	if (Exemptions{}).Match("registry.k8s.io/x", last) {
		t.Error("the zero value exempts")
	}
	for now, want := range map[time.Time]bool{{}: true, last: true, last.Add(time.Second): false} {
		o := compiled(t, func(_ *v1alpha1.ImageGate, in *Surroundings) { in.Now = now })
		found := false
		for _, v := range o.Policies[0].Spec.Variables {
			found = found || strings.Contains(v.Expression, "r.example/a")
		}
		if found != want {
			t.Errorf("at %s the policy knows the exemption: %t, want %t", now, found, want)
		}
	}
}

// The workload controllers are those that the operator lists, and nobody if that is an empty
// list. What config/ shows as the default is the default.
func TestControllersAreTheOperators(t *testing.T) {
	text, err := os.ReadFile("../../config/500-config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range WorkloadControllers() {
		if !strings.Contains(string(text), "  #   - "+name+"\n") {
			t.Errorf("config/ does not show %s", name)
		}
	}
	for name, test := range map[string]struct {
		list []string
		want string
	}{
		"without a list": {nil, quoteAll(WorkloadControllers())},
		"with one":       {[]string{"system:kube-controller-manager"}, `["system:kube-controller-manager"]`},
		"with none":      {[]string{}, "[]"},
	} {
		out := compiled(t, func(_ *v1alpha1.ImageGate, in *Surroundings) { in.Controllers = test.list })
		looked := false
		for _, p := range out.Policies {
			if p.Name != "revet-gate-production-breakglass" {
				continue
			}
			looked = true
			if got := p.Spec.Validations[0].Expression; !strings.Contains(got, "request.userInfo.username in "+test.want) {
				t.Errorf("%s the policy says %s", name, got)
			}
		}
		if !looked {
			t.Error("no policy guards templates")
		}
	}
}
