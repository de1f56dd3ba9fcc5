package coverage

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/sweep"
)

// The reasons why a trigger's status does not tell, besides those of package sweep.
const (
	// SpecChanged: the latest sweep was of another spec.
	SpecChanged = "SpecChanged"
	// SweepIncomplete: the latest sweep does not say that it saw everything.
	SweepIncomplete = "SweepIncomplete"
)

// DefaultMaxAge is how long a sweep speaks for what is there now: six of its usual
// intervals.
const DefaultMaxAge = time.Hour

// maxSkew is how far ahead of this clock the one of a sweep may be.
const maxSkew = 5 * time.Minute

// FromStatus reports what the trigger's latest sweep saw, if it began no longer than
// maxAge ago, and takes the ledger's word for the rest. It is pure.
func FromStatus(trigger *v1alpha1.ImageTrigger, entries []v1alpha1.ImageVerification, now time.Time, maxAge time.Duration) Report {
	r := Report{Namespace: trigger.Namespace, Trigger: trigger.Name}
	for i := range entries {
		e := &entries[i]
		if e.Spec.Trigger.UID != string(trigger.UID) {
			continue
		}
		for _, tag := range e.Tags() {
			r.count(e, &tag)
		}
		for _, packed := range e.Status.MoreTags.Unpack() {
			tag := packed.Status()
			r.count(e, &tag)
		}
	}
	missing := 0
	if last := trigger.Status.LastSweep; last != nil {
		r.AsOf = last.FinishedAt.DeepCopy()
		r.Repositories, r.Pushes, r.Gap, r.Artefacts = int(last.Repositories), int(last.Pushes), int(last.Gap), int(last.Artefacts)
		r.Covered = r.Pushes - r.Gap
		if last.Coverage != v1alpha1.CoverageNotKnown {
			missing = r.Gap
		}
		for _, u := range last.Unknown {
			r.unknown(u)
		}
	}
	if u := stale(trigger, now, maxAge); u != nil {
		r.unknown(*u)
	}
	r.order()
	r.conclude(missing)
	return r
}

// stale says why the status does not speak for the trigger as it is now; nil if it
// does. Only a status that says so in so many words proves anything.
func stale(trigger *v1alpha1.ImageTrigger, now time.Time, maxAge time.Duration) *v1alpha1.Unknown {
	last := trigger.Status.LastSweep
	swept := meta.FindStatusCondition(trigger.Status.Conditions, v1alpha1.ConditionSwept)
	because := func(reason, message, cure string) *v1alpha1.Unknown {
		return &v1alpha1.Unknown{Reason: reason, Count: 1, Message: message, Cure: cure}
	}
	wait := "wait for the next sweep, or read everything now with --verify"
	switch {
	case last == nil:
		return because(sweep.NotSwept, "no sweep of the trigger has ended",
			fmt.Sprintf("if this lasts, kubectl revet doctor %s -n %s says why; --verify reads everything now", trigger.Name, trigger.Namespace))
	case swept == nil:
		return because(SweepIncomplete, "the trigger has no condition Swept", wait)
	case swept.ObservedGeneration != trigger.Generation:
		return because(SpecChanged, "the trigger's spec has changed since the latest sweep", wait)
	case now.Sub(last.StartedAt.Time) > maxAge:
		age := now.Sub(last.StartedAt.Time).Round(time.Second)
		return because(sweep.SweepTooOld, fmt.Sprintf("the latest sweep began %s ago, and one proves nothing after %s", age, maxAge),
			"see that Revet's controller runs; --max-age takes older sweeps, and --verify reads everything now")
	case last.StartedAt.Sub(now) > maxSkew:
		return because(sweep.SweepTooOld, fmt.Sprintf("the latest sweep began in the future, at %s", last.StartedAt.UTC().Format(time.RFC3339)),
			"set the clocks of this machine and of the cluster; --verify reads everything now")
	case len(last.Unknown) > 0:
		return nil // the sweep has said what it did not see
	case swept.Status != metav1.ConditionTrue:
		return because(SweepIncomplete, fmt.Sprintf("the latest sweep did not see everything: %s: %s", swept.Reason, swept.Message), wait)
	case last.Coverage != v1alpha1.CoverageCovered && last.Coverage != v1alpha1.CoverageGap:
		return because(SweepIncomplete, "the latest sweep does not say whether it saw everything, as none does of an older Revet", wait)
	default:
		return nil
	}
}
