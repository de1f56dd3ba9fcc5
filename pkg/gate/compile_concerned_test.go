package gate

import (
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Property: of most Pods the API server evaluates the conditions of a gate's policies, and no
// more of them but of the policy that the Pod's images belong to.
func TestPoliciesOfPodsHaveACondition(t *testing.T) {
	o := compiled(t, func(_ *v1alpha1.ImageGate, in *Surroundings) { in.Shards = 16 })
	last := func(all []admissionv1.MatchCondition) string {
		if len(all) == 0 {
			return ""
		}
		return all[len(all)-1].Name
	}
	judging := 0
	for _, p := range o.Policies {
		for _, rule := range p.Spec.MatchConstraints.ResourceRules {
			if rule.Resources[0] != "pods" || rule.Operations[0] != admissionv1.Create {
				continue
			}
			judging++
			if got := last(p.Spec.MatchConditions); got != "concerned" {
				t.Errorf("the last condition of %s is %q", p.Name, got)
			}
		}
	}
	if judging != 16+16+1 {
		t.Errorf("%d policies judge Pods that are made, want those of digests, of what ran, and of tags", judging)
	}
}
