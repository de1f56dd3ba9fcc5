package lifecycle

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// The bounds of v1alpha1.ImageVerificationStatus.
const (
	maxRuns     = 10
	maxRequests = 10
	maxEmitted  = 64
)

// Begin appends the run that a Start decided on and makes it cover every
// undecided push. The run counter never goes back.
func Begin(s *v1alpha1.ImageVerificationStatus, run v1alpha1.RunStatus, now time.Time) {
	run.Number = s.RunCount + 1
	run.RequestedAt = metav1.NewMicroTime(now)
	s.RunCount = run.Number
	s.Runs = append(s.Runs, run)
	if n := len(s.Runs); n > maxRuns {
		s.Runs = append([]v1alpha1.RunStatus(nil), s.Runs[n-maxRuns:]...)
	}
	decideTags(s, run.Number)
	handle(s, run.Cause)
	s.MarkRecorded(now)
	s.Phase, s.Reason, s.Message, s.ValidUntil = v1alpha1.PhaseRequested, string(Requested), "", nil
	s.NotChecked = "" // it is the last verdict's
}

// Attempt records that a request is about to be sent, or was just sent. That the
// one before was taken and nothing came of it is told from then on.
func Attempt(s *v1alpha1.ImageVerificationStatus, t Trigger, at time.Time) {
	run := s.CurrentRun()
	if run == nil {
		return
	}
	again := run.Attempts > 0 && !undelivered(run)
	fired := metav1.NewMicroTime(at)
	run.FiredAt = &fired
	run.Attempts++
	run.Reason, run.Message = "", ""
	s.MarkFired(run.Name, at)
	switch {
	case !t.Confirmable:
		run.Reason = string(RequestedOnce)
	case again:
		run.Reason, run.Message = string(Unconfirmed), image.Cut(suspicion(run.Attempts-1, t), maxMessage)
		s.MarkNotStarted(run.Reason, run.Message, at)
	}
	s.Reason, s.Message = string(sent(run)), run.Message
}

// Refuse records that the latest request did not reach the sink, or that this is
// not known.
func Refuse(s *v1alpha1.ImageVerificationStatus, t Trigger, reason Reason, message string, now time.Time) {
	run := s.CurrentRun()
	if run == nil {
		return
	}
	message = image.Cut(note(message, t.SinkDoubt), maxMessage)
	s.Reason, s.Message = string(reason), message
	s.MarkNotFired(string(reason), message, now)
	run.Message = message
	if reason == SinkSilent && Reason(run.Reason) == RequestedOnce {
		return // it may have been taken, and must still not be sent again
	}
	run.Reason = string(reason)
}

// Confirm records that the run exists, and when it started if it has.
func Confirm(s *v1alpha1.ImageVerificationStatus, pr PipelineRun, now time.Time) {
	run := s.CurrentRun()
	if run == nil {
		return
	}
	if run.ConfirmedAt == nil {
		at := metav1.NewMicroTime(now)
		run.ConfirmedAt = &at
	}
	run.UID = pr.UID
	run.Reason, run.Message = "", ""
	if !pr.Started.IsZero() {
		at := metav1.NewTime(pr.Started)
		run.StartedAt = &at
	}
	s.Phase, s.Reason, s.Message = v1alpha1.PhaseRunning, string(Running), ""
	s.MarkStarted(run.Name, now)
}

// Strand records that the current run's Pods cannot start, from before it is stopped.
func Strand(s *v1alpha1.ImageVerificationStatus, message string, now time.Time) {
	run := s.CurrentRun()
	if run == nil {
		return
	}
	run.Reason, run.Message = string(SandboxUnavailable), image.Cut(message, maxMessage)
	s.Reason, s.Message = run.Reason, run.Message
	s.MarkUndecided(run.Reason, run.Message, now)
}

// Finish records how the current run ended.
func Finish(s *v1alpha1.ImageVerificationStatus, pr PipelineRun, o Outcome, freshness time.Duration, now time.Time) {
	run := s.CurrentRun()
	if run == nil {
		return
	}
	if pr.Name != "" && run.ConfirmedAt == nil {
		Confirm(s, pr, now)
	}
	if !pr.Started.IsZero() {
		at := metav1.NewTime(pr.Started)
		run.StartedAt = &at
	}
	finished := pr.Finished
	if finished.IsZero() {
		finished = now
	}
	at := metav1.NewTime(finished)
	run.FinishedAt = &at
	run.Outcome, run.Reason, run.Message = o.Outcome, string(o.Reason), o.Message
	run.Digest, run.Summary, run.Report, run.Off, run.Sandbox = o.Digest, o.Summary, o.Report, o.Off, o.Sandbox
	s.Reason, s.Message, s.ValidUntil, s.NotChecked = run.Reason, run.Message, nil, notChecked(run.Off)
	switch o.Outcome {
	case v1alpha1.OutcomePass:
		s.Phase = v1alpha1.PhasePassed
		s.MarkVerified(run.Message, now)
	case v1alpha1.OutcomeFail:
		s.Phase = v1alpha1.PhaseFailed
		s.MarkNotVerified(run.Reason, run.Message, now)
	default:
		run.Outcome = v1alpha1.OutcomeError
		s.Phase = v1alpha1.PhaseError
		s.MarkNotVerified(run.Reason, run.Message, now)
		if o.Reason != NotAnImage {
			return
		}
		s.Phase = v1alpha1.PhaseSkipped // the run found that there is nothing to verify
	}
	if freshness > 0 {
		until := metav1.NewTime(finished.Add(freshness))
		s.ValidUntil = &until
	}
}

// Abort ends the current run without a verdict.
func Abort(s *v1alpha1.ImageVerificationStatus, reason Reason, message string, now time.Time) {
	run := s.CurrentRun()
	if run == nil {
		return
	}
	if run.ConfirmedAt == nil {
		s.MarkNotStarted(string(reason), message, now)
	}
	Finish(s, PipelineRun{}, Outcome{
		Outcome: v1alpha1.OutcomeError,
		Reason:  reason,
		Message: image.Cut(message, maxMessage),
		Sandbox: run.Sandbox,
	}, 0, now)
}

// Pass ends the undecided pushes, and a current run that never appeared,
// without a verdict: phase Skipped, or Error where skipping would hide trouble.
func Pass(s *v1alpha1.ImageVerificationStatus, phase v1alpha1.Phase, cause v1alpha1.Cause, reason Reason, message string, now time.Time) {
	message = image.Cut(message, maxMessage)
	Abort(s, reason, message, now)
	decideTags(s, v1alpha1.RunSkipped)
	handle(s, cause)
	s.Phase, s.Reason, s.Message, s.ValidUntil = phase, string(reason), message, nil
	s.MarkRecorded(now)
	s.MarkWaiting(string(reason), message, now)
	s.MarkNotVerified(string(reason), message, now)
}

// Covered records that run covers the undecided pushes.
func Covered(s *v1alpha1.ImageVerificationStatus, run int32) { decideTags(s, run) }

// Hold records what an entry waits for. It reports whether that is news.
func Hold(s *v1alpha1.ImageVerificationStatus, reason Reason, message string, now time.Time) bool {
	message = image.Cut(message, maxMessage)
	phase := v1alpha1.PhasePending
	if s.CurrentRun() != nil {
		phase = s.Phase
	}
	if s.Phase == phase && s.Reason == string(reason) && s.Message == message {
		return false
	}
	s.Phase, s.Reason, s.Message = phase, string(reason), message
	s.MarkRecorded(now)
	if run := s.CurrentRun(); run == nil {
		s.MarkWaiting(string(reason), message, now)
	} else if run.ConfirmedAt == nil {
		s.MarkNotStarted(string(reason), message, now)
	}
	return true
}

// handle remembers a manual request that has its run.
func handle(s *v1alpha1.ImageVerificationStatus, cause v1alpha1.Cause) {
	if cause.Type != v1alpha1.CauseManual {
		return
	}
	s.HandledRequests = append(s.HandledRequests, cause.Key)
	if n := len(s.HandledRequests); n > maxRequests {
		s.HandledRequests = append([]string(nil), s.HandledRequests[n-maxRequests:]...)
	}
}

func decideTags(s *v1alpha1.ImageVerificationStatus, run int32) {
	for i := range s.Tags {
		if s.Tags[i].Run == 0 {
			s.Tags[i].Run = run
		}
	}
}

// Emitted remembers the keys of events that were told.
func Emitted(s *v1alpha1.ImageVerificationStatus, keys []string) {
	s.Emitted = append(s.Emitted, keys...)
	if n := len(s.Emitted); n > maxEmitted {
		s.Emitted = append([]string(nil), s.Emitted[n-maxEmitted:]...)
	}
}
