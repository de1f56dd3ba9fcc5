package gate

import (
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Validate returns why a gate's spec cannot be followed, beyond what the API server refuses.
// The error names the field.
func Validate(g *v1alpha1.ImageGate) error {
	if _, err := RulesOf(g); err != nil {
		return err
	}
	if _, err := exemptions(g.Spec.Exempt, time.Time{}); err != nil {
		return err
	}
	if _, err := metav1.LabelSelectorAsSelector(&g.Spec.NamespaceSelector); err != nil {
		return fmt.Errorf("spec.namespaceSelector: %w", err)
	}
	return nil
}

const (
	// specAnnotation holds the spec that a gate's policies were made for, as JSON.
	specAnnotation = "revet.dev/gate-spec"
	// specPart is the policy that carries it. Each division has it.
	specPart = "tags"
	// maxKeptSpec bounds it. The API server takes 256 KiB of annotations.
	maxKeptSpec = 128 << 10
)

// SpecKeeper is the name of the ValidatingAdmissionPolicy that keeps the spec which a gate's
// policies were made for.
func SpecKeeper(gate string) string { return policyName(gate, specPart) }

// KeptSpec returns the spec that the policies of a gate were made for, by the metadata of its
// SpecKeeper; false if it keeps none.
func KeptSpec(keeper metav1.Object) (v1alpha1.ImageGateSpec, bool) {
	var spec v1alpha1.ImageGateSpec
	text, ok := keeper.GetAnnotations()[specAnnotation]
	if !ok || json.Unmarshal([]byte(text), &spec) != nil {
		return v1alpha1.ImageGateSpec{}, false
	}
	return spec, true
}

// keepSpec writes the spec beside the policies that were made for it, for a process that
// starts when the gate's spec has become invalid. One that is too large is not kept.
func (c *compiler) keepSpec() error {
	text, err := json.Marshal(c.gate.Spec)
	if err != nil {
		return fmt.Errorf("encoding the spec: %w", err)
	}
	for _, policy := range c.out.Policies {
		if policy.Name == SpecKeeper(c.gate.Name) && len(text) <= maxKeptSpec {
			policy.Annotations = map[string]string{specAnnotation: string(text)}
		}
	}
	return nil
}
