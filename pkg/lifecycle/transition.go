package lifecycle

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// The bounds of v1alpha1.ImageVerificationStatus.
const (
	maxRuns         = 10
	maxRequests     = 10
	maxEmitted      = 64
	maxRouteMessage = 512
)

// RecordNewRun begins a run for a cause, with what was found out for it.
func RecordNewRun(s *v1alpha1.ImageVerificationStatus, f Facts, cause v1alpha1.Cause, at time.Time) {
	if f.Image.Facts != nil {
		s.Image = f.Image.Facts
	}
	RecordBegin(s, NewRun(f.Run.Name, cause, f.Trigger.Generation, f.Routing), at)
}

// RecordSentRequest records the request in f.Sent: its run if that is new, the attempt,
// why the sink did not take it, and the PipelineRun if it is there already.
func RecordSentRequest(s *v1alpha1.ImageVerificationStatus, e *v1alpha1.ImageVerification, f Facts, now time.Time) {
	sent := f.Sent
	if s.CurrentRun() == nil {
		decided := Facts{Trigger: sent.Trigger, Run: f.Run, Image: Image{Facts: sent.Image}, Routing: sent.Routing}
		RecordNewRun(s, decided, sent.Cause, sent.At)
	}
	RecordAttempt(s, sent.Trigger, sent.At)
	if sent.Failure.Reason != "" {
		RecordFailure(s, sent.Trigger, sent.Failure, now)
	}
	if f.Run.Lookup == Found && foreign(e, sent.Run, f.Run) == "" {
		RecordRunSeen(s, f.Run.Run, now)
	}
}

// RecordBegin appends a run, which covers every undecided push. The run counter never
// goes back.
func RecordBegin(s *v1alpha1.ImageVerificationStatus, run v1alpha1.RunStatus, now time.Time) {
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
	s.Phase, s.Reason, s.Message = v1alpha1.PhaseRequested, string(Requested), ""
	if s.Verdict == nil {
		s.NotChecked = "" // it was of an outcome that is no verdict
	}
}

// RecordAttempt records that a request is about to be sent, or was just sent. From the
// second one on, the status says that the sink took a request and started no run.
func RecordAttempt(s *v1alpha1.ImageVerificationStatus, t Trigger, at time.Time) {
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
		run.Reason, run.Message = string(Unconfirmed), image.Cut(hint(run.Attempts-1, t), maxMessage)
		s.MarkNotStarted(run.Reason, run.Message, at)
	}
	s.Reason, s.Message = string(sent(run)), run.Message
}

// RecordFailure records that the sink did not take the latest request, or may not have.
func RecordFailure(s *v1alpha1.ImageVerificationStatus, t Trigger, f Failure, now time.Time) {
	run := s.CurrentRun()
	if run == nil {
		return
	}
	message := image.Cut(note(f.Message, t.SinkDoubt), maxMessage)
	s.Reason, s.Message = string(f.Reason), message
	s.MarkNotFired(string(f.Reason), message, now)
	run.Message = message
	if f.Reason == SinkSilent && Reason(run.Reason) == RequestedOnce {
		return // the sink may have taken it, so it must not be sent again
	}
	run.Reason = string(f.Reason)
}

// RecordRunSeen records that the run exists, and when it started.
func RecordRunSeen(s *v1alpha1.ImageVerificationStatus, pr PipelineRun, now time.Time) {
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

// RecordStartFailure records that the current run's Pods cannot start, before it is stopped.
func RecordStartFailure(s *v1alpha1.ImageVerificationStatus, message string, now time.Time) {
	run := s.CurrentRun()
	if run == nil {
		return
	}
	run.Reason, run.Message = string(SandboxUnavailable), image.Cut(message, maxMessage)
	s.Reason, s.Message = run.Reason, run.Message
	s.MarkUndecided(run.Reason, run.Message, now)
}

// RecordOutcome records how the current run ended. Nothing else writes the verdict: a pass
// or a fail replaces it, and any other end leaves it.
func RecordOutcome(s *v1alpha1.ImageVerificationStatus, pr PipelineRun, o Outcome, now time.Time) {
	run := s.CurrentRun()
	if run == nil {
		return
	}
	if pr.Name != "" && run.ConfirmedAt == nil {
		RecordRunSeen(s, pr, now)
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
	run.Digest, run.Summary, run.Report, run.Off, run.Sandbox = o.Digest, o.Summary, o.Report, o.Basis.Off, o.Sandbox
	s.Reason, s.Message = run.Reason, run.Message
	switch o.Outcome {
	case v1alpha1.OutcomePass:
		s.Phase = v1alpha1.PhasePassed
		s.MarkVerified(run.Message, now)
		recordVerdict(s, run, o.Basis)
	case v1alpha1.OutcomeFail:
		s.Phase = v1alpha1.PhaseFailed
		s.MarkNotVerified(run.Reason, run.Message, now)
		recordVerdict(s, run, o.Basis)
	default:
		run.Outcome = v1alpha1.OutcomeError
		s.Phase = v1alpha1.PhaseError
		s.MarkNotVerified(run.Reason, run.Message, now)
		if o.Reason == NotAnImage {
			s.Phase = v1alpha1.PhaseSkipped // the run found that there is nothing to verify
		}
	}
}

// RecordEnd ends the current run without a verdict.
func RecordEnd(s *v1alpha1.ImageVerificationStatus, reason Reason, message string, now time.Time) {
	run := s.CurrentRun()
	if run == nil {
		return
	}
	if run.ConfirmedAt == nil {
		s.MarkNotStarted(string(reason), message, now)
	}
	RecordOutcome(s, PipelineRun{}, Outcome{
		Outcome: v1alpha1.OutcomeError,
		Reason:  reason,
		Message: image.Cut(message, maxMessage),
		Sandbox: run.Sandbox,
	}, now)
}

// EndWithoutRun ends the undecided pushes, and a current run that never appeared, without
// a verdict: in phase Skipped, or in Error if skipping would hide that nothing was decided.
func EndWithoutRun(s *v1alpha1.ImageVerificationStatus, cause v1alpha1.Cause, reason Reason, message string, now time.Time) {
	message = image.Cut(message, maxMessage)
	phase := v1alpha1.PhaseSkipped
	if reason == FilterFailed {
		phase = v1alpha1.PhaseError
	}
	RecordEnd(s, reason, message, now)
	decideTags(s, v1alpha1.RunSkipped)
	handle(s, cause)
	s.Phase, s.Reason, s.Message = phase, string(reason), message
	s.MarkRecorded(now)
	s.MarkWaiting(string(reason), message, now)
	s.MarkNotVerified(string(reason), message, now)
}

// RecordCovered records that run covers the undecided pushes, and answers the cause if that
// is a request.
func RecordCovered(s *v1alpha1.ImageVerificationStatus, run int32, cause v1alpha1.Cause) {
	decideTags(s, run)
	handle(s, cause)
}

// RecordWait records what an entry waits for. It reports whether the status changed.
func RecordWait(s *v1alpha1.ImageVerificationStatus, reason Reason, message string, now time.Time) bool {
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

// handle remembers a manual request that has its run, or will have none.
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
	if s.MoreTags != nil {
		s.MoreTags.Decide(run)
	}
}

// RecordEmitted remembers the keys of events that were sent.
func RecordEmitted(s *v1alpha1.ImageVerificationStatus, keys []string) {
	s.Emitted = append(s.Emitted, keys...)
	if n := len(s.Emitted); n > maxEmitted {
		s.Emitted = append([]string(nil), s.Emitted[n-maxEmitted:]...)
	}
}
