package verdict

import (
	"fmt"
	"sort"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Action is what is to be done next with an entry. The zero value is nothing.
type Action int

// The actions. Each is one step, and doing one twice does no more than once.
const (
	// Rest: there is nothing to do until something changes.
	Rest Action = iota
	// Wait: not yet; Reason says what for, After when to look again.
	Wait
	// Skip: the undecided pushes need no run; Reason says why.
	Skip
	// Cover: the undecided pushes are covered by run Run.
	Cover
	// Start: decide on a new run for Cause.
	Start
	// Look: ask the API server whether the run exists, then decide again.
	Look
	// Fire: send the request for the current run.
	Fire
	// Adopt: the run exists and is the entry's: record it.
	Adopt
	// Progress: the run was seen to start: record when.
	Progress
	// Settle: the run is done: judge it.
	Settle
	// End: the current run ends without a verdict, for Reason.
	End
	// GiveUp: the latest run, which was to be repeated, is not.
	GiveUp
)

// Decision is what Next decided.
type Decision struct {
	Action  Action
	Reason  Reason
	Message string
	// After is when to decide again if nothing happens before; 0 is never.
	After time.Duration
	Cause v1alpha1.Cause
	// Hold is set if what a Wait waits for belongs into the entry's status.
	Hold bool
	// Run is the number of the run that the action speaks of.
	Run int32
}

const (
	// triggerRetry is how often a trigger that is not ready is looked at again,
	// besides whenever it changes.
	triggerRetry = time.Minute
	// mostTaken is how many run names in a row may be taken before it is not an
	// accident any more.
	mostTaken = 5
)

// Next decides the next step of an entry.
func Next(e *v1alpha1.ImageVerification, t Trigger, seen Sighting, now time.Time) Decision {
	if run := Current(&e.Status); run != nil {
		if Undecided(e) != nil && joins(run, t) {
			return Decision{Action: Cover, Reason: Requested, Run: run.Number}
		}
		if run.ConfirmedAt != nil {
			return follow(e, run, seen, now)
		}
		return confirm(e, run, t, seen, now)
	}
	if cause, ok := again(&e.Status); ok {
		return start(cause, t, seen, now)
	}
	if push := Undecided(e); push != nil {
		return decidePush(e, push, t, seen, now)
	}
	if id, ok := unhandledRequest(e); ok {
		return start(v1alpha1.Cause{Type: v1alpha1.CauseManual, Key: id}, t, seen, now)
	}
	if Scheduled(&e.Status) {
		return repeat(&e.Status, t, seen, now)
	}
	return Decision{Action: Rest, Reason: Reason(e.Status.Reason)}
}

// Current returns the run that is under way, or nil.
func Current(s *v1alpha1.ImageVerificationStatus) *v1alpha1.RunStatus {
	if last := latest(s); last != nil && last.Outcome == "" {
		return last
	}
	return nil
}

// Undecided returns the oldest push that no run covers and that was not skipped, or nil.
func Undecided(e *v1alpha1.ImageVerification) *v1alpha1.TagStatus {
	var open []v1alpha1.TagStatus
	for _, tag := range pushes(e) {
		if tag.Run == 0 {
			open = append(open, tag)
		}
	}
	if len(open) == 0 {
		return nil
	}
	sort.Slice(open, func(i, j int) bool {
		if !open[i].PushedAt.Equal(&open[j].PushedAt) {
			return open[i].PushedAt.Before(&open[j].PushedAt)
		}
		return open[i].Tag < open[j].Tag
	})
	return &open[0]
}

// pushes returns the newest push of each tag. The first push counts as one
// while no status was written: creation alone records it.
func pushes(e *v1alpha1.ImageVerification) []v1alpha1.TagStatus {
	for _, t := range e.Status.Tags {
		if t.Tag == e.Spec.FirstPush.Tag {
			return e.Status.Tags
		}
	}
	return append([]v1alpha1.TagStatus{{PushRecord: e.Spec.FirstPush}}, e.Status.Tags...)
}

// PushCause returns the cause that a push is. Where a repository shows no
// times, the sequence tells the pushes of a tag apart.
func PushCause(p v1alpha1.PushRecord) v1alpha1.Cause {
	key := p.Tag + "@" + p.PushedAt.UTC().Format(time.RFC3339)
	if p.Sequence > 0 {
		key = fmt.Sprintf("%s#%d", p.Tag, p.Sequence)
	}
	return v1alpha1.Cause{Type: v1alpha1.CausePush, Key: key}
}

func decidePush(e *v1alpha1.ImageVerification, push *v1alpha1.TagStatus, t Trigger, seen Sighting, now time.Time) Decision {
	if push.Source == v1alpha1.SourceExisting {
		return Decision{Action: Skip, Reason: Existing, Message: "it was there before the trigger; existing: Verify would verify it"}
	}
	if !t.Gone && fresh(&e.Status, t, now) {
		return Decision{Action: Cover, Reason: Reason(e.Status.Reason), Run: latest(&e.Status).Number}
	}
	return start(PushCause(push.PushRecord), t, seen, now)
}

// start wants a run. A sighting is of the next run's name: the run may exist
// already, if a process ended between sending the request and recording it.
func start(cause v1alpha1.Cause, t Trigger, seen Sighting, now time.Time) Decision {
	switch {
	case seen.Sight == Found:
		return Decision{Action: Start, Cause: cause}
	case t.Gone && seen.Sight == NotLooked:
		return Decision{Action: Look, Cause: cause}
	case t.Gone:
		return Decision{Action: Skip, Reason: TriggerDeleted, Cause: cause, Message: "its ImageTrigger was deleted before the run was requested"}
	case !t.Ready:
		return Decision{Action: Wait, Reason: Reason(t.Reason), Message: t.Message, After: triggerRetry, Cause: cause, Hold: true}
	case now.Before(t.PausedUntil):
		return paused(t, Decision{Cause: cause}, now)
	default:
		return Decision{Action: Start, Cause: cause}
	}
}

// fresh reports whether the latest verdict covers a further push of the digest.
func fresh(s *v1alpha1.ImageVerificationStatus, t Trigger, now time.Time) bool {
	last := latest(s)
	if last == nil || t.Freshness <= 0 || last.TriggerGeneration != t.Generation {
		return false
	}
	switch last.Outcome {
	case v1alpha1.OutcomePass, v1alpha1.OutcomeFail:
		return s.ValidUntil != nil && now.Before(s.ValidUntil.Time)
	default:
		return false
	}
}

// joins reports whether a push that came while run is under way is covered by
// it: it must not have started to fetch, and with a freshness of 0 every push
// has a run after it.
func joins(run *v1alpha1.RunStatus, t Trigger) bool {
	return run.StartedAt == nil && !t.Gone && t.Freshness > 0 && run.TriggerGeneration == t.Generation
}

// again returns the cause for which the latest run has to be repeated.
func again(s *v1alpha1.ImageVerificationStatus) (v1alpha1.Cause, bool) {
	last := latest(s)
	if last == nil || last.Outcome != v1alpha1.OutcomeError || s.Phase == v1alpha1.PhaseSkipped {
		return v1alpha1.Cause{}, false
	}
	switch Reason(last.Reason) {
	case Vanished:
		return v1alpha1.Cause{Type: v1alpha1.CauseVanished, Key: last.Name}, true
	case RunNameTaken:
		return last.Cause, taken(s) < mostTaken
	default:
		return v1alpha1.Cause{}, false
	}
}

func taken(s *v1alpha1.ImageVerificationStatus) int {
	n := 0
	for i := len(s.Runs) - 1; i >= 0 && Reason(s.Runs[i].Reason) == RunNameTaken; i-- {
		n++
	}
	return n
}

func unhandledRequest(e *v1alpha1.ImageVerification) (string, bool) {
	handled := map[string]bool{}
	for _, id := range e.Status.HandledRequests {
		handled[id] = true
	}
	for _, id := range e.Spec.Requests {
		if id != "" && !handled[id] {
			return id, true
		}
	}
	return "", false
}

// follow decides while the run exists.
func follow(e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus, seen Sighting, now time.Time) Decision {
	switch seen.Sight {
	case Found:
		switch {
		case Foreign(e, run.Name, seen.Run) != "":
			return Decision{Action: End, Reason: Vanished, Run: run.Number, Message: "its PipelineRun was deleted, and another took its name"}
		case seen.Run.Done:
			return Decision{Action: Settle, Run: run.Number}
		case run.UID != seen.Run.UID, run.StartedAt == nil && !seen.Run.Started.IsZero():
			return Decision{Action: Progress, Reason: Running, Run: run.Number}
		default:
			return Decision{Action: Wait, Reason: Running, Run: run.Number}
		}
	case Absent:
		return Decision{Action: End, Reason: Vanished, Message: "its PipelineRun was deleted before its outcome was recorded", Run: run.Number}
	case NotLooked:
		if since := now.Sub(run.ConfirmedAt.Time); since < cacheLag {
			return Decision{Action: Wait, Reason: Running, After: max(cacheLag-since, firstLook), Run: run.Number}
		}
		return Decision{Action: Look, Run: run.Number}
	default:
		return Decision{Action: Look, Reason: Unknown, Run: run.Number}
	}
}

// Foreign returns why a PipelineRun is not the run of that name of this entry, or
// "" if it is.
func Foreign(e *v1alpha1.ImageVerification, name string, pr PipelineRun) string {
	switch {
	case pr.Name != name:
		return fmt.Sprintf("the PipelineRun is named %q", pr.Name)
	case pr.RunLabel != name:
		return fmt.Sprintf("a PipelineRun of this name exists, but its label %s is %q", v1alpha1.RunLabel, pr.RunLabel)
	case pr.EntryUID == "" || pr.EntryUID != string(e.UID):
		return fmt.Sprintf("a PipelineRun of this name exists, but its annotation %s is %q", v1alpha1.EntryUIDAnnotation, pr.EntryUID)
	case pr.Digest == "" || pr.Digest != e.Spec.Digest:
		return fmt.Sprintf("a PipelineRun of this name exists, but its annotation %s is %q", v1alpha1.DigestAnnotation, pr.Digest)
	default:
		return ""
	}
}

func latest(s *v1alpha1.ImageVerificationStatus) *v1alpha1.RunStatus {
	if len(s.Runs) == 0 {
		return nil
	}
	return &s.Runs[len(s.Runs)-1]
}

// The times between two attempts to read an image's facts.
const (
	firstFacts   = 100 * time.Millisecond
	slowestFacts = 30 * time.Second
)

// FactsRetry is when to try again to read what is known of an image: the longer
// it did not succeed, the later.
func FactsRetry(e *v1alpha1.ImageVerification, now time.Time) time.Duration {
	since := time.Duration(0)
	if c := meta.FindStatusCondition(e.Status.Conditions, v1alpha1.ConditionFired); c != nil && Reason(c.Reason) == FactsUnreadable {
		since = now.Sub(c.LastTransitionTime.Time)
	}
	return min(max(since/2, firstFacts), slowestFacts)
}
