package attested

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/attestation"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/config"
)

// The reasons that are not the attestor's own.
const (
	// NotKnown: what decides could not be read.
	NotKnown attestation.Reason = "NotKnown"
	// NoAttestor: no attestor reports.
	NoAttestor attestation.Reason = "NoAttestor"
	// Awaited: an attestor with a key has not come to it yet, and Overdue: for too long.
	Awaited attestation.Reason = "Awaited"
	Overdue attestation.Reason = "Overdue"
)

// Patience is how long a verdict may be without a statement before that needs an explanation.
const Patience = 10 * time.Minute

// Standing says why the newest verdict of an entry has no statement. The zero value says
// nothing: nobody asks for one, or a record tells of it.
type Standing struct {
	Reason  attestation.Reason `json:"reason,omitempty"`
	Message string             `json:"message,omitempty"`
	Cure    string             `json:"cure,omitempty"`
}

// IsZero reports whether there is nothing to say.
func (s Standing) IsZero() bool { return s.Reason == "" }

// Unclear reports whether something is wrong, or not known to be fine.
func (s Standing) Unclear() bool {
	switch s.Reason {
	case "", attestation.ReasonNotPassed, attestation.ReasonNoVerdict, Awaited:
		return false
	default:
		return true
	}
}

// Trigger is an entry's trigger as it could be read: nil if there is none.
type Trigger struct {
	*v1alpha1.ImageTrigger
	Err error
}

// Standing says why the newest verdict of an entry has no statement.
func (w *World) Standing(e *v1alpha1.ImageVerification, t Trigger) Standing {
	recorded := slices.ContainsFunc(e.Status.Attestations, func(a v1alpha1.AttestationStatus) bool { return states(e, &a) })
	if t.Err != nil && recorded {
		return Standing{}
	}
	if t.Err != nil {
		return Standing{NotKnown, "whether the trigger asks for signed verdicts is not known: " + t.Err.Error(), accessCure}
	}
	// Without the list, what is certain is what does not depend on it.
	listed := w.ListErr != nil || w.List.Has(e.Namespace, e.Spec.Trigger.Name)
	wanted, reason := attestation.Wanted(attestation.Facts{Entry: e, Trigger: t.ImageTrigger, Trusted: listed, Now: w.Now})
	switch {
	case !wanted:
		return w.unwanted(e, t, reason)
	case recorded:
		return Standing{}
	case w.ListErr != nil:
		return Standing{NotKnown, "the trigger asks for it, and whether the operator lists the trigger is not known: " + w.ListErr.Error(), w.listCure()}
	case attestation.TooManyKept(count(e, v1alpha1.AttestationNotRemoved)):
		return Standing{attestation.ReasonKept, "the registry keeps too many earlier statements that no longer hold", "cure those that are not removed"}
	}
	if s := w.Signer(); !s.IsZero() {
		return s
	}
	since := w.Now.Sub(e.Status.Verdict.At.Time)
	if since < Patience {
		return Standing{Reason: Awaited, Message: "the attestor has not come to it yet"}
	}
	return Standing{Overdue, fmt.Sprintf("the attestor has not come to it for %s", command.Ago(e.Status.Verdict.At.Time, w.Now)), w.logs()}
}

// unwanted explains why the attestor signs nothing.
func (w *World) unwanted(e *v1alpha1.ImageVerification, t Trigger, reason attestation.Reason) Standing {
	switch reason {
	case attestation.ReasonTriggerGone, attestation.ReasonNotAsked:
		return Standing{}
	case attestation.ReasonNotTrusted:
		return w.NotListed(e.Namespace, e.Spec.Trigger.Name)
	case attestation.ReasonNoVerdict:
		return Standing{Reason: reason, Message: "there is no verdict yet"}
	case attestation.ReasonNotPassed:
		return Standing{Reason: reason, Message: "only a pass is signed"}
	case attestation.ReasonTooOld:
		return Standing{reason, fmt.Sprintf("the verdict is older than spec.attest.maxAge of the trigger, which is %s", t.Spec.Attest.MaxAge.Duration),
			fmt.Sprintf("kubectl revet replay %s -n %s", e.Name, e.Namespace)}
	case attestation.ReasonInFuture:
		return Standing{reason, "the time of the verdict is in the future", "set the clocks of the cluster and of this machine"}
	default:
		return Standing{reason, "the attestor does not sign it", w.logs()}
	}
}

// NotListed says that the operator's list does not name a trigger.
func (w *World) NotListed(namespace, trigger string) Standing {
	named := fmt.Sprintf("{namespace: %s, trigger: %s}", namespace, trigger)
	return Standing{
		attestation.ReasonNotTrusted, fmt.Sprintf("the trigger asks for it, and the %s does not list the trigger", w.list()),
		fmt.Sprintf("let the operator add %s to %s of the %s, or take spec.attest out of the trigger", named, config.AttestedKey, w.list()),
	}
}

// Signer says why no attestor can sign now; the zero value is that one can.
func (w *World) Signer() Standing {
	switch {
	case w.ReportErr != nil:
		return Standing{NotKnown, "whether an attestor has a key is not known: " + w.ReportErr.Error(), accessCure}
	case w.Report == nil:
		return Standing{NoAttestor, "no attestor has ever said which keys it has", w.logs()}
	case w.Stale():
		return Standing{NoAttestor, fmt.Sprintf("no attestor leads: the last report is %s old", command.Ago(w.At, w.Now)), w.logs()}
	case len(w.Report.Keys) == 0:
		return Standing{attestation.ReasonNoKey, "the attestor has no key", fmt.Sprintf(
			"put a key into the Secret revet-attestation-keys in namespace %s, under a name like %s.pem", w.System, w.Now.UTC().Format("2006-01-02"))}
	case w.Report.Signs == "":
		return Standing{attestation.ReasonNoKey, "no key of the attestor signs yet: " + strings.Join(w.Report.Keys, ", "),
			"a key signs from the day in its name on: wait, or add one of today to the Secret revet-attestation-keys in namespace " + w.System}
	default:
		return Standing{}
	}
}

const accessCure = "ask somebody with more rights, such as a cluster administrator, to run this command"

func (w *World) listCure() string {
	if w.Invalid {
		return "let the operator correct " + config.AttestedKey + " of the " + w.list()
	}
	return accessCure
}

func (w *World) logs() string {
	return fmt.Sprintf("kubectl get pods -n %s -l app.kubernetes.io/name=attestor; kubectl logs -n %s deployment/attestor", w.System, w.System)
}

// states reports whether a record is about the newest verdict.
func states(e *v1alpha1.ImageVerification, a *v1alpha1.AttestationStatus) bool {
	return e.Status.Verdict != nil && a.Run == e.Status.Verdict.Run && a.State != v1alpha1.AttestationNotRemoved
}

func count(e *v1alpha1.ImageVerification, state v1alpha1.AttestationState) int {
	n := 0
	for i := range e.Status.Attestations {
		if e.Status.Attestations[i].State == state {
			n++
		}
	}
	return n
}
