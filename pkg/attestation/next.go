package attestation

import (
	"slices"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

const (
	// defaultMaxAge stands where the API server did not fill in spec.attest.maxAge.
	defaultMaxAge = 720 * time.Hour
	// retryRefused is how long after a registry refused something it is asked again.
	retryRefused = time.Hour
	// maxKept bounds the attestations of one entry that a registry refuses to remove. At the
	// bound nothing more is published: each would be one more that cannot be withdrawn.
	maxKept = 4
	// maxRecords is how many attestations one entry has room for.
	maxRecords = 8
)

// Reason says in CamelCase why an entry has an attestation, or has none.
type Reason string

// The reasons. The zero value is none.
const (
	ReasonPassed      Reason = "Passed"
	ReasonTriggerGone Reason = "TriggerGone"
	ReasonNotAsked    Reason = "NotAsked"
	ReasonNotTrusted  Reason = "NotTrusted"
	ReasonNoVerdict   Reason = "NoVerdict"
	ReasonNotPassed   Reason = "NotPassed"
	ReasonTooOld      Reason = "TooOld"
	ReasonInFuture    Reason = "InTheFuture"
	// ReasonNoKey: no key signs now. What stands in the registry stays.
	ReasonNoKey Reason = "NoKey"
	// ReasonKeyRevoked: the key that signed was taken out of the ring.
	ReasonKeyRevoked Reason = "KeyRevoked"
	// ReasonSuperseded: the statement of a newer verdict is published.
	ReasonSuperseded Reason = "Superseded"
	// ReasonKept: the registry keeps too many that no longer hold.
	ReasonKept Reason = "TooManyNotRemoved"
)

// Facts is what Next decides from.
type Facts struct {
	Entry *v1alpha1.ImageVerification
	// Trigger has the name and the UID that the entry names; nil if there is none.
	Trigger *v1alpha1.ImageTrigger
	// Trusted is true if the operator lets the trigger's verdicts be signed.
	Trusted bool
	Keys    Ring
	Now     time.Time
}

// Step is what the attestor does next. The zero value does nothing.
type Step int

// The steps.
const (
	// Rest: there is nothing to do before Action.Again.
	Rest Step = iota
	// Prepare signs the statement of the verdict, and records what will be sent. After a
	// crash before the record, nothing was sent.
	Prepare
	// Publish sends what Action.Record names, and records that it is published. After a crash
	// in between, the same bytes are sent again; if they cannot be made any more, the record
	// is withdrawn first.
	Publish
	// Remove removes what Action.Record names, and then the record. After a crash in between,
	// what is gone is found gone.
	Remove
)

// Action is a step, and why.
type Action struct {
	Step   Step
	Reason Reason
	// Record is the attestation that Publish or Remove is about, and of Rest the one that is
	// published.
	Record *v1alpha1.AttestationStatus
	// Again is when to ask again without a change; zero for never.
	Again time.Time
}

// Next decides what to do about an entry's attestations. What no longer holds goes first. A
// statement that holds stays until that of a newer verdict is published.
func Next(f Facts) Action {
	wanted, reason := f.wanted()
	records := f.Entry.Status.Attestations
	var again soonest
	kept := 0
	for i := range records {
		r := &records[i]
		why := f.fault(r, wanted, reason)
		if why == "" {
			again.add(r.VerifiedAt.Add(f.maxAge()))
			continue
		}
		if r.State == v1alpha1.AttestationNotRemoved {
			kept++
			if retry := r.At.Add(retryRefused); f.Now.Before(retry) {
				again.add(retry)
				continue
			}
		}
		return Action{Step: Remove, Reason: why, Record: r}
	}
	if !wanted {
		if reason == ReasonInFuture {
			again.add(f.Entry.Status.Verdict.At.Time)
		}
		return Action{Reason: reason, Again: again.at}
	}
	return f.publish(kept, &again)
}

// publish decides how the statement of the newest verdict, which is wanted, gets into the
// registry.
func (f Facts) publish(kept int, again *soonest) Action {
	records := f.Entry.Status.Attestations
	own := slices.IndexFunc(records, f.states)
	if own < 0 {
		return f.prepare(kept, again)
	}
	if f.Keys.Empty() && records[own].State != v1alpha1.AttestationPublished {
		return Action{Reason: ReasonNoKey, Again: again.at}
	}
	switch r := &records[own]; r.State {
	case v1alpha1.AttestationPublished:
		if i := slices.IndexFunc(records, f.superseded); i >= 0 {
			return Action{Step: Remove, Reason: ReasonSuperseded, Record: &records[i]}
		}
		return Action{Reason: ReasonPassed, Record: r, Again: again.at}
	case v1alpha1.AttestationNotPublished:
		if retry := r.At.Add(retryRefused); f.Now.Before(retry) {
			again.add(retry)
			return Action{Reason: Reason(r.Reason), Again: again.at}
		}
		return Action{Step: Publish, Reason: ReasonPassed, Record: r}
	default:
		// Pending; or a registry kept it when it did not hold, and it holds again.
		return Action{Step: Publish, Reason: ReasonPassed, Record: r}
	}
}

// prepare decides about a verdict that no record states.
func (f Facts) prepare(kept int, again *soonest) Action {
	records := f.Entry.Status.Attestations
	if _, ok := f.Keys.Current(f.Now); !ok {
		return Action{Reason: ReasonNoKey, Again: again.at}
	}
	if kept >= maxKept {
		return Action{Reason: ReasonKept, Again: again.at}
	}
	// Nobody relies on what is not published. What is stays, while there is room.
	useless := slices.IndexFunc(records, func(r v1alpha1.AttestationStatus) bool {
		return f.superseded(r) && (r.State != v1alpha1.AttestationPublished || len(records) >= maxRecords)
	})
	if useless >= 0 {
		return Action{Step: Remove, Reason: ReasonSuperseded, Record: &records[useless]}
	}
	return Action{Step: Prepare, Reason: ReasonPassed}
}

// states reports whether a record states the newest verdict, by a key that counts.
func (f Facts) states(r v1alpha1.AttestationStatus) bool {
	return f.Entry.Status.Verdict != nil && r.Run == f.Entry.Status.Verdict.Run && !f.revoked(&r)
}

// superseded reports whether a record states an earlier verdict, and nobody tried in vain to
// remove it.
func (f Facts) superseded(r v1alpha1.AttestationStatus) bool {
	return !f.states(r) && r.State != v1alpha1.AttestationNotRemoved
}

// wanted reports whether the entry's verdict is to be signed, and why not.
func (f Facts) wanted() (bool, Reason) {
	v := f.Entry.Status.Verdict
	switch {
	case f.Trigger == nil || string(f.Trigger.UID) != f.Entry.Spec.Trigger.UID:
		return false, ReasonTriggerGone
	case f.Trigger.Spec.Attest == nil:
		return false, ReasonNotAsked
	case !f.Trusted:
		return false, ReasonNotTrusted
	case v == nil:
		return false, ReasonNoVerdict
	case v.Outcome != v1alpha1.OutcomePass:
		return false, ReasonNotPassed
	case !f.Now.Before(v.At.Add(f.maxAge())):
		return false, ReasonTooOld
	case v.At.After(f.Now.Add(futureSkew)):
		return false, ReasonInFuture
	default:
		return true, ReasonPassed
	}
}

// fault returns why a record has to go, or "". A record of an earlier verdict that passed is
// true as well, until it is too old.
func (f Facts) fault(r *v1alpha1.AttestationStatus, wanted bool, reason Reason) Reason {
	switch {
	case !wanted:
		return reason
	case !f.Now.Before(r.VerifiedAt.Add(f.maxAge())):
		return ReasonTooOld
	case f.revoked(r):
		return ReasonKeyRevoked
	case r.State == v1alpha1.AttestationNotRemoved && !f.states(*r):
		return ReasonSuperseded
	default:
		return ""
	}
}

// revoked reports whether the key of a record is known to be revoked. An empty ring says
// nothing: its Secret may just be missing.
func (f Facts) revoked(r *v1alpha1.AttestationStatus) bool {
	_, ok := f.Keys.Find(r.Key)
	return !ok && !f.Keys.Empty()
}

func (f Facts) maxAge() time.Duration {
	if f.Trigger == nil || f.Trigger.Spec.Attest == nil || f.Trigger.Spec.Attest.MaxAge.Duration <= 0 {
		return defaultMaxAge
	}
	return f.Trigger.Spec.Attest.MaxAge.Duration
}

// soonest is the earliest of the times that were added.
type soonest struct{ at time.Time }

func (s *soonest) add(t time.Time) {
	if s.at.IsZero() || t.Before(s.at) {
		s.at = t
	}
}
