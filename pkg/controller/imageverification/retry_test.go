package imageverification_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

func TestARunWhoseInfrastructureFailsIsRepeatedAndEndsAsError(t *testing.T) {
	w := newWorld(t)
	key := w.push("v1", pushed)
	w.work(key, time.Second)
	for n, wait := range []time.Duration{10 * time.Second, 30 * time.Second} {
		w.fail(w.runName(key, int32(n+1)), "Failed")
		w.work(key, 0)
		e := w.entry(key)
		want := fmt.Sprintf("retry %d of 2 follows at ", n+1)
		if e.Status.Phase != v1alpha1.PhasePending || e.Status.Reason != "RetryScheduled" || !strings.Contains(e.Status.Message, want) ||
			!strings.Contains(e.Status.Message, "fetch: the registry does not answer (Failed: Tasks Completed: 1)") {
			t.Errorf("after run %d the entry is %s/%s: %s", n+1, e.Status.Phase, e.Status.Reason, e.Status.Message)
		}
		w.pass(wait - time.Second)
		w.work(key, 0)
		if got := w.entry(key).Status.RunCount; int(got) != n+1 {
			t.Fatalf("repeated too soon: %d runs", got)
		}
		w.work(key, wait/2)
	}
	w.fail(w.runName(key, 3), "Failed")
	w.work(key, time.Hour)
	w.wantStory(key, story{v1alpha1.PhaseError, "RunFailed", map[string]int32{"v1": 1}, []chapter{
		{v1alpha1.CausePush, 1, v1alpha1.OutcomeError, "RunFailed"},
		{v1alpha1.CauseRetry, 1, v1alpha1.OutcomeError, "RunFailed"},
		{v1alpha1.CauseRetry, 1, v1alpha1.OutcomeError, "RunFailed"},
	}})
	e := w.entry(key)
	if !strings.HasSuffix(e.Status.Message, "3 attempts were made") {
		t.Errorf("message %q does not say how often it was tried", e.Status.Message)
	}
	for n := range 2 {
		if got, want := e.Status.Runs[n+1].Cause.Key, w.runName(key, int32(n+1)); got != want {
			t.Errorf("run %d repeats %q, want %q", n+2, got, want)
		}
	}
	if got := w.listener.asked(); len(got) != 3 || len(w.runs()) != 3 {
		t.Errorf("%d requests, %d PipelineRuns; want 3 of each", len(got), len(w.runs()))
	}
}

func TestWhatARepetitionCannotCureIsNotRepeated(t *testing.T) {
	for _, test := range []struct {
		name   string
		end    func(*world, string)
		phase  v1alpha1.Phase
		reason string
	}{
		{"failed checks", func(w *world, run string) { w.finish(run, "fail", digest, "kata") }, v1alpha1.PhaseFailed, "Failed"},
		{"no verdict", func(w *world, run string) { w.finish(run, "", digest, "kata") }, v1alpha1.PhaseError, "NoVerdict"},
		{"no sandbox", func(w *world, run string) { w.finish(run, "pass", digest, "") }, v1alpha1.PhaseError, "NotSandboxed"},
		{"a run that somebody stopped", func(w *world, run string) { w.fail(run, "Cancelled") }, v1alpha1.PhaseError, "RunCancelled"},
		{"what is no image", func(w *world, run string) { w.failSaying(run, "Failed", "NotAnImage: manifest "+digest.String()) }, v1alpha1.PhaseSkipped, "NotAnImage"},
		{"bytes of another digest", func(w *world, run string) { w.failSaying(run, "Failed", "ContentCorrupted: layer") }, v1alpha1.PhaseError, "ContentCorrupted"},
		{"what is too large", func(w *world, run string) { w.failSaying(run, "Failed", "TooLarge: layer") }, v1alpha1.PhaseError, "TooLarge"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			key := w.push("v1", pushed)
			w.work(key, time.Second)
			test.end(w, w.runName(key, 1))
			w.work(key, time.Hour)
			if e := w.entry(key); e.Status.Phase != test.phase || e.Status.Reason != test.reason || e.Status.RunCount != 1 {
				t.Errorf("entry is %s/%s with %d runs", e.Status.Phase, e.Status.Reason, e.Status.RunCount)
			}
		})
	}
}

// A run that found no image is its push's only one, and its story says so; a person
// who asks gets another.
func TestWhatIsNoImageEndsAsSkipped(t *testing.T) {
	w := newWorld(t)
	key := w.push("v1", pushed)
	w.work(key, time.Second)
	none := "NotAnImage: manifest " + digest.String() + ": an artefact"
	w.failSaying(w.runName(key, 1), "Failed", none)
	w.work(key, time.Hour)
	w.push("v2", w.clock().Truncate(time.Second))
	w.work(key, time.Second)
	one := story{v1alpha1.PhaseSkipped, "NotAnImage", map[string]int32{"v1": 1, "v2": 1}, []chapter{{v1alpha1.CausePush, 1, v1alpha1.OutcomeError, "NotAnImage"}}}
	w.wantStory(key, one)
	if got := w.entry(key).Status.Message; !strings.Contains(got, none) {
		t.Errorf("message %q does not say what the step said", got)
	}
	e := w.entry(key)
	e.Spec.Requests = []string{"please"}
	w.must(w.client.Update(t.Context(), e))
	w.work(key, time.Second)
	w.failSaying(w.runName(key, 2), "Failed", none)
	w.work(key, time.Hour)
	one.Runs = append(one.Runs, chapter{v1alpha1.CauseManual, 1, v1alpha1.OutcomeError, "NotAnImage"})
	w.wantStory(key, one)
}

func TestNothingWaitsForARetry(t *testing.T) {
	for _, test := range []struct {
		name  string
		do    func(*world)
		cause v1alpha1.CauseType
		tags  map[string]int32
	}{
		{"a new push starts at once", func(w *world) { w.push("v2", w.clock().Truncate(time.Second)) }, v1alpha1.CausePush, map[string]int32{"v1": 1, "v2": 2}},
		{"so does what somebody asks for", func(w *world) {
			e := w.entry(w.push("v1", pushed))
			e.Spec.Requests = []string{"please"}
			w.must(w.client.Update(w.t.Context(), e))
		}, v1alpha1.CauseManual, map[string]int32{"v1": 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			key := w.push("v1", pushed)
			w.work(key, time.Second)
			w.fail(w.runName(key, 1), "Failed")
			w.work(key, time.Second)
			test.do(w)
			w.work(key, time.Second)
			w.wantStory(key, story{v1alpha1.PhaseRunning, "Running", test.tags, []chapter{
				{v1alpha1.CausePush, 1, v1alpha1.OutcomeError, "RunFailed"},
				{test.cause, 1, "", ""},
			}})
			w.finish(w.runName(key, 2), "pass", digest, "kata")
			w.work(key, time.Hour)
			if got := w.entry(key).Status; got.RunCount != 2 || got.Phase != v1alpha1.PhasePassed {
				t.Errorf("%s after %d runs; the retry has nothing left to do", got.Phase, got.RunCount)
			}
		})
	}
}

func TestARetryEndsWithItsTrigger(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*world)
	}{
		{"that is deleted", func(w *world) { w.must(w.client.Delete(w.t.Context(), w.trigger)) }},
		{"that wants none any more", func(w *world) {
			w.trigger.Spec.Retries = new(int32)
			w.must(w.client.Update(w.t.Context(), w.trigger))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			key := w.push("v1", pushed)
			w.work(key, time.Second)
			w.fail(w.runName(key, 1), "Failed")
			w.work(key, time.Second)
			test.change(w)
			w.work(key, time.Hour)
			e := w.entry(key)
			if e.Status.Phase != v1alpha1.PhaseError || e.Status.Reason != "RunFailed" || !strings.HasSuffix(e.Status.Message, "1 attempt was made") {
				t.Errorf("entry is %s/%s: %s", e.Status.Phase, e.Status.Reason, e.Status.Message)
			}
		})
	}
}

// Property: a process that ends before or after any effect costs neither the
// repetition nor a second one.
func TestACrashAtAnyPointOfARetryGivesOneMore(t *testing.T) {
	for _, after := range []bool{false, true} {
		for n := 0; ; n++ {
			where := ""
			t.Run(fmt.Sprintf("after=%v,n=%d", after, n), func(t *testing.T) {
				w := newWorld(t)
				key := w.push("v1", pushed)
				w.work(key, time.Second)
				w.fail(w.runName(key, 1), "Failed")
				where = w.crashAt(n, after)
				w.wantStory(key, story{v1alpha1.PhasePassed, "Passed", map[string]int32{"v1": 1}, []chapter{
					{v1alpha1.CausePush, 1, v1alpha1.OutcomeError, "RunFailed"},
					{v1alpha1.CauseRetry, w.entry(key).Status.Runs[1].Attempts, v1alpha1.OutcomePass, "Passed"},
				}})
				if len(w.runs()) != 2 {
					t.Errorf("after a crash %s: %d PipelineRuns, want 2", where, len(w.runs()))
				}
			})
			if where == "" {
				if n < 6 {
					t.Errorf("only %d effects were crashed at: the test looks in the wrong place", n)
				}
				break
			}
		}
	}
}

// What is told as Kubernetes Events, each of which costs a request: the end of a
// push, and trouble; nothing on its way.
func TestEventsTellOfEndsAndTrouble(t *testing.T) {
	w := newWorld(t, func(tr *v1alpha1.ImageTrigger) { tr.Spec.Freshness = &metav1.Duration{} })
	w.events.Events = make(chan string, 100)
	key := w.push("v1", pushed)
	w.work(key, time.Second)
	if got := w.told(); got != nil {
		t.Errorf("on its way a push is told of: %q", got)
	}
	w.fail(w.runName(key, 1), "Failed")
	w.work(key, 20*time.Second)
	w.finish(w.runName(key, 2), "pass", digest, "kata")
	w.work(key, time.Second)
	got := w.told()
	for i := range got {
		got[i], _, _ = strings.Cut(got[i], "; run")
		got[i], _, _ = strings.Cut(got[i], " follows")
	}
	if diff := cmp.Diff([]string{"Warning RetryScheduled retry 1 of 2", "Normal Passed v1 is Passed"}, got); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}
