package lifecycle

import (
	"fmt"
	"hash/fnv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// Scheduled reports whether the latest run is to be repeated. That was decided when its
// end was recorded, so that neither a change of the trigger nor an upgrade repeats runs
// that failed long ago.
func Scheduled(s *v1alpha1.ImageVerificationStatus) bool {
	last := s.LatestRun()
	return last != nil && s.Phase == v1alpha1.PhasePending && curable(last)
}

// Repeatable reports whether the latest run ended in a way that a repetition may cure.
func Repeatable(s *v1alpha1.ImageVerificationStatus) bool {
	last := s.LatestRun()
	return last != nil && curable(last)
}

// Judged reports whether the latest run ended with a verdict.
func Judged(s *v1alpha1.ImageVerificationStatus) bool {
	last := s.LatestRun()
	return last != nil && (last.Outcome == v1alpha1.OutcomePass || last.Outcome == v1alpha1.OutcomeFail)
}

// curable reports whether a repetition may end otherwise.
func curable(run *v1alpha1.RunStatus) bool {
	return ended(run, RunFailed) || ended(run, SandboxUnavailable)
}

// retried counts the repetitions that led to the latest run, from the status. A run that
// vanished, or whose name was taken, does not count. If the status no longer shows the
// run that all of them repeat, there were as many as there can be.
func retried(s *v1alpha1.ImageVerificationStatus) int {
	n := 0
	for i := len(s.Runs) - 1; i >= 0; i-- {
		switch cause := s.Runs[i].Cause; cause.Type {
		case v1alpha1.CauseRetry:
			if i+1 == len(s.Runs) || s.Runs[i+1].Cause != cause {
				n++
			}
		case v1alpha1.CauseVanished:
		default:
			return n
		}
	}
	if len(s.Runs) == maxRuns {
		return maxRuns
	}
	return n
}

// RecordRetry decides, as the end of the current run was just recorded in s, whether the
// run is repeated. It records when, or how many attempts were made.
func RecordRetry(s *v1alpha1.ImageVerificationStatus, t Trigger, now time.Time) {
	last := s.LatestRun()
	if last == nil || !curable(last) {
		return
	}
	made := retried(s)
	if t.Gone || made >= maxRetries(last, made, t) {
		s.Message = image.Cut(note(last.Message, attempts(made+1)), maxMessage)
		return
	}
	RecordWait(s, RetryScheduled, retryMessage(last, made, t), now)
	// A verdict is still to come.
	s.MarkUndecided(string(RetryScheduled), s.Message, now)
}

// RecordAbandoned ends an entry whose latest run was to be repeated, and is not.
func RecordAbandoned(s *v1alpha1.ImageVerificationStatus, now time.Time) {
	last := s.LatestRun()
	if last == nil {
		return
	}
	s.Phase, s.Reason = v1alpha1.PhaseError, last.Reason
	s.Message = image.Cut(note(last.Message, attempts(retried(s)+1)), maxMessage)
	s.MarkNotVerified(last.Reason, last.Message, now)
}

// repeat decides on the repetition of the latest run.
func repeat(e *v1alpha1.ImageVerification, f Facts, now time.Time) Decision {
	last, made := e.Status.LatestRun(), retried(&e.Status)
	cause := v1alpha1.Cause{Type: v1alpha1.CauseRetry, Key: last.Name}
	if f.Run.Lookup != Found && (f.Trigger.Gone || made >= maxRetries(last, made, f.Trigger)) {
		return Decision{Action: Abandon, Reason: Reason(last.Reason), Run: last.Number}
	}
	if wait := due(last, made, f.Trigger.RetryFactor).Sub(now); wait > 0 {
		return Decision{Action: Wait, Reason: RetryScheduled, Message: retryMessage(last, made, f.Trigger), After: wait, Cause: cause, Hold: true}
	}
	return start(e, cause, f, now)
}

// maxRetries returns the retry limit of a run that was repeated made times. A fallback to
// the default runtime is always allowed once more, even past spec.retries.
func maxRetries(run *v1alpha1.RunStatus, made int, t Trigger) int {
	if t.FallsBack && Reason(run.Reason) == SandboxUnavailable && run.Sandbox.Requested != "" {
		return max(t.Retries, made+1)
	}
	return t.Retries
}

// due returns when a run is repeated that was repeated made times. A factor above 1 makes it
// wait that many times longer. The jitter comes from its name, so that the decision is
// repeatable.
func due(run *v1alpha1.RunStatus, made, factor int) time.Time {
	wait := firstRepeat
	for range min(made, maxRuns) {
		wait = min(wait*3, slowestRepeat)
	}
	wait = min(wait*time.Duration(max(factor, 1)), slowestRepeatOfMany)
	h := fnv.New32a()
	_, _ = h.Write([]byte(run.Name)) // it never fails
	wait += wait / 4 * time.Duration(h.Sum32()%100) / 100
	end := run.FinishedAt
	if end == nil {
		end = &metav1.Time{Time: run.RequestedAt.Time}
	}
	return end.Add(wait)
}

func retryMessage(run *v1alpha1.RunStatus, made int, t Trigger) string {
	return fmt.Sprintf("retry %d of %d follows at %s; run %s: %s",
		made+1, maxRetries(run, made, t), due(run, made, t.RetryFactor).UTC().Format(time.RFC3339), run.Name, note(run.Reason, run.Message))
}

func attempts(n int) string {
	if n == 1 {
		return "1 attempt was made"
	}
	return fmt.Sprintf("%d attempts were made", n)
}
