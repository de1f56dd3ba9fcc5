package lifecycle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

const (
	hex  = "abababababababababababababababababababababababababababababababab"
	name = "app-1"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// entry is one with a push to tag v1, changed by each function.
func entry(change ...func(*v1alpha1.ImageVerification)) *v1alpha1.ImageVerification {
	e := &v1alpha1.ImageVerification{ObjectMeta: metav1.ObjectMeta{Name: "entry", UID: "entry-uid", CreationTimestamp: metav1.NewTime(now)}}
	e.Spec.Digest = "sha256:" + hex
	e.Spec.FirstPush = v1alpha1.PushRecord{Tag: "v1", PushedAt: metav1.NewTime(now.Add(-time.Minute)), Source: v1alpha1.SourceEvent}
	for _, f := range change {
		f(e)
	}
	return e
}

func tags(tags ...v1alpha1.TagStatus) func(*v1alpha1.ImageVerification) {
	return func(e *v1alpha1.ImageVerification) { e.Status.Tags = tags }
}

func tag(name string, ago time.Duration, run int32) v1alpha1.TagStatus {
	return v1alpha1.TagStatus{PushRecord: v1alpha1.PushRecord{Tag: name, PushedAt: metav1.NewTime(now.Add(-ago))}, Run: run}
}

// with appends a run, numbered on, to an entry whose push v1 it covers.
func with(run v1alpha1.RunStatus) func(*v1alpha1.ImageVerification) {
	return func(e *v1alpha1.ImageVerification) {
		s := &e.Status
		s.RunCount++
		run.Number = s.RunCount
		if run.Name == "" {
			run.Name = name
		}
		run.TriggerGeneration = 1
		s.Runs = append(s.Runs, run)
		if len(s.Tags) == 0 {
			s.Tags = []v1alpha1.TagStatus{tag("v1", time.Minute, run.Number)}
		}
		switch run.Outcome {
		case v1alpha1.OutcomePass:
			s.Phase, s.Reason = v1alpha1.PhasePassed, "Passed"
		case v1alpha1.OutcomeFail:
			s.Phase, s.Reason = v1alpha1.PhaseFailed, "Failed"
		case v1alpha1.OutcomeError:
			s.Phase, s.Reason = v1alpha1.PhaseError, run.Reason
		default:
			s.Phase, s.Reason = v1alpha1.PhaseRequested, "Requested"
			if run.Reason != "" && run.Reason != string(lifecycle.RequestedOnce) {
				s.Reason = run.Reason
			}
		}
	}
}

func fired(ago time.Duration, attempts int32, reason lifecycle.Reason) v1alpha1.RunStatus {
	at := metav1.NewMicroTime(now.Add(-ago))
	return v1alpha1.RunStatus{FiredAt: &at, Attempts: attempts, Reason: string(reason)}
}

func confirmed(ago time.Duration, started bool) v1alpha1.RunStatus {
	r := fired(ago, 1, "")
	at := metav1.NewMicroTime(now.Add(-ago))
	r.ConfirmedAt, r.UID = &at, "run-uid"
	if started {
		r.StartedAt = &metav1.Time{Time: now}
	}
	return r
}

func ended(outcome v1alpha1.Outcome, reason lifecycle.Reason) v1alpha1.RunStatus {
	r := confirmed(time.Minute, true)
	r.Outcome, r.Reason = outcome, string(reason)
	return r
}

// validFor gives the latest run an end that is fresh for d, and a verdict if it gave one.
func validFor(d time.Duration) func(*v1alpha1.ImageVerification) {
	return func(e *v1alpha1.ImageVerification) {
		at := metav1.NewTime(now.Add(d - ready().Freshness))
		run := e.Status.LatestRun()
		run.FinishedAt = &at
		if run.Outcome == v1alpha1.OutcomePass || run.Outcome == v1alpha1.OutcomeFail {
			e.Status.Verdict = &v1alpha1.Verdict{Outcome: run.Outcome, Run: run.Name, Number: run.Number, At: at, TriggerGeneration: run.TriggerGeneration}
		}
	}
}

func requests(ids ...string) func(*v1alpha1.ImageVerification) {
	return func(e *v1alpha1.ImageVerification) { e.Spec.Requests = ids }
}

func ready() lifecycle.Trigger {
	return lifecycle.Trigger{Ready: true, Generation: 1, Confirmable: true, Freshness: time.Hour, Retries: 2}
}

func pausing(d time.Duration) lifecycle.Trigger {
	return trigger(func(t *lifecycle.Trigger) { t.PausedUntil = now.Add(d) })
}

// firstRepeat is when the first run of these tests is repeated: 10 s, and the
// jitter of its name.
const firstRepeat = 11350 * time.Millisecond

var retry = v1alpha1.Cause{Type: v1alpha1.CauseRetry, Key: name}

// failedRun is one whose infrastructure failed.
func failedRun(ago time.Duration) v1alpha1.RunStatus {
	r := ended(v1alpha1.OutcomeError, lifecycle.RunFailed)
	r.FinishedAt = &metav1.Time{Time: now.Add(-ago)}
	return r
}

func scheduled(e *v1alpha1.ImageVerification) {
	held(lifecycle.RetryScheduled)(e)
	e.Status.Phase = v1alpha1.PhasePending
}

// held is an entry whose status says what it waits for.
func held(reason lifecycle.Reason) func(*v1alpha1.ImageVerification) {
	return func(e *v1alpha1.ImageVerification) { e.Status.Reason = string(reason) }
}

func trigger(change func(*lifecycle.Trigger)) lifecycle.Trigger {
	t := ready()
	change(&t)
	return t
}

// known are facts that leave nothing to find out: the entry has a slot, its image is one
// that the filter admits, it is decided where the run executes, and no run has its label.
func known(t lifecycle.Trigger, seen lifecycle.RunObservation) lifecycle.Facts {
	seen.LabelChecked = true
	return lifecycle.Facts{
		Trigger: t, Run: seen,
		Slot:    lifecycle.Slot{State: lifecycle.SlotGranted},
		Image:   lifecycle.Image{State: lifecycle.ImageRead, Content: image.Content{Kind: image.ContentImage}, Recomputed: true, Filter: lifecycle.FilterResult{State: lifecycle.FilterMatches}},
		Routing: lifecycle.Routing{State: lifecycle.RoutingDecided},
	}
}

// ours is the PipelineRun as the template makes it, changed, and compared with that.
func ours(change ...func(*lifecycle.PipelineRun)) lifecycle.RunObservation {
	pr := lifecycle.PipelineRun{Name: name, UID: "run-uid", RunLabel: name, EntryUID: "entry-uid", Digest: "sha256:" + hex}
	for _, f := range change {
		f(&pr)
	}
	return lifecycle.RunObservation{Name: name, Lookup: lifecycle.Found, Run: pr, Compared: pr.UID}
}

var (
	nobody = lifecycle.RunObservation{Name: name}
	absent = lifecycle.RunObservation{Name: name, Lookup: lifecycle.Absent}
	push   = v1alpha1.Cause{Type: v1alpha1.CausePush, Key: "v1@2026-01-02T03:03:05Z"}
)

// wantNext holds a decision to what it should be, without its message, and every decision to
// what all must hold.
func wantNext(t *testing.T, e *v1alpha1.ImageVerification, f lifecycle.Facts, want lifecycle.Decision) {
	t.Helper()
	before := e.DeepCopy()
	got := lifecycle.Next(e, f, now)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(lifecycle.Decision{}, "Message")); diff != "" {
		t.Errorf("decision (-want +got):\n%s", diff)
	}
	if again := lifecycle.Next(e, f, now); again != got {
		t.Errorf("decided differently the second time: %+v", again)
	}
	if diff := cmp.Diff(before, e); diff != "" {
		t.Errorf("deciding changed the entry:\n%s", diff)
	}
	if got.Action == lifecycle.End && got.Message == "" {
		t.Error("a run ends without a word")
	}
}

func TestNext(t *testing.T) {
	gone := lifecycle.Trigger{Gone: true}
	unready := lifecycle.Trigger{Reason: "SinkNotFound", Message: "no such sink", Generation: 1, Freshness: time.Hour, Retries: 2}
	for _, test := range []struct {
		name    string
		entry   *v1alpha1.ImageVerification
		trigger lifecycle.Trigger
		seen    lifecycle.RunObservation
		want    lifecycle.Decision
	}{
		// What a push needs.
		{"a new entry starts a run, though no status was written", entry(), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.FireFirst, Cause: push}},
		{"the cause is the oldest undecided push", entry(tags(tag("v2", time.Second, 0), tag("v1", time.Minute, 0))), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.FireFirst, Cause: push}},
		{"where there are no times the sequence tells pushes apart",
			entry(func(e *v1alpha1.ImageVerification) { e.Spec.FirstPush.Sequence = 3 }), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.FireFirst, Cause: v1alpha1.Cause{Type: v1alpha1.CausePush, Key: "v1#3"}}},
		{"nothing is undecided", entry(tags(tag("v1", time.Minute, 1))), ready(), nobody, lifecycle.Decision{Action: lifecycle.Idle}},
		{"what was skipped stays so", entry(tags(tag("v1", time.Minute, v1alpha1.RunSkipped))), ready(), nobody, lifecycle.Decision{Action: lifecycle.Idle}},
		{"what was there before the trigger is skipped",
			entry(func(e *v1alpha1.ImageVerification) { e.Spec.FirstPush.Source = v1alpha1.SourceExisting }), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.Skip, Reason: lifecycle.Existing}},
		{"a run that an earlier process fired is recorded, though the trigger is not ready", entry(), unready, ours(),
			lifecycle.Decision{Action: lifecycle.RecordRun, Cause: push}},

		// The trigger.
		{"a trigger that is not ready keeps the push", entry(), unready, nobody,
			lifecycle.Decision{Action: lifecycle.Wait, Reason: "SinkNotFound", After: time.Minute, Cause: push, Hold: true}},
		{"the zero trigger is not ready", entry(), lifecycle.Trigger{}, nobody,
			lifecycle.Decision{Action: lifecycle.Wait, After: time.Minute, Cause: push, Hold: true}},
		{"of a trigger that is gone it is asked first whether the run exists", entry(), gone, nobody,
			lifecycle.Decision{Action: lifecycle.Look, Cause: push}},
		{"the push of a trigger that is gone is skipped", entry(), gone, absent,
			lifecycle.Decision{Action: lifecycle.Skip, Reason: lifecycle.TriggerDeleted, Cause: push}},

		// Freshness.
		{"a fresh pass covers a push", entry(with(ended(v1alpha1.OutcomePass, lifecycle.Passed)), validFor(time.Second), tags(tag("v1", time.Minute, 1), tag("v2", 0, 0))), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.Covered, Reason: lifecycle.Passed, Run: 1}},
		{"a fresh fail covers a push", entry(with(ended(v1alpha1.OutcomeFail, lifecycle.Failed)), validFor(time.Second), tags(tag("v1", time.Minute, 0))), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.Covered, Reason: lifecycle.Failed, Run: 1}},
		{"a verdict covers nothing without its trigger", entry(with(ended(v1alpha1.OutcomePass, lifecycle.Passed)), validFor(time.Second), tags(tag("v1", time.Minute, 0))),
			trigger(func(t *lifecycle.Trigger) { t.Gone = true }), absent, lifecycle.Decision{Action: lifecycle.Skip, Reason: lifecycle.TriggerDeleted, Cause: push}},
		{"nor with a freshness of 0, by a clock that is ahead", entry(with(ended(v1alpha1.OutcomePass, lifecycle.Passed)), validFor(2*time.Hour), tags(tag("v1", time.Minute, 0))),
			trigger(func(t *lifecycle.Trigger) { t.Freshness = 0 }), nobody, lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: push}},
		{"nor if its run has no number", entry(with(ended(v1alpha1.OutcomePass, lifecycle.Passed)), validFor(time.Second), tags(tag("v1", time.Minute, 0)),
			func(e *v1alpha1.ImageVerification) { e.Status.Verdict.Number = 0 }), ready(), nobody, lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: push}},
		{"a fresh verdict covers a push though a later run ended as an error", entry(with(ended(v1alpha1.OutcomePass, lifecycle.Passed)), validFor(time.Second), with(ended(v1alpha1.OutcomeError, lifecycle.RunFailed)), tags(tag("v1", time.Minute, 0))), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.Covered, Reason: lifecycle.Passed, Run: 1}},
		{"the finding that it is no image does not go with an older verdict", entry(with(ended(v1alpha1.OutcomePass, lifecycle.Passed)), validFor(time.Second), with(ended(v1alpha1.OutcomeError, lifecycle.NotAnImage)), tags(tag("v1", time.Minute, 0))), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: push}},
		{"an error covers nothing", entry(with(ended(v1alpha1.OutcomeError, lifecycle.RunFailed)), validFor(time.Second), tags(tag("v1", time.Minute, 0))), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: push}},
		{"a verdict ends at its time", entry(with(ended(v1alpha1.OutcomePass, lifecycle.Passed)), validFor(0), tags(tag("v1", time.Minute, 0))), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: push}},
		{"a verdict under an older trigger covers nothing", entry(with(ended(v1alpha1.OutcomePass, lifecycle.Passed)), validFor(time.Second), tags(tag("v1", time.Minute, 0))),
			trigger(func(t *lifecycle.Trigger) { t.Generation = 2 }), nobody, lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: push}},
		{"with a freshness of 0 a verdict covers nothing", entry(with(ended(v1alpha1.OutcomePass, lifecycle.Passed)), validFor(time.Second), tags(tag("v1", time.Minute, 0))),
			trigger(func(t *lifecycle.Trigger) { t.Freshness = 0 }), nobody, lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: push}},
		{"an outcome of before verdicts were kept covers nothing", entry(with(ended(v1alpha1.OutcomePass, lifecycle.Passed)), tags(tag("v1", time.Minute, 0))), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: push}},

		// A push while a run is under way.
		{"a push joins a run that was requested", entry(with(fired(time.Second, 1, "")), tags(tag("v1", time.Minute, 1), tag("v2", 0, 0))), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.Covered, Reason: lifecycle.Requested, Run: 1}},
		{"a push joins a run that exists and has not started", entry(with(confirmed(time.Second, false)), tags(tag("v1", time.Minute, 1), tag("v2", 0, 0))), ready(), ours(),
			lifecycle.Decision{Action: lifecycle.Covered, Reason: lifecycle.Requested, Run: 1}},
		{"a push waits for a run that has started", entry(with(confirmed(time.Second, true)), tags(tag("v1", time.Minute, 1), tag("v2", 0, 0))), ready(), ours(),
			lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.Running, Run: 1}},
		{"a push does not join a run of an older trigger", entry(with(confirmed(time.Second, false)), tags(tag("v1", time.Minute, 1), tag("v2", 0, 0))),
			trigger(func(t *lifecycle.Trigger) { t.Generation = 2 }), ours(), lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.Running, Run: 1}},
		{"with a freshness of 0 a push joins nothing", entry(with(confirmed(time.Second, false)), tags(tag("v1", time.Minute, 1), tag("v2", 0, 0))),
			trigger(func(t *lifecycle.Trigger) { t.Freshness = 0 }), ours(), lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.Running, Run: 1}},

		// Following.
		{"a run that goes on is waited for", entry(with(confirmed(time.Minute, true))), ready(), ours(), lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.Running, Run: 1}},
		{"that it started is recorded", entry(with(confirmed(time.Minute, false))), ready(), ours(func(pr *lifecycle.PipelineRun) { pr.Started = now }),
			lifecycle.Decision{Action: lifecycle.Follow, Reason: lifecycle.Running, Run: 1}},
		{"that it was made again is recorded", entry(with(confirmed(time.Minute, true))), ready(), ours(func(pr *lifecycle.PipelineRun) { pr.UID = "other" }),
			lifecycle.Decision{Action: lifecycle.Follow, Reason: lifecycle.Running, Run: 1}},
		{"a run that is done is judged", entry(with(confirmed(time.Minute, true))), ready(), ours(func(pr *lifecycle.PipelineRun) { pr.Done = true }),
			lifecycle.Decision{Action: lifecycle.Judge, Run: 1}},
		{"also if its trigger is gone", entry(with(confirmed(time.Minute, true))), gone, ours(func(pr *lifecycle.PipelineRun) { pr.Done = true }),
			lifecycle.Decision{Action: lifecycle.Judge, Run: 1}},
		{"a confirmed run that the watch does not show is given time", entry(with(confirmed(time.Second, true))), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.Running, After: time.Second, Run: 1}},
		{"then the API server is asked for it", entry(with(confirmed(2*time.Second, true))), ready(), nobody, lifecycle.Decision{Action: lifecycle.Look, Run: 1}},
		{"a confirmed run that is gone vanished", entry(with(confirmed(time.Second, true))), ready(), absent, lifecycle.Decision{Action: lifecycle.End, Reason: lifecycle.Vanished, Run: 1}},
		{"one whose name another took vanished too", entry(with(confirmed(time.Second, true))), ready(), ours(func(pr *lifecycle.PipelineRun) { pr.EntryUID = "other" }),
			lifecycle.Decision{Action: lifecycle.End, Reason: lifecycle.Vanished, Run: 1}},
		{"an unknown sight of it leads to a look", entry(with(confirmed(time.Second, true))), ready(), lifecycle.RunObservation{Name: name, Lookup: 99},
			lifecycle.Decision{Action: lifecycle.Look, Reason: lifecycle.Unknown, Run: 1}},

		// Repetition.
		{"a run that vanished is repeated for that cause", entry(with(ended(v1alpha1.OutcomeError, lifecycle.Vanished))), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: v1alpha1.Cause{Type: v1alpha1.CauseVanished, Key: name}}},
		{"a run whose name was taken is repeated for its own cause", entry(with(func() v1alpha1.RunStatus {
			r := ended(v1alpha1.OutcomeError, lifecycle.RunNameTaken)
			r.Cause = push
			return r
		}())), ready(), nobody, lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: push}},
		{"but not for ever", entry(taken(), taken(), taken(), taken(), taken()), ready(), nobody, lifecycle.Decision{Action: lifecycle.Idle, Reason: lifecycle.RunNameTaken}},
		{"a run that failed and was not to be repeated stays so", entry(with(ended(v1alpha1.OutcomeError, lifecycle.RunFailed))), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.Idle, Reason: lifecycle.RunFailed}},
		{"a run that is to be repeated is given time", entry(with(failedRun(time.Second)), scheduled), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.RetryScheduled, After: firstRepeat - time.Second, Cause: retry, Hold: true}},
		{"then it is repeated", entry(with(failedRun(firstRepeat)), scheduled), ready(), nobody, lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: retry}},
		{"unless the trigger is not ready", entry(with(failedRun(time.Minute)), scheduled), unready, nobody,
			lifecycle.Decision{Action: lifecycle.Wait, Reason: "SinkNotFound", After: time.Minute, Cause: retry, Hold: true}},
		{"it is given up with its trigger", entry(with(failedRun(time.Second)), scheduled), gone, nobody, lifecycle.Decision{Action: lifecycle.Abandon, Reason: lifecycle.RunFailed, Run: 1}},
		{"it is given up if the trigger wants no retries any more", entry(with(failedRun(time.Second)), scheduled), trigger(func(t *lifecycle.Trigger) { t.Retries = 0 }), nobody,
			lifecycle.Decision{Action: lifecycle.Abandon, Reason: lifecycle.RunFailed, Run: 1}},
		{"a repetition that an earlier process fired is recorded all the same", entry(with(failedRun(time.Minute)), scheduled), gone, ours(),
			lifecycle.Decision{Action: lifecycle.RecordRun, Cause: retry}},
		{"a new push does not wait for it", entry(with(failedRun(time.Second)), scheduled, tags(tag("v1", time.Minute, 1), tag("v2", 0, 0))), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: v1alpha1.Cause{Type: v1alpha1.CausePush, Key: "v2@2026-01-02T03:04:05Z"}}},
		{"nor does what somebody asks for", entry(with(failedRun(time.Second)), scheduled, requests("a")), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: v1alpha1.Cause{Type: v1alpha1.CauseManual, Key: "a"}}},
		{"a manual request starts a run", entry(with(ended(v1alpha1.OutcomePass, lifecycle.Passed)), validFor(time.Hour), requests("a", "b"),
			func(e *v1alpha1.ImageVerification) { e.Status.HandledRequests = []string{"a"} }), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: v1alpha1.Cause{Type: v1alpha1.CauseManual, Key: "b"}}},
		{"a manual request that has its run does not", entry(with(ended(v1alpha1.OutcomePass, lifecycle.Passed)), validFor(time.Hour), requests("a"),
			func(e *v1alpha1.ImageVerification) { e.Status.HandledRequests = []string{"a"} }), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.Idle, Reason: lifecycle.Passed}},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantNext(t, test.entry, known(test.trigger, test.seen), test.want)
		})
	}
}

func taken() func(*v1alpha1.ImageVerification) {
	return with(ended(v1alpha1.OutcomeError, lifecycle.RunNameTaken))
}

func TestTriggerOf(t *testing.T) {
	const listenerLog = "kubectl logs -n demo deploy/el-scan"
	made := func(change func(*v1alpha1.ImageTrigger)) *v1alpha1.ImageTrigger {
		tr := &v1alpha1.ImageTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Generation: 2}}
		tr.Spec.Sink.Ref = &v1alpha1.SinkRef{Name: "scan"}
		tr.Status.ObservedGeneration = 2
		tr.MarkFilterValid(now)
		tr.MarkSinkResolved("http://sink", now)
		tr.MarkTemplateAccepted(now)
		tr.MarkAuthorized("", now)
		change(tr)
		return tr
	}
	for _, test := range []struct {
		name    string
		trigger *v1alpha1.ImageTrigger
		want    lifecycle.Trigger
	}{
		{"no trigger is gone", nil, lifecycle.Trigger{Gone: true}},
		{"a ready one, with the default freshness", made(func(*v1alpha1.ImageTrigger) {}),
			lifecycle.Trigger{Ready: true, Generation: 2, Confirmable: true, Freshness: 24 * time.Hour, Retries: 2, StartTimeout: 5 * time.Minute, MaxConcurrent: 10, SinkLog: listenerLog}},
		{"a freshness of 0", made(func(tr *v1alpha1.ImageTrigger) {
			tr.Spec.Freshness = &metav1.Duration{}
		}), lifecycle.Trigger{Ready: true, Generation: 2, Confirmable: true, Retries: 2, StartTimeout: 5 * time.Minute, MaxConcurrent: 10, SinkLog: listenerLog}},
		{"one whose sink cannot be looked into is ready and not confirmable", made(func(tr *v1alpha1.ImageTrigger) { tr.MarkTemplateUnknown("NotCheckable", "", now) }),
			lifecycle.Trigger{Ready: true, Generation: 2, Freshness: 24 * time.Hour, Retries: 2, StartTimeout: 5 * time.Minute, MaxConcurrent: 10, SinkLog: listenerLog}},
		{"one whose template is refused", made(func(tr *v1alpha1.ImageTrigger) { tr.MarkTemplateRefused("NameNotRun", "cure", now) }),
			lifecycle.Trigger{Reason: "NameNotRun", Message: "cure", Generation: 2, Freshness: 24 * time.Hour, Retries: 2, StartTimeout: 5 * time.Minute, MaxConcurrent: 10, SinkLog: listenerLog}},
		{"one that was changed since it was checked", made(func(tr *v1alpha1.ImageTrigger) { tr.Generation = 3 }),
			lifecycle.Trigger{Reason: "TriggerNotReady", Message: "the trigger was not checked yet", Generation: 3, Confirmable: true, Freshness: 24 * time.Hour, Retries: 2, StartTimeout: 5 * time.Minute, MaxConcurrent: 10, SinkLog: listenerLog}},
		{"one that was never checked, and whose sink is a URI", &v1alpha1.ImageTrigger{ObjectMeta: metav1.ObjectMeta{Generation: 1}, Spec: v1alpha1.ImageTriggerSpec{Sink: v1alpha1.Sink{URI: "http://x"}}},
			lifecycle.Trigger{Reason: "TriggerNotReady", Message: "the trigger was not checked yet", Generation: 1, Freshness: 24 * time.Hour, Retries: 2, StartTimeout: 5 * time.Minute, MaxConcurrent: 10, SinkLog: "the log of http://x"}},
		{"one that gives superseded pushes up, without retries, at a sink that has doubts", made(func(tr *v1alpha1.ImageTrigger) {
			tr.Spec.Superseded, tr.Spec.Retries = v1alpha1.SupersededSkip, new(int32)
			tr.Spec.Sink.Ref = &v1alpha1.SinkRef{Kind: "Broker", Name: "b"}
			tr.MarkSinkDoubted("http://sink", "SinkNotReady", "it says so", now)
		}), lifecycle.Trigger{Ready: true, Generation: 2, Confirmable: true, Freshness: 24 * time.Hour, SkipSuperseded: true, StartTimeout: 5 * time.Minute, MaxConcurrent: 10, SinkLog: `the log of Broker "b"`, SinkDoubt: "it says so"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, lifecycle.TriggerOf(test.trigger)); diff != "" {
				t.Errorf("trigger (-want +got):\n%s", diff)
			}
		})
	}
}

// Property: the longer an image cannot be read, the later it is read again; in the end it
// runs without facts.
func TestReadingAnImageAgainGrowsApart(t *testing.T) {
	for _, test := range []struct {
		since time.Duration
		want  lifecycle.Decision
	}{
		{0, lifecycle.Decision{Action: lifecycle.Wait, After: 100 * time.Millisecond}},
		{10 * time.Second, lifecycle.Decision{Action: lifecycle.Wait, After: 5 * time.Second}},
		{119 * time.Second, lifecycle.Decision{Action: lifecycle.Wait, After: 30 * time.Second}},
		{2 * time.Minute, lifecycle.Decision{Action: lifecycle.FireFirst}},
	} {
		f := known(ready(), nobody)
		f.Image = lifecycle.Image{State: lifecycle.ImageUnreadable, UnreadableSince: now.Add(-test.since), Error: "no answer"}
		test.want.Cause = push
		if test.want.Action == lifecycle.Wait {
			test.want.Reason, test.want.Message, test.want.Hold = lifecycle.FactsUnreadable, "no answer", true
		}
		if diff := cmp.Diff(test.want, lifecycle.Next(entry(), f, now)); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", test.since, diff)
		}
	}
}

// Property: a run that takes longer than the operator's limit goes on, and its entry says that it
// holds no slot of all triggers any more; before, the entry is visited in time.
func TestARunThatTakesTooLongSaysSo(t *testing.T) {
	for _, test := range []struct {
		name      string
		age       time.Duration
		limit     time.Duration
		wait      time.Duration
		says      bool
		startsFor time.Duration
	}{
		{"without a limit", 100 * time.Hour, 0, 0, false, 0},
		{"before it", time.Hour, 2 * time.Hour, time.Hour, false, 0},
		{"at it", 2 * time.Hour, 2 * time.Hour, 0, true, 0},
		{"if its Pods are looked at sooner", time.Hour, 2 * time.Hour, time.Minute, false, time.Hour + time.Minute},
		{"if they are looked at later", time.Hour, 2 * time.Hour, time.Hour, false, 5 * time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			run := confirmed(test.age, true)
			run.RequestedAt = metav1.NewMicroTime(now.Add(-test.age))
			if test.startsFor > 0 {
				run.Sandbox.Requested = "kata"
				started := metav1.NewTime(now.Add(-test.age))
				run.StartedAt = &started
			}
			e, f := entry(with(run)), known(ready(), ours())
			f.LongestRun, f.Trigger.StartTimeout = test.limit, test.startsFor
			d := lifecycle.Next(e, f, now)
			if d.Action != lifecycle.Wait || d.Reason != lifecycle.Running || d.After != test.wait || d.Hold != test.says ||
				strings.Contains(d.Message, "--longest-run") != test.says {
				t.Fatalf("decision %+v", d)
			}
			if !test.says {
				return
			}
			e.Status.Phase = v1alpha1.PhaseRunning
			lifecycle.RecordWait(&e.Status, d.Reason, d.Message, now)
			if e.Status.Phase != v1alpha1.PhaseRunning || e.Status.Message != d.Message || lifecycle.RecordWait(&e.Status, d.Reason, d.Message, now) {
				t.Errorf("the entry is %s: %s", e.Status.Phase, e.Status.Message)
			}
		})
	}
}
