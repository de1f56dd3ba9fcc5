package lifecycle_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

func done(results map[string]string) lifecycle.PipelineRun {
	return lifecycle.PipelineRun{Name: name, Done: true, Succeeded: true, Results: results}
}

func results(verdictResult, digest string) map[string]string {
	return map[string]string{"verdict": verdictResult, "digest": digest}
}

func TestJudge(t *testing.T) {
	digest, err := image.ParseDigest("sha256:" + hex)
	if err != nil {
		t.Fatal(err)
	}
	kata := []lifecycle.Pod{{Name: "p1", RuntimeClass: "kata", Node: "n1"}, {Name: "p2", RuntimeClass: "kata", Node: "n2"}}
	mixed := []lifecycle.Pod{{Name: "p1", RuntimeClass: "kata"}, {Name: "p2"}}
	other := "sha256:" + strings.Repeat("cd", 32)
	for _, test := range []struct {
		name   string
		digest image.Digest
		class  string
		run    lifecycle.PipelineRun
		pods   []lifecycle.Pod
		want   v1alpha1.Outcome
		reason lifecycle.Reason
	}{
		{"a pass in the sandbox", digest, "kata", done(results("pass", digest.String())), kata, v1alpha1.OutcomePass, lifecycle.Passed},
		{"a pass where no sandbox was asked for", digest, "", done(results("pass", digest.String())), mixed, v1alpha1.OutcomePass, lifecycle.Passed},
		{"a pass where no sandbox was asked for, and no Pod is left", digest, "", done(results("pass", digest.String())), nil, v1alpha1.OutcomePass, lifecycle.Passed},
		{"a pass with one Pod outside the sandbox", digest, "kata", done(results("pass", digest.String())), mixed, v1alpha1.OutcomeError, lifecycle.NotSandboxed},
		{"a pass with no Pod left to show it", digest, "kata", done(results("pass", digest.String())), nil, v1alpha1.OutcomeError, lifecycle.NotSandboxed},
		{"a fail", digest, "kata", done(results("fail", digest.String())), kata, v1alpha1.OutcomeFail, lifecycle.Failed},
		{"a fail outside the sandbox is still a fail", digest, "kata", done(results("fail", digest.String())), nil, v1alpha1.OutcomeFail, lifecycle.Failed},
		{"a pass of another digest", digest, "kata", done(results("pass", other)), kata, v1alpha1.OutcomeError, lifecycle.DigestMismatch},
		{"a fail of another digest", digest, "kata", done(results("fail", other)), kata, v1alpha1.OutcomeError, lifecycle.DigestMismatch},
		{"a pass of no digest", digest, "kata", done(results("pass", "")), kata, v1alpha1.OutcomeError, lifecycle.DigestMismatch},
		{"a pass of a digest in capitals", digest, "kata", done(results("pass", strings.ToUpper(digest.String()))), kata, v1alpha1.OutcomeError, lifecycle.DigestMismatch},
		{"a pass for an entry without a digest", image.Digest{}, "kata", done(results("pass", "")), kata, v1alpha1.OutcomeError, lifecycle.DigestMismatch},
		{"no verdict", digest, "kata", done(results("", digest.String())), kata, v1alpha1.OutcomeError, lifecycle.NoVerdict},
		{"no results at all", digest, "kata", done(nil), kata, v1alpha1.OutcomeError, lifecycle.NoVerdict},
		{"a verdict of another word", digest, "kata", done(results("passed", digest.String())), kata, v1alpha1.OutcomeError, lifecycle.BadVerdict},
		{"a verdict in capitals", digest, "kata", done(results("PASS", digest.String())), kata, v1alpha1.OutcomeError, lifecycle.BadVerdict},
		{"a verdict with a line break", digest, "kata", done(results("pass\n", digest.String())), kata, v1alpha1.OutcomeError, lifecycle.BadVerdict},
		{"a run that failed, whatever its results say", digest, "kata",
			lifecycle.PipelineRun{Done: true, Results: results("pass", digest.String())}, kata, v1alpha1.OutcomeError, lifecycle.RunFailed},
		{"a run that is not done", digest, "kata", lifecycle.PipelineRun{Succeeded: true, Results: results("pass", digest.String())}, kata, v1alpha1.OutcomeError, lifecycle.RunFailed},
		{"the zero run", digest, "", lifecycle.PipelineRun{}, nil, v1alpha1.OutcomeError, lifecycle.RunFailed},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := lifecycle.OutcomeOf(test.digest, test.class, test.run, test.pods)
			if got.Outcome != test.want || got.Reason != test.reason {
				t.Errorf("outcome %s/%s (%s), want %s/%s", got.Outcome, got.Reason, got.Message, test.want, test.reason)
			}
			if got.Outcome == v1alpha1.OutcomeError && got.Reason != lifecycle.RunFailed && got.Message == "" {
				t.Error("an error without a message")
			}
		})
	}
}

func TestJudgeTellsWhatTheRunSaid(t *testing.T) {
	digest, err := image.ParseDigest("sha256:" + hex)
	if err != nil {
		t.Fatal(err)
	}
	run := done(map[string]string{"verdict": "fail", "digest": digest.String(), "summary": `{"high":2}`, "report": "host/r@" + digest.String()})
	got := lifecycle.OutcomeOf(digest, "kata", run, []lifecycle.Pod{
		{Name: "p1", RuntimeClass: "kata", Node: "n1", Overhead: map[string]string{"memory": "160Mi"}}, {Name: "p2", Node: "n2"}, {Name: "p3", RuntimeClass: "kata", Node: "n3"}})
	want := lifecycle.Outcome{
		Outcome: v1alpha1.OutcomeFail, Reason: lifecycle.Failed, Digest: digest.String(), Summary: `{"high":2}`, Report: "host/r@" + digest.String(),
		Sandbox: v1alpha1.SandboxStatus{Requested: "kata", Observed: []string{"kata", ""}, Overhead: map[string]string{"memory": "160Mi"}, Pods: []string{"p1", "p2", "p3"}, Node: "n1"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	stopped := lifecycle.OutcomeOf(digest, "", lifecycle.PipelineRun{Done: true, Reason: "Cancelled"}, nil)
	if stopped.Outcome != v1alpha1.OutcomeError || stopped.Reason != lifecycle.RunCancelled {
		t.Errorf("a run that somebody stopped is %s/%s", stopped.Outcome, stopped.Reason)
	}
	step := lifecycle.OutcomeOf(digest, "", lifecycle.PipelineRun{Done: true, Reason: "Failed", Message: "Tasks Completed: 1"},
		[]lifecycle.Pod{{Name: "p1"}, {Name: "p2", Failure: "fetch: the registry does not answer"}})
	if step.Reason != lifecycle.RunFailed || step.Message != "fetch: the registry does not answer (Failed: Tasks Completed: 1)" {
		t.Errorf("a run whose step failed is %s: %s", step.Reason, step.Message)
	}
	failed := lifecycle.OutcomeOf(digest, "", lifecycle.PipelineRun{Done: true, Reason: "PipelineRunTimeout", Message: "took too long"}, nil)
	if failed.Message != "PipelineRunTimeout: took too long" {
		t.Errorf("message %q does not tell the run's own reason and message", failed.Message)
	}
}

// Property: nothing that a pipeline says makes an entry larger than its schema allows.
func TestJudgeBoundsWhatTheRunSaid(t *testing.T) {
	digest, err := image.ParseDigest("sha256:" + hex)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("é", 4000)
	var pods []lifecycle.Pod
	for range 100 {
		pods = append(pods, lifecycle.Pod{Name: "p", RuntimeClass: "kata"})
	}
	got := lifecycle.OutcomeOf(digest, "kata", done(map[string]string{"verdict": "pass", "digest": digest.String(), "summary": long, "report": long}), pods)
	if got.Outcome != v1alpha1.OutcomePass {
		t.Errorf("outcome %s: a long summary must not decide", got.Outcome)
	}
	if len(got.Summary) > 2048 || got.Report != "" || len(got.Sandbox.Pods) > 8 || !strings.Contains(got.Message, "the summary had 8000 bytes and was cut to 2048") {
		t.Errorf("summary %d, report %d, pods %d, message %q", len(got.Summary), len(got.Report), len(got.Sandbox.Pods), got.Message)
	}
	failed := lifecycle.OutcomeOf(digest, "", lifecycle.PipelineRun{Done: true, Message: long, Results: map[string]string{"digest": long, "verdict": long}}, nil)
	if len(failed.Message) > 1024 || len(failed.Digest) > 128 {
		t.Errorf("message %d, digest %d bytes", len(failed.Message), len(failed.Digest))
	}
}

func TestTransitions(t *testing.T) {
	at := now
	e := entry(tags(tag("v1", 0, 0)))
	s := &e.Status
	for i := range 12 {
		lifecycle.RecordBegin(s, v1alpha1.RunStatus{Name: name, Cause: v1alpha1.Cause{Type: v1alpha1.CauseManual, Key: string(rune('a' + i))}}, at)
		lifecycle.RecordAttempt(s, ready(), at)
		lifecycle.RecordRunSeen(s, lifecycle.PipelineRun{Name: name, UID: "u", Started: at}, at)
		lifecycle.RecordOutcome(s, lifecycle.PipelineRun{Name: name, Finished: at}, lifecycle.Outcome{Outcome: v1alpha1.OutcomePass, Reason: lifecycle.Passed}, at)
	}
	if s.RunCount != 12 || len(s.Runs) != 10 || s.Runs[9].Number != 12 || len(s.HandledRequests) != 10 {
		t.Errorf("%d counted, %d kept, the last is %d, %d requests; want 12, 10, 12, 10", s.RunCount, len(s.Runs), s.Runs[9].Number, len(s.HandledRequests))
	}
	if s.Tags[0].Run != 1 {
		t.Errorf("the push is covered by run %d, want 1", s.Tags[0].Run)
	}
}

func TestAnOutcomeThatIsNotSetIsAnError(t *testing.T) {
	e := entry(with(confirmed(0, true)))
	lifecycle.RecordOutcome(&e.Status, lifecycle.PipelineRun{}, lifecycle.Outcome{}, now)
	if got := e.Status.Runs[0].Outcome; got != v1alpha1.OutcomeError || e.Status.Phase != v1alpha1.PhaseError || e.Status.Verdict != nil {
		t.Errorf("outcome %s, phase %s, verdict %v; want an error", got, e.Status.Phase, e.Status.Verdict)
	}
}

// Property: without a run under way, no transition of a run changes anything.
func TestTransitionsOfNoRunChangeNothing(t *testing.T) {
	for name, do := range map[string]func(*v1alpha1.ImageVerificationStatus){
		"Attempt": func(s *v1alpha1.ImageVerificationStatus) { lifecycle.RecordAttempt(s, ready(), now) },
		"Refuse": func(s *v1alpha1.ImageVerificationStatus) {
			lifecycle.RecordFailure(s, ready(), lifecycle.Failure{Reason: lifecycle.SinkRefused, Message: "m"}, now)
		},
		"Confirm": func(s *v1alpha1.ImageVerificationStatus) { lifecycle.RecordRunSeen(s, lifecycle.PipelineRun{}, now) },
		"Finish": func(s *v1alpha1.ImageVerificationStatus) {
			lifecycle.RecordOutcome(s, lifecycle.PipelineRun{}, lifecycle.Outcome{Outcome: v1alpha1.OutcomePass}, now)
		},
		"Abort": func(s *v1alpha1.ImageVerificationStatus) { lifecycle.RecordEnd(s, lifecycle.Vanished, "m", now) },
	} {
		t.Run(name, func(t *testing.T) {
			e := entry(with(ended(v1alpha1.OutcomePass, lifecycle.Passed)))
			before := e.DeepCopy()
			do(&e.Status)
			if diff := cmp.Diff(before, e, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("changed:\n%s", diff)
			}
		})
	}
}

func TestHoldIsNewsOnce(t *testing.T) {
	s := &v1alpha1.ImageVerificationStatus{}
	if !lifecycle.RecordWait(s, lifecycle.Queued, "full", now) || lifecycle.RecordWait(s, lifecycle.Queued, "full", now.Add(1)) || !lifecycle.RecordWait(s, lifecycle.Queued, "fuller", now) {
		t.Error("Hold reports news wrongly")
	}
	if s.Phase != v1alpha1.PhasePending {
		t.Errorf("phase %s, want Pending", s.Phase)
	}
}
