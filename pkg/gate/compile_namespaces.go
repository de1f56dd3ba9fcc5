package gate

import (
	"maps"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// namespaces adds the policy that keeps a namespace behind the gate. It asks for the gate's
// selection before and after, because a selector would only see what a request leaves. Both
// subresources write labels, too.
func (c *compiler) namespaces() {
	c.add(part{
		name: "namespaces", everywhere: true,
		rules: []admissionv1.NamedRuleWithOperations{
			on("", updated, "namespaces", "namespaces/status", "namespaces/finalize"),
		},
		conditions: []admissionv1.MatchCondition{{
			Name: "excluded", Expression: "!(object.metadata.name in " + quoteAll(c.excluded) + ")",
		}},
		variables: []admissionv1.Variable{
			variable("old", "oldObject.metadata.?labels.orValue({})"),
			variable("new", "object.metadata.?labels.orValue({})"),
			variable("leaves",
				selects(c.selector, "variables.old")+" && !("+selects(c.selector, "variables.new")+")"),
		},
		allowed: "!variables.leaves || " + c.bypass(),
		message: quote(c.refusal()+"to let namespace ") + " + object.metadata.name + " +
			quote(" leave its selection: that needs the verb "+BypassVerb+
				" on imagegates.revet.dev "+c.gate.Name),
	})
}

// selects is CEL for whether a selector, which is valid, selects labels.
func selects(s *metav1.LabelSelector, labels string) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(s.MatchLabels)) {
		all = append(all, requirement(labels, key, metav1.LabelSelectorOpIn, []string{s.MatchLabels[key]}))
	}
	for _, r := range s.MatchExpressions {
		all = append(all, requirement(labels, r.Key, r.Operator, r.Values))
	}
	if len(all) == 0 {
		return "true"
	}
	return "(" + strings.Join(all, " && ") + ")"
}

func requirement(labels, key string, operator metav1.LabelSelectorOperator, values []string) string {
	has := quote(key) + " in " + labels
	within := "(" + has + " && " + labels + "[" + quote(key) + "] in " + quoteAll(values) + ")"
	switch operator {
	case metav1.LabelSelectorOpIn:
		return within
	case metav1.LabelSelectorOpNotIn:
		return "!" + within
	case metav1.LabelSelectorOpExists:
		return "(" + has + ")"
	case metav1.LabelSelectorOpDoesNotExist:
		return "!(" + has + ")"
	default:
		return "false" // no valid selector has another
	}
}
