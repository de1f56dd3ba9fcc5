package gate

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Property: one policy of every division keeps the whole spec that all were made for, unless it
// is so large that the API server would refuse the policy.
func TestThePoliciesKeepTheirSpec(t *testing.T) {
	for _, shards := range []int{1, 16} {
		g := example()
		o := compiled(t, func(of *v1alpha1.ImageGate, in *Surroundings) { g, in.Shards = of, shards })
		var kept []v1alpha1.ImageGateSpec
		for _, p := range o.Policies {
			if spec, ok := KeptSpec(p); ok {
				kept = append(kept, spec)
				if p.Name != SpecKeeper(g.Name) {
					t.Errorf("policy %s keeps the spec", p.Name)
				}
			}
		}
		if diff := cmp.Diff([]v1alpha1.ImageGateSpec{g.Spec}, kept); diff != "" {
			t.Errorf("in %d objects the kept spec differs (-want +got):\n%s", shards, diff)
		}
	}
	o := compiled(t, func(g *v1alpha1.ImageGate, _ *Surroundings) {
		var values []string
		for i := range 3000 {
			values = append(values, fmt.Sprintf("%060d", i))
		}
		g.Spec.NamespaceSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "a", Operator: metav1.LabelSelectorOpIn, Values: values}}
	})
	for _, p := range o.Policies {
		if p.Annotations != nil {
			t.Errorf("policy %s keeps a large spec", p.Name)
		}
	}
	broken := o.Policies[0].DeepCopy()
	broken.Annotations = map[string]string{specAnnotation: "{"}
	if _, ok := KeptSpec(broken); ok {
		t.Error("half a spec counts")
	}
}

// What cannot be followed is found before anything is judged or written by it.
func TestValidateNamesTheField(t *testing.T) {
	if err := Validate(example()); err != nil {
		t.Error(err)
	}
	for field, change := range map[string]func(*v1alpha1.ImageGateSpec){
		"spec.require.platforms":      func(s *v1alpha1.ImageGateSpec) { s.Require.Platforms = []string{"linux"} },
		"spec.require.databaseMaxAge": func(s *v1alpha1.ImageGateSpec) { s.Require.DatabaseMaxAge = &metav1.Duration{Duration: -time.Hour} },
		"spec.exempt[0].images":       func(s *v1alpha1.ImageGateSpec) { s.Exempt[0].Images = "a/**b" },
		"spec.exempt[1].expires":      func(s *v1alpha1.ImageGateSpec) { s.Exempt[1].Expires = "2027-02-30" },
		"spec.namespaceSelector": func(s *v1alpha1.ImageGateSpec) {
			s.NamespaceSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Is"}}
		},
	} {
		g := example()
		change(&g.Spec)
		if err := Validate(g); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("error %v, want one that names %s", err, field)
		}
	}
}

// Go clients that leave maxAge out send none, and the API server fills in its default: a zero
// would be refused.
func TestAClientMayLeaveOutMaxAge(t *testing.T) {
	g := example()
	sent := func() (asText, asObject bool) {
		t.Helper()
		text, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(g)
		if err != nil {
			t.Fatal(err)
		}
		_, asObject, err = unstructured.NestedString(object, "spec", "maxAge")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(text), `"maxAge"`), asObject
	}
	if asText, asObject := sent(); asText || asObject {
		t.Errorf("without maxAge one is sent: %v, and as an object: %v", asText, asObject)
	}
	g.Spec.MaxAge = metav1.Duration{Duration: time.Hour}
	if asText, asObject := sent(); !asText || !asObject {
		t.Errorf("maxAge is sent: %v, and as an object: %v", asText, asObject)
	}
}
