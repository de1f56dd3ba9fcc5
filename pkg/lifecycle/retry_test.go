package lifecycle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// endOf ends one run after another for given causes, as the reconciler does, and
// returns the entry. Each has a name of its own.
func endOf(t lifecycle.Trigger, reason lifecycle.Reason, causes ...v1alpha1.CauseType) *v1alpha1.ImageVerification {
	e := entry(tags(tag("v1", time.Minute, 0)))
	for i, kind := range causes {
		cause := v1alpha1.Cause{Type: kind}
		if i > 0 {
			cause.Key = e.Status.Runs[len(e.Status.Runs)-1].Name
		}
		lifecycle.RecordBegin(&e.Status, v1alpha1.RunStatus{Name: "run-" + string(rune('a'+i)), Cause: cause}, now)
		lifecycle.RecordRunSeen(&e.Status, lifecycle.PipelineRun{Name: "x"}, now)
		outcome := lifecycle.Outcome{Outcome: v1alpha1.OutcomeError, Reason: lifecycle.RunFailed, Message: "out of memory"}
		if i == len(causes)-1 {
			outcome.Reason = reason
		}
		lifecycle.RecordOutcome(&e.Status, lifecycle.PipelineRun{Name: "x", Finished: now}, outcome, now)
		lifecycle.RecordRetry(&e.Status, t, now)
	}
	return e
}

func TestWhatIsRepeated(t *testing.T) {
	const p, r, v, m = v1alpha1.CausePush, v1alpha1.CauseRetry, v1alpha1.CauseVanished, v1alpha1.CauseManual
	for _, test := range []struct {
		name    string
		entry   *v1alpha1.ImageVerification
		phase   v1alpha1.Phase
		reason  lifecycle.Reason
		message string
	}{
		{"a run that failed is", endOf(ready(), lifecycle.RunFailed, p), v1alpha1.PhasePending, lifecycle.RetryScheduled, "retry 1 of 2 follows at 2026-01-02T03:04:1"},
		{"so is its first repetition", endOf(ready(), lifecycle.RunFailed, p, r), v1alpha1.PhasePending, lifecycle.RetryScheduled, "retry 2 of 2 follows at 2026-01-02T03:04:3"},
		{"its last is not", endOf(ready(), lifecycle.RunFailed, p, r, r), v1alpha1.PhaseError, lifecycle.RunFailed, "out of memory: 3 attempts were made"},
		{"one that vanished does not count", endOf(ready(), lifecycle.RunFailed, p, r, v), v1alpha1.PhasePending, lifecycle.RetryScheduled, "retry 2 of 2"},
		{"nor does it begin anew", endOf(ready(), lifecycle.RunFailed, p, r, v, r), v1alpha1.PhaseError, lifecycle.RunFailed, "3 attempts"},
		{"what was asked for by hand begins anew", endOf(ready(), lifecycle.RunFailed, p, r, r, m), v1alpha1.PhasePending, lifecycle.RetryScheduled, "retry 1 of 2"},
		{"no retries, no repetition", endOf(trigger(func(t *lifecycle.Trigger) { t.Retries = 0 }), lifecycle.RunFailed, p), v1alpha1.PhaseError, lifecycle.RunFailed, "1 attempt was made"},
		{"no trigger, no repetition", endOf(lifecycle.Trigger{Gone: true, Retries: 2}, lifecycle.RunFailed, p), v1alpha1.PhaseError, lifecycle.RunFailed, "1 attempt was made"},
		{"ten retries end after the tenth, though the ledger shows ten runs only",
			endOf(trigger(func(t *lifecycle.Trigger) { t.Retries = 10 }), lifecycle.RunFailed, p, r, r, r, r, r, r, r, r, r, r), v1alpha1.PhaseError, lifecycle.RunFailed, "11 attempts"},
		{"and not before", endOf(trigger(func(t *lifecycle.Trigger) { t.Retries = 10 }), lifecycle.RunFailed, p, r, r, r, r, r, r, r, r, r), v1alpha1.PhasePending, lifecycle.RetryScheduled, "retry 10 of 10"},
		{"a run without a verdict is not", endOf(ready(), lifecycle.NoVerdict, p), v1alpha1.PhaseError, lifecycle.NoVerdict, ""},
		{"nor one with a bad verdict", endOf(ready(), lifecycle.BadVerdict, p), v1alpha1.PhaseError, lifecycle.BadVerdict, ""},
		{"nor one of another digest", endOf(ready(), lifecycle.DigestMismatch, p), v1alpha1.PhaseError, lifecycle.DigestMismatch, ""},
		{"nor one outside the sandbox", endOf(ready(), lifecycle.NotSandboxed, p), v1alpha1.PhaseError, lifecycle.NotSandboxed, ""},
		{"nor one that somebody stopped", endOf(ready(), lifecycle.RunCancelled, p), v1alpha1.PhaseError, lifecycle.RunCancelled, ""},
		{"nor one that was not confirmed", endOf(ready(), lifecycle.Unconfirmed, p), v1alpha1.PhaseError, lifecycle.Unconfirmed, ""},
		{"nor one of another name", endOf(ready(), lifecycle.Misnamed, p), v1alpha1.PhaseError, lifecycle.Misnamed, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := test.entry.Status
			if s.Phase != test.phase || s.Reason != string(test.reason) || !strings.Contains(s.Message, test.message) {
				t.Errorf("%s/%s: %s; want %s/%s with %q", s.Phase, s.Reason, s.Message, test.phase, test.reason, test.message)
			}
			if got := lifecycle.Scheduled(&s); got != (test.reason == lifecycle.RetryScheduled) {
				t.Errorf("scheduled %v", got)
			}
		})
	}
}

// Property: what the entry says of a retry when the run's end is written is what
// is decided afterwards, so that it costs no write of its own.
func TestARetryIsToldOnce(t *testing.T) {
	e := endOf(ready(), lifecycle.RunFailed, v1alpha1.CausePush)
	d := lifecycle.Next(e, known(ready(), nobody), now)
	if d.Action != lifecycle.Wait || !d.Hold {
		t.Fatalf("decision %+v, want to wait", d)
	}
	if lifecycle.RecordWait(&e.Status, d.Reason, d.Message, now) {
		t.Errorf("what is waited for is news: %s", e.Status.Message)
	}
}

// Property: repetitions grow apart, and end in five minutes and a quarter of it.
func TestRepetitionsGrowApart(t *testing.T) {
	many := trigger(func(t *lifecycle.Trigger) { t.Retries = 10 })
	causes := []v1alpha1.CauseType{v1alpha1.CausePush}
	last := time.Duration(0)
	for range 8 {
		d := lifecycle.Next(endOf(many, lifecycle.RunFailed, causes...), known(many, nobody), now)
		if d.After < last || d.After > 375*time.Second {
			t.Errorf("after %d runs the next one is after %v, the one before after %v", len(causes), d.After, last)
		}
		last = min(d.After, 5*time.Minute)
		causes = append(causes, v1alpha1.CauseRetry)
	}
	if last < 5*time.Minute {
		t.Errorf("the last are %v apart, want five minutes", last)
	}
}

func TestARetryThatIsGivenUpIsAnError(t *testing.T) {
	e := endOf(ready(), lifecycle.RunFailed, v1alpha1.CausePush)
	lifecycle.RecordAbandoned(&e.Status, now)
	if s := e.Status; s.Phase != v1alpha1.PhaseError || s.Reason != "RunFailed" || s.Message != "out of memory: 1 attempt was made" {
		t.Errorf("%s/%s: %s", s.Phase, s.Reason, s.Message)
	}
	empty := &v1alpha1.ImageVerificationStatus{}
	lifecycle.RecordAbandoned(empty, now)
	lifecycle.RecordRetry(empty, ready(), now)
	if empty.Phase != "" {
		t.Error("without a run something changed")
	}
}

// Property: where run after run of a namespace fails, a repetition waits that many times longer,
// within a bound, and the entry says until when.
func TestARetryWaitsLongerInANamespaceThatFails(t *testing.T) {
	const p, r = v1alpha1.CausePush, v1alpha1.CauseRetry
	waits := func(factor int, causes ...v1alpha1.CauseType) time.Duration {
		of := trigger(func(t *lifecycle.Trigger) { t.Retries, t.RetryFactor = 10, factor })
		e := endOf(of, lifecycle.RunFailed, causes...)
		d := lifecycle.Next(e, known(of, nobody), now)
		if d.Action != lifecycle.Wait || d.Message != e.Status.Message {
			t.Fatalf("decision %+v, and the entry says %s", d, e.Status.Message)
		}
		return d.After
	}
	usual, many := waits(1, p), waits(8, p)
	if waits(0, p) != usual || many != 8*usual {
		t.Errorf("waits %s, and eight times as long %s", usual, many)
	}
	if most := waits(8, p, r, r, r, r, r, r, r); most < 30*time.Minute || most > 38*time.Minute {
		t.Errorf("the longest wait is %s", most)
	}
}
