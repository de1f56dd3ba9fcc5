package attested

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Record is a statement that is, or may be, in the registry.
type Record struct {
	State v1alpha1.AttestationState `json:"state"`
	// Digest is that of the bundle, and Key the id of the key that signed it.
	Digest string `json:"digest"`
	Key    string `json:"key"`
	// Run is the run whose verdict, given at VerifiedAt, it states.
	Run        string      `json:"run"`
	VerifiedAt metav1.Time `json:"verifiedAt"`
	// Since is when it came into its state, and TriedAt when that was last found out.
	Since   metav1.Time `json:"since"`
	TriedAt metav1.Time `json:"triedAt"`
	// Images is how many images it is about.
	Images  int    `json:"images"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	Cure    string `json:"cure,omitempty"`
}

// Records are the statements of an entry, as they were recorded.
func (w *World) Records(e *v1alpha1.ImageVerification) []Record {
	var all []Record
	for i := range e.Status.Attestations {
		a := &e.Status.Attestations[i]
		all = append(all, Record{
			State: a.State, Digest: a.Bundle, Key: a.Key, Run: a.Run, VerifiedAt: a.VerifiedAt, Since: a.StateSince(), TriedAt: a.At,
			Images: len(a.Subjects), Reason: a.Reason, Message: a.Message, Cure: w.Cure(e, a),
		})
	}
	return all
}

// worst lists the states of records from bad to good.
var worst = []v1alpha1.AttestationState{
	v1alpha1.AttestationNotRemoved, v1alpha1.AttestationNotPublished, v1alpha1.AttestationPending, v1alpha1.AttestationPublished,
}

// Worst returns the worst of an entry's records; nil if it has none.
func Worst(e *v1alpha1.ImageVerification) *v1alpha1.AttestationStatus {
	for _, state := range worst {
		for i := range e.Status.Attestations {
			if a := &e.Status.Attestations[i]; a.State == state {
				return a
			}
		}
	}
	return nil
}

// Cell says in a word or two where an entry stands; "" if there is nothing to sign.
func (w *World) Cell(e *v1alpha1.ImageVerification, t Trigger) string {
	if s := w.Standing(e, t); s.Unclear() && count(e, v1alpha1.AttestationNotRemoved) == 0 {
		return string(s.Reason)
	} else if a := Worst(e); a != nil {
		return string(a.State) + " " + command.Ago(a.StateSince().Time, w.Now)
	} else if s.Reason == Awaited {
		return string(s.Reason)
	}
	return ""
}

// Cure is what a person can do about a record; "" if there is nothing to do.
func (w *World) Cure(e *v1alpha1.ImageVerification, a *v1alpha1.AttestationStatus) string {
	where := e.Spec.Repository.Pull
	credentials := fmt.Sprintf("the credentials in the Secret revet-attestor-registries of namespace %s", w.System)
	const again = "; it is tried again every hour"
	switch a.State {
	case v1alpha1.AttestationPublished:
		return ""
	case v1alpha1.AttestationPending:
		if w.Now.Sub(a.StateSince().Time) < Patience {
			return ""
		}
		return "check that the registry answers: " + w.logs()
	case v1alpha1.AttestationNotPublished:
		switch oci.Reason(a.Reason) {
		case oci.ReasonDenied:
			return "let " + credentials + " pull from and push to " + where + again
		case oci.ReasonRefused:
			return fmt.Sprintf("let the operator list the registry in the ConfigMap config-registries of namespace %s for namespace %s", w.System, e.Namespace) + again
		case oci.ReasonPushRefused:
			return "let the registry accept OCI artefacts in " + where + again
		case oci.ReasonMissing:
			return "push the image again, or delete the entry: the registry no longer has it"
		default:
			return "fix what the message names" + again
		}
	case v1alpha1.AttestationNotRemoved:
		const age = again + ", and until it is gone, only its age ends it: consumers bound it, as with --max-age"
		const by = "delete by hand what status.attestations of the entry names"
		switch oci.Reason(a.Reason) {
		case oci.ReasonDenied:
			return "let " + credentials + " delete manifests in " + where + ", or " + by + age
		case oci.ReasonRefused:
			return fmt.Sprintf("let the operator list the registry in the ConfigMap config-registries of namespace %s for namespace %s again", w.System, e.Namespace) + age
		case oci.ReasonPushRefused:
			return "let the registry delete manifests in " + where + ", or let its administrator " + by + age
		default:
			return "fix what the message names, or " + by + age
		}
	default:
		return "upgrade kubectl-revet, which does not know this state"
	}
}
