package attestation_test

import (
	"encoding/json"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	controller "github.com/revet-dev/revet/pkg/controller/attestation"
)

// Whatever somebody writes into an entry or a trigger, little of it stays in memory. The other tests
// show that it is enough.
func TestTrimKeepsLittle(t *testing.T) {
	large := strings.Repeat("x", 1<<16)
	meta := metav1.ObjectMeta{
		Namespace: "team", Name: "x", UID: "u",
		Labels:      map[string]string{v1alpha1.TriggerUIDLabel: "uid-1", "large": large},
		Annotations: map[string]string{"large": large},
	}
	entry := &v1alpha1.ImageVerification{ObjectMeta: *meta.DeepCopy()}
	entry.Spec.Repository.Name, entry.Status.Message = large, large
	entry.Status.Tags = []v1alpha1.TagStatus{{PushRecord: v1alpha1.PushRecord{Tag: large}}}
	entry.Status.Verdict = &v1alpha1.Verdict{Outcome: v1alpha1.OutcomePass, Run: "run-1", Checks: []string{large}}
	trigger := &v1alpha1.ImageTrigger{ObjectMeta: *meta.DeepCopy()}
	trigger.Spec.Filter = large
	for name, o := range map[string]any{"an entry": entry, "a trigger": trigger} {
		kept, err := controller.Trim(o)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(kept)
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) > 1<<10 || !strings.Contains(string(raw), "uid-1") {
			t.Errorf("of %s %d bytes are kept: %.200s", name, len(raw), raw)
		}
	}
	other := &metav1.PartialObjectMetadata{ObjectMeta: meta}
	if kept, err := controller.Trim(other); err != nil || kept != any(other) {
		t.Errorf("of something else %v is kept, %v", kept, err)
	}
}
