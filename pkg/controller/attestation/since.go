package attestation

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// since notes in records that are about to be written since when each is in its state: from
// those that they replace, or from now on.
func (r *Reconciler) since(before, after []v1alpha1.AttestationStatus) []v1alpha1.AttestationStatus {
	now := metav1.NewTime(r.Now())
	for i := range after {
		same := slices.IndexFunc(before, func(b v1alpha1.AttestationStatus) bool {
			return b.Bundle == after[i].Bundle && b.State == after[i].State
		})
		after[i].Since = &now
		if same >= 0 {
			began := before[same].StateSince()
			after[i].Since = &began
		}
	}
	return after
}
