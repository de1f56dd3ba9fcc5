package lifecycle

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
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
	// Inspect: the run's Pods should have started: look whether they have.
	Inspect
	// Stop: the run's Pods cannot start: end its PipelineRun.
	Stop
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
	// stopAgain is how often a run that is to end is asked to.
	stopAgain = 10 * time.Second
	// mostTaken is how many run names in a row may be taken before it is not an
	// accident any more.
	mostTaken = 5
)

// Next decides the next step of an entry.
func Next(e *v1alpha1.ImageVerification, t Trigger, seen Sighting, now time.Time) Decision {
	if run := e.Status.CurrentRun(); run != nil {
		if Undecided(e) != nil && joins(run, t) {
			return Decision{Action: Cover, Reason: Requested, Run: run.Number}
		}
		if run.ConfirmedAt != nil {
			return follow(e, run, t, seen, now)
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
	if cause, ok := rescued(&e.Status, t); ok {
		return start(cause, t, seen, now)
	}
	return Decision{Action: Rest, Reason: Reason(e.Status.Reason)}
}

// Undecided returns the oldest push that no run covers and that was not skipped, or nil.
func Undecided(e *v1alpha1.ImageVerification) *v1alpha1.TagStatus {
	var open []v1alpha1.TagStatus
	for _, tag := range e.Tags() {
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
		return Decision{Action: Cover, Reason: Reason(e.Status.Reason), Run: e.Status.LatestRun().Number}
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

// fresh reports whether the latest verdict, or that it is no image, covers a further
// push of the digest.
func fresh(s *v1alpha1.ImageVerificationStatus, t Trigger, now time.Time) bool {
	last := s.LatestRun()
	if last == nil || t.Freshness <= 0 || last.TriggerGeneration != t.Generation {
		return false
	}
	switch {
	case last.Outcome == v1alpha1.OutcomePass, last.Outcome == v1alpha1.OutcomeFail,
		last.Outcome == v1alpha1.OutcomeError && Reason(last.Reason) == NotAnImage:
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
	last := s.LatestRun()
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
func follow(e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus, t Trigger, seen Sighting, now time.Time) Decision {
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
			return started(run, t, seen, now)
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

// started decides on a run that goes on: whether its Pods have started, if it was
// asked to execute in a RuntimeClass, which may be unable to.
func started(run *v1alpha1.RunStatus, t Trigger, seen Sighting, now time.Time) Decision {
	wait := Decision{Action: Wait, Reason: Running, Run: run.Number}
	switch {
	case Reason(run.Reason) == SandboxUnavailable:
		return Decision{Action: Stop, Reason: SandboxUnavailable, Message: run.Message, After: stopAgain, Run: run.Number}
	case run.Sandbox.Requested == "" || seen.PodsStarted || run.StartedAt == nil || t.StartTimeout <= 0:
		return wait
	}
	if wait.After = run.StartedAt.Add(t.StartTimeout).Sub(now); wait.After > 0 {
		return wait
	}
	return Decision{Action: Inspect, Run: run.Number}
}

// Stranding returns why none of a run's Pods has started in the class, or "" if one has.
func Stranding(class string, limit time.Duration, pods []Pod) string {
	why := "it has no Pod yet; see the conditions of its TaskRuns"
	for _, p := range pods {
		if p.Started {
			return ""
		}
		why = note("Pod "+p.Name, p.Waiting)
	}
	return image.Cut(fmt.Sprintf("no Pod of the run started in RuntimeClass %q within %s: %s. %s", class, limit, why, sandboxCure(class, why)), maxMessage)
}

// The words by which Kubernetes and containerd say why a Pod does not start in a
// class, with what cures it.
var sandboxCures = []struct{ words, cure string }{
	{"is configured", "Configure the RuntimeClass's handler in the node's container runtime, or let the RuntimeClass's scheduling select the nodes that have it"},
	{"not found", "Create the RuntimeClass"},
	{"binary not installed", "Install the runtime's shim on the node, or let the RuntimeClass's scheduling select the nodes that have it"},
	{"OCI runtime create failed", "Mend the runtime on the node; its log says more"},
	{"nodes are available", "Give a node the labels that the RuntimeClass and spec.sandbox.nodeSelector select, or room for the Pod"},
}

func sandboxCure(class, why string) string {
	for _, c := range sandboxCures {
		if strings.Contains(why, c.words) {
			return c.cure
		}
	}
	return fmt.Sprintf("kubectl describe pod tells more, and kubectl describe runtimeclass %s where it is to run", class)
}

// MissingClass reports whether what a TaskRun says is that its Pod was refused, as
// there is no such RuntimeClass.
func MissingClass(class, said string) bool {
	return class != "" && strings.Contains(said, fmt.Sprintf("RuntimeClass %q not found", class))
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
