package attestation

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Trim is an informers' transform. It keeps of entries and triggers what is decided by, as the cache
// has those of every namespace, and most are signed for nobody. What is written is read live.
func Trim(obj any) (any, error) {
	switch o := obj.(type) {
	case *v1alpha1.ImageVerification:
		return trimEntry(o), nil
	case *v1alpha1.ImageTrigger:
		return &v1alpha1.ImageTrigger{
			ObjectMeta: trimMeta(&o.ObjectMeta), Spec: v1alpha1.ImageTriggerSpec{Attest: o.Spec.Attest},
		}, nil
	default:
		return obj, nil
	}
}

func trimEntry(e *v1alpha1.ImageVerification) *v1alpha1.ImageVerification {
	kept := &v1alpha1.ImageVerification{ObjectMeta: trimMeta(&e.ObjectMeta)}
	kept.Spec.Trigger = e.Spec.Trigger
	kept.Status.Attestations = e.Status.Attestations
	if v := e.Status.Verdict; v != nil {
		kept.Status.Verdict = &v1alpha1.Verdict{Outcome: v.Outcome, Run: v.Run, Number: v.Number, At: v.At}
	}
	return kept
}

func trimMeta(m *metav1.ObjectMeta) metav1.ObjectMeta {
	kept := metav1.ObjectMeta{
		Namespace: m.Namespace, Name: m.Name, UID: m.UID, Generation: m.Generation,
		ResourceVersion: m.ResourceVersion, DeletionTimestamp: m.DeletionTimestamp,
	}
	if uid, ok := m.Labels[v1alpha1.TriggerUIDLabel]; ok {
		kept.Labels = map[string]string{v1alpha1.TriggerUIDLabel: uid}
	}
	return kept
}
