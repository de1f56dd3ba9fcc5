package lifecycle

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// How a run is confirmed, all of it: the rules, the times, and what makes a PipelineRun the
// entry's own (foreign).
//
// A sink answers 202 before it does anything, so that its answer proves nothing. The
// PipelineRun does: it has the name that the request asked for, and Revet's marks. The name
// keeps a second request from starting a second run.
//
//	request sent, not recorded    recordSent: RecordSent, with the run if it is there
//	recorded, not seen            confirm: Look, at first after firstLook, then ever less often
//	found, with Revet's marks     Confirm
//	found, with other marks       End, RunNameTaken; the next run has another name
//	found, and something else     Compare, before anything is recorded of it; if it is not what
//	                              the listener makes of the request, as with other marks
//	not there in confirmWindow    unseen: LookByLabel, then FireAgain, at growing intervals
//	found by label, other name    End, Misnamed: a second request could start a second run
//	not confirmable               FireOnce, as RequestedOnce; then End, Unconfirmed
//	sink answers 400, 403, ...    End, SinkRejected: the same request would meet the same answer
//	trigger not ready             from overdue on the entry has its reason; nothing is sent or
//	                              given up; once it has recovered, send again at once
const (
	// recordWindow is how long the first run may be fired and not recorded. A run
	// that appears within it costs one write instead of two.
	recordWindow = 50 * time.Millisecond
	// firstLook is how long a sink has before the API server is asked for the run.
	firstLook = 20 * time.Millisecond
	// slowestLook is the longest time between two looks.
	slowestLook = 2 * time.Second
	// confirmWindow is how long a run may take to appear before its request is sent again.
	// docs/architecture.md tells it too.
	confirmWindow = 10 * time.Second
	// firstBackoff and slowestBackoff bound the time between two requests.
	firstBackoff   = 250 * time.Millisecond
	slowestBackoff = 30 * time.Second
	// overdue is the age of a request from which the trigger's condition is the likely
	// cause of a missing run.
	overdue = 2 * time.Second
	// recoveredBackoff is the shortest time to the next request once a trigger has
	// become ready again.
	recoveredBackoff = 500 * time.Millisecond
)

// unrecorded reports whether a request is not in the status. Another leader may have
// recorded a later one.
func unrecorded(run *v1alpha1.RunStatus, s *Sent) bool {
	if run == nil {
		return true
	}
	return run.ConfirmedAt == nil && (run.FiredAt == nil || run.FiredAt.Time.Before(s.At))
}

// recordSent decides when a request is recorded. The first run is recorded together with
// its PipelineRun, if that appears at once: one write instead of two.
func recordSent(e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus, f Facts, now time.Time) Decision {
	d := Decision{Action: RecordSent, Cause: f.Sent.Cause}
	if run != nil {
		d.Run = run.Number
	}
	if uncompared(e, &v1alpha1.RunStatus{Name: f.Sent.Run}, f) {
		d.Action = Compare
		return d
	}
	if run != nil {
		return d
	}
	since := now.Sub(f.Sent.At)
	if f.Run.Lookup != Found && f.Sent.Failure.Reason == "" && since < recordWindow {
		d.Action, d.After = AwaitRun, recordWindow-since
	}
	return d
}

// confirm decides while a run was requested and not seen.
func confirm(e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus, f Facts, now time.Time) Decision {
	switch f.Run.Lookup {
	case Found:
		if uncompared(e, run, f) {
			return Decision{Action: Compare, Run: run.Number}
		}
		if reason := foreign(e, run.Name, f.Run); reason != "" {
			return Decision{Action: End, Reason: RunNameTaken, Message: reason, Run: run.Number}
		}
		return Decision{Action: Confirm, Reason: Running, Run: run.Number}
	case Absent:
		return unseen(e, run, f, now)
	case NotLooked:
		first := firstLook
		if undelivered(run) && !rejected(run) && !triggerRecovered(e, run, f.Trigger) {
			first = nextAttemptIn(run) // no run can appear before
		}
		if since := sinceFired(run, now); run.Attempts > 0 && since < first {
			return Decision{Action: Wait, Reason: sent(run), After: first - since, Run: run.Number}
		}
		return Decision{Action: Look, Run: run.Number}
	default:
		return Decision{Action: Look, Reason: Unknown, Run: run.Number}
	}
}

// unseen decides when the API server has no run of that name. A run that cannot be
// confirmed ends only while the trigger is ready: a missing listener or a broken template
// says nothing about what the request met.
func unseen(e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus, f Facts, now time.Time) Decision {
	t, again, since := f.Trigger, nextAttemptIn(run), sinceFired(run, now)
	recovered := triggerRecovered(e, run, t)
	if rejected(run) && t.Ready && !recovered {
		return endRejected(e, run, t, since)
	}
	if run.Attempts > 0 && since < again && (since < recoveredBackoff || !recovered) {
		d := Decision{Action: Wait, Reason: sent(run), After: min(max(since, firstLook), slowestLook, again-since), Run: run.Number}
		if since >= overdue && !t.Ready && !t.Gone {
			d.Reason, d.Message, d.Hold = Reason(t.Reason), t.Message, true // the likely cause
		}
		return d
	}
	switch {
	case t.Gone:
		return Decision{Action: Skip, Reason: TriggerDeleted, Run: run.Number,
			Message: "the ImageTrigger was deleted before the run appeared"}
	case Reason(run.Reason) == RequestedOnce:
		return unconfirmed(run, t)
	case !t.Ready:
		return Decision{Action: Wait, Reason: Reason(t.Reason), Message: t.Message, After: triggerRetry, Run: run.Number, Hold: true}
	case run.Attempts > 0 && !t.Confirmable && !undelivered(run):
		return unconfirmed(run, t)
	case now.Before(t.PausedUntil):
		return paused(t, Decision{Run: run.Number}, now)
	default:
		return resend(run, f)
	}
}

// resend sends a request again, unless a PipelineRun has the run's label under another
// name: the request may have met a template that was broken, and was repaired since.
func resend(run *v1alpha1.RunStatus, f Facts) Decision {
	d := Decision{Action: FireOnce, Reason: sent(run), Run: run.Number}
	switch {
	case run.Attempts > 0 && !f.Run.LabelChecked:
		d.Action = LookByLabel
	case f.Run.OtherName != "":
		d.Action, d.Reason = End, Misnamed
		d.Message = fmt.Sprintf("PipelineRun %q has this run's label but not its name, so Revet does not follow it and starts no second one; "+
			"use the run's name as metadata.name in the template, then replay the entry", f.Run.OtherName)
	case f.Trigger.Confirmable:
		d.Action = FireAgain
	}
	return d
}

// unconfirmed ends a run whose request must not be sent a second time.
func unconfirmed(run *v1alpha1.RunStatus, t Trigger) Decision {
	message := "no PipelineRun of this name appeared within " + confirmWindow.String() +
		". Revet cannot inspect the sink, so a second request could start a second run: " +
		"use the run's name as metadata.name in the template, or replay the entry"
	if t.SinkLog != "" {
		message += ". See what the sink did with the request: " + t.SinkLog
	}
	return Decision{Action: End, Reason: Unconfirmed, Run: run.Number, Message: message}
}

// endRejected ends a run whose request can never succeed. An earlier request may still
// start the run, and has its time.
func endRejected(e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus, t Trigger, since time.Duration) Decision {
	if run.Attempts > 1 && since < confirmWindow {
		return Decision{Action: Wait, Reason: sent(run), After: min(max(since, firstLook), slowestLook, confirmWindow-since), Run: run.Number}
	}
	message := note(run.Message, "the same request would meet the same answer, so Revet does not send it again. "+
		"Correct the sink, or what stands in front of it, then run kubectl revet replay "+e.Name)
	if t.SinkLog != "" {
		message += "; see " + t.SinkLog
	}
	return Decision{Action: End, Reason: sent(run), Run: run.Number, Message: message}
}

// hint says what is known of a request that the sink took and that started no run. The
// trigger is not ready if the template, a binding, a right or a RuntimeClass is to blame;
// what is left shows in the sink's log only.
func hint(attempts int32, t Trigger) string {
	message := fmt.Sprintf("the sink took the request %d times, but no PipelineRun of this name appeared; Revet sends it again. "+
		"An admission webhook or a quota may refuse the run, which only the listener's log shows", attempts)
	if t.SinkLog != "" {
		message += ": " + t.SinkLog
	}
	return note(t.SinkDoubt, message)
}

// triggerRecovered reports whether the entry waits for a trigger that is ready again: what
// was wrong with it is why no run appeared.
func triggerRecovered(e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus, t Trigger) bool {
	return t.Ready && (t.Confirmable || undelivered(run)) && Reason(e.Status.Reason) != sent(run)
}

// paused waits until the sink may be asked again.
func paused(t Trigger, d Decision, now time.Time) Decision {
	d.Action, d.Reason, d.After = Wait, SinkRefused, t.PausedUntil.Sub(now)
	if d.Hold = d.After >= pauseNote; d.Hold {
		d.Message = "the sink asked for no requests before " + t.PausedUntil.UTC().Format(time.RFC3339)
	}
	return d
}

// sent is where the latest request stands.
func sent(run *v1alpha1.RunStatus) Reason {
	switch reason := Reason(run.Reason); reason {
	case "", RequestedOnce:
		return Requested
	default:
		return reason
	}
}

// undelivered reports whether the latest request certainly started nothing.
func undelivered(run *v1alpha1.RunStatus) bool {
	switch Reason(run.Reason) {
	case SinkUnreachable, SinkRefused, SinkRejected, SinkInvalid:
		return true
	default:
		return false
	}
}

// rejected reports whether the same request can never succeed.
func rejected(run *v1alpha1.RunStatus) bool {
	return Reason(run.Reason) == SinkRejected || Reason(run.Reason) == SinkInvalid
}

// nextAttemptIn is how long after the latest request the next one is sent. The jitter
// comes from the run's name, so that many runs do not fire in step and the decision is
// repeatable.
func nextAttemptIn(run *v1alpha1.RunStatus) time.Duration {
	backoff := slowestBackoff
	if n := run.Attempts - 1; n < 8 {
		backoff = min(firstBackoff<<max(n, 0), slowestBackoff)
	}
	h := fnv.New32a()
	fmt.Fprintf(h, "%s/%d", run.Name, run.Attempts)
	backoff += backoff / 4 * time.Duration(h.Sum32()%100) / 100
	if undelivered(run) {
		return backoff
	}
	return max(confirmWindow, backoff)
}

func sinceFired(run *v1alpha1.RunStatus, now time.Time) time.Duration {
	if run.FiredAt == nil {
		return 0
	}
	return max(now.Sub(run.FiredAt.Time), 0)
}

// uncompared reports whether a PipelineRun that has the entry's marks is not known to be what
// the trigger's listener makes. One whose UID the status has was compared before.
func uncompared(e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus, f Facts) bool {
	seen := f.Run
	return seen.Lookup == Found && seen.Run.UID != run.UID && seen.Run.UID != seen.Compared &&
		f.Trigger.Confirmable && foreign(e, run.Name, seen) == ""
}

// foreign returns why a PipelineRun is not the run of that name of this entry, or "" if
// it is.
func foreign(e *v1alpha1.ImageVerification, name string, seen RunObservation) string {
	pr := seen.Run
	switch {
	case pr.Name != name:
		return fmt.Sprintf("the PipelineRun is named %q", pr.Name)
	case pr.RunLabel != name:
		return fmt.Sprintf("a PipelineRun of this name exists, but its label %s is %q", v1alpha1.RunLabel, pr.RunLabel)
	case pr.EntryUID == "" || pr.EntryUID != string(e.UID):
		return fmt.Sprintf("a PipelineRun of this name exists, but its annotation %s is %q", v1alpha1.EntryUIDAnnotation, pr.EntryUID)
	case pr.Digest == "" || pr.Digest != e.Spec.Digest:
		return fmt.Sprintf("a PipelineRun of this name exists, but its annotation %s is %q", v1alpha1.DigestAnnotation, pr.Digest)
	case seen.Differs != "" && seen.Compared == pr.UID:
		return "a PipelineRun of this name exists, but the listener would not make it: " + seen.Differs
	default:
		return ""
	}
}
