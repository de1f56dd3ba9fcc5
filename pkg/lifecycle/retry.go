package lifecycle

import (
	"fmt"
	"hash/fnv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// The times between the end of a run and its repetition: 10 s, 30 s, 90 s, ...
const (
	firstRepeat   = 10 * time.Second
	slowestRepeat = 5 * time.Minute
)

// Scheduled reports whether the latest run is to be repeated. That was decided
// when its end was written, so that neither a later change of the trigger nor an
// upgrade makes runs of what failed long ago.
func Scheduled(s *v1alpha1.ImageVerificationStatus) bool {
	last := s.LatestRun()
	return last != nil && s.Phase == v1alpha1.PhasePending && curable(last)
}

// curable reports whether a repetition may end otherwise.
func curable(run *v1alpha1.RunStatus) bool {
	return run.Outcome == v1alpha1.OutcomeError && (Reason(run.Reason) == RunFailed || Reason(run.Reason) == SandboxUnavailable)
}

// Stranded reports whether an entry ended as its run could not start in the
// requested RuntimeClass.
func Stranded(s *v1alpha1.ImageVerificationStatus) bool {
	last := s.LatestRun()
	return last != nil && s.Phase == v1alpha1.PhaseError && Reason(last.Reason) == SandboxUnavailable
}

// rescued returns the cause for which a stranded entry runs again: there is a
// RuntimeClass that was made after the run had failed.
func rescued(s *v1alpha1.ImageVerificationStatus, t Trigger) (v1alpha1.Cause, bool) {
	if !Stranded(s) || t.Gone {
		return v1alpha1.Cause{}, false
	}
	last := s.LatestRun()
	// Both times are of whole seconds.
	if last.FinishedAt == nil || t.ClassSince.Before(last.FinishedAt.Time) {
		return v1alpha1.Cause{}, false
	}
	return v1alpha1.Cause{Type: v1alpha1.CauseRetry, Key: last.Name}, true
}

// retried counts the repetitions that led to the latest run, from the ledger. A
// run that vanished in between, or whose name was taken, is none. If the ledger
// does not show any more what they go back to, there were as many as there can be.
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

// Schedule decides, as the end of the current run was just written into s,
// whether it is repeated, and says so there or how often it was tried.
func Schedule(s *v1alpha1.ImageVerificationStatus, t Trigger, now time.Time) {
	last := s.LatestRun()
	if last == nil || !curable(last) {
		return
	}
	made := retried(s)
	if t.Gone || made >= repetitions(last, made, t) {
		s.Message = image.Cut(note(last.Message, attempts(made+1)), maxMessage)
		return
	}
	Hold(s, RetryScheduled, repetition(last, made, t), now)
	// It has no verdict, and is not without one for good.
	s.MarkUndecided(string(RetryScheduled), s.Message, now)
}

// Resign ends an entry whose latest run was to be repeated, and is not.
func Resign(s *v1alpha1.ImageVerificationStatus, now time.Time) {
	last := s.LatestRun()
	if last == nil {
		return
	}
	s.Phase, s.Reason = v1alpha1.PhaseError, last.Reason
	s.Message = image.Cut(note(last.Message, attempts(retried(s)+1)), maxMessage)
	s.MarkNotVerified(last.Reason, last.Message, now)
}

// repeat decides on the repetition of the latest run.
func repeat(s *v1alpha1.ImageVerificationStatus, t Trigger, seen Sighting, now time.Time) Decision {
	last, made := s.LatestRun(), retried(s)
	cause := v1alpha1.Cause{Type: v1alpha1.CauseRetry, Key: last.Name}
	if seen.Sight != Found && (t.Gone || made >= repetitions(last, made, t)) {
		return Decision{Action: GiveUp, Reason: Reason(last.Reason), Run: last.Number}
	}
	if wait := due(last, made).Sub(now); wait > 0 {
		return Decision{Action: Wait, Reason: RetryScheduled, Message: repetition(last, made, t), After: wait, Cause: cause, Hold: true}
	}
	return start(cause, t, seen, now)
}

// repetitions is how often a run is repeated that was repeated so often before: one
// that falls back to no class is, whatever spec.retries says, as that is what was
// asked for.
func repetitions(run *v1alpha1.RunStatus, made int, t Trigger) int {
	if t.FallsBack && Reason(run.Reason) == SandboxUnavailable && run.Sandbox.Requested != "" {
		return max(t.Retries, made+1)
	}
	return t.Retries
}

// due is when a run is repeated that was repeated so often before. The jitter
// comes from its name, so that the decision stays repeatable.
func due(run *v1alpha1.RunStatus, made int) time.Time {
	wait := firstRepeat
	for range min(made, maxRuns) {
		wait = min(wait*3, slowestRepeat)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(run.Name)) // it never fails
	wait += wait / 4 * time.Duration(h.Sum32()%100) / 100
	end := run.FinishedAt
	if end == nil {
		end = &metav1.Time{Time: run.RequestedAt.Time}
	}
	return end.Add(wait)
}

func repetition(run *v1alpha1.RunStatus, made int, t Trigger) string {
	return fmt.Sprintf("retry %d of %d follows at %s; run %s: %s",
		made+1, repetitions(run, made, t), due(run, made).UTC().Format(time.RFC3339), run.Name, note(run.Reason, run.Message))
}

func attempts(n int) string {
	if n == 1 {
		return "1 attempt was made"
	}
	return fmt.Sprintf("%d attempts were made", n)
}
