package lifecycle

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// The times by which a run is looked for and requested again.
const (
	// firstLook is how long a sink is given before the API server is asked.
	firstLook = 20 * time.Millisecond
	// slowestLook is the longest time between two looks.
	slowestLook = 2 * time.Second
	// confirmWindow is how long a run may take to appear.
	confirmWindow = 10 * time.Second
	// cacheLag is how far the watch of PipelineRuns may lag before it is not
	// believed that a confirmed run is missing from it.
	cacheLag = 2 * time.Second
	// firstBackoff and slowestBackoff bound the time between two requests.
	firstBackoff   = 250 * time.Millisecond
	slowestBackoff = 30 * time.Second
	// overdue is when a run should have appeared, so that what the trigger says
	// may be why it did not.
	overdue = 2 * time.Second
	// pauseNote is the pause that is written down: each entry costs a write.
	pauseNote = 5 * time.Second
	// mendedAgain is the shortest time to the next request once the trigger that
	// was waited for is ready.
	mendedAgain = 500 * time.Millisecond
)

// confirm decides while a run is requested but was not seen yet.
func confirm(e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus, t Trigger, seen Sighting, now time.Time) Decision {
	switch seen.Sight {
	case Found:
		if reason := Foreign(e, run.Name, seen.Run); reason != "" {
			return Decision{Action: End, Reason: RunNameTaken, Message: reason, Run: run.Number}
		}
		return Decision{Action: Adopt, Reason: Running, Run: run.Number}
	case Absent:
		return unseen(e, run, t, now)
	case NotLooked:
		first := firstLook
		if undelivered(run) && !mended(e, run, t) {
			first = patience(run) // there is nothing to be seen before
		}
		if since := sinceFired(run, now); run.Attempts > 0 && since < first {
			return Decision{Action: Wait, Reason: sent(run), After: first - since, Run: run.Number}
		}
		return Decision{Action: Look, Run: run.Number}
	default:
		return Decision{Action: Look, Reason: Unknown, Run: run.Number}
	}
}

// unseen decides when the API server has no run of that name. What cannot be
// confirmed ends only while the trigger is ready: one whose listener is gone, or
// whose template is broken, says nothing of what the request met.
func unseen(e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus, t Trigger, now time.Time) Decision {
	again, since := patience(run), sinceFired(run, now)
	if run.Attempts > 0 && since < again && (since < mendedAgain || !mended(e, run, t)) {
		d := Decision{Action: Wait, Reason: sent(run), After: min(max(since, firstLook), slowestLook, again-since), Run: run.Number}
		if since >= overdue && !t.Ready && !t.Gone {
			// What the trigger says is the likely cause, and is told before the time is up.
			d.Reason, d.Message, d.Hold = Reason(t.Reason), t.Message, true
		}
		return d
	}
	switch {
	case t.Gone:
		return Decision{Action: Skip, Reason: TriggerDeleted, Message: "its ImageTrigger was deleted before the run appeared", Run: run.Number}
	case Reason(run.Reason) == RequestedOnce:
		return unconfirmed(run, t)
	case !t.Ready:
		return Decision{Action: Wait, Reason: Reason(t.Reason), Message: t.Message, After: triggerRetry, Run: run.Number, Hold: true}
	case run.Attempts > 0 && !t.Confirmable && !undelivered(run):
		return unconfirmed(run, t)
	case now.Before(t.PausedUntil):
		return paused(t, Decision{Run: run.Number}, now)
	default:
		return Decision{Action: Fire, Reason: sent(run), Run: run.Number}
	}
}

// unconfirmed ends a run whose request must not be sent a second time.
func unconfirmed(run *v1alpha1.RunStatus, t Trigger) Decision {
	message := "no PipelineRun of this name appeared within " + confirmWindow.String() +
		", and as the sink cannot be looked into, a second request could start a second run; let the template take the run's name, or replay it by hand"
	if t.SinkLog != "" {
		message += "; what became of the request: " + t.SinkLog
	}
	return Decision{Action: End, Reason: Unconfirmed, Run: run.Number, Message: message}
}

// suspicion says of a request that was taken, and of which nothing came, what is
// known. A template that does not use the run's name, a binding that misses a
// field, rights and a RuntimeClass are the trigger's to tell, which is not ready
// then; what is left shows only in the sink's log.
func suspicion(attempts int32, t Trigger) string {
	message := fmt.Sprintf("the sink took the request %d times, but no PipelineRun of this name appeared; it is sent again. See the listener's log, where alone it shows if an admission webhook or a quota refuses the run", attempts)
	if t.SinkLog != "" {
		message += ": " + t.SinkLog
	}
	return note(t.SinkDoubt, message)
}

// mended reports whether the entry waits for a trigger that became ready since:
// what was wrong then is the reason why no run appeared.
func mended(e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus, t Trigger) bool {
	return t.Ready && (t.Confirmable || undelivered(run)) && Reason(e.Status.Reason) != sent(run)
}

// paused waits until the sink may be asked again.
func paused(t Trigger, d Decision, now time.Time) Decision {
	d.Action, d.Reason, d.After = Wait, SinkRefused, t.PausedUntil.Sub(now)
	if d.Hold = d.After >= pauseNote; d.Hold {
		d.Message = "the sink asked not to be sent anything before " + t.PausedUntil.UTC().Format(time.RFC3339)
	}
	return d
}

// OtherName returns why the current run ends that has, instead of a PipelineRun
// of its name, one of another: sending its request again could start a second.
func OtherName(run *v1alpha1.RunStatus, name string) Decision {
	return Decision{Action: End, Reason: Misnamed, Run: run.Number, Message: fmt.Sprintf(
		"PipelineRun %q carries this run's label but not its name, so that it is not followed, and no second one is started; let the template take the run's name, and replay it by hand", name)}
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
	case SinkUnreachable, SinkRefused, SinkInvalid:
		return true
	default:
		return false
	}
}

// patience is how long after the latest request the next one is sent. The
// jitter comes from the run's name, so that many runs do not fire in step and
// the decision stays repeatable.
func patience(run *v1alpha1.RunStatus) time.Duration {
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
