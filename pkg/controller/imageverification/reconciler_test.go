package imageverification_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/controller"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imageverification"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
)

// story is what a test compares of an entry.
type story struct {
	Phase  v1alpha1.Phase
	Reason string
	Tags   map[string]int32
	Runs   []chapter
}

type chapter struct {
	Cause    v1alpha1.CauseType
	Attempts int32
	Outcome  v1alpha1.Outcome
	Reason   string
}

func storyOf(e *v1alpha1.ImageVerification) story {
	s := story{Phase: e.Status.Phase, Reason: e.Status.Reason, Tags: map[string]int32{}}
	for _, t := range e.Status.Tags {
		s.Tags[t.Tag] = t.Run
	}
	for _, r := range e.Status.Runs {
		s.Runs = append(s.Runs, chapter{r.Cause.Type, r.Attempts, r.Outcome, r.Reason})
	}
	return s
}

func (w *world) wantStory(key types.NamespacedName, want story) {
	w.t.Helper()
	if diff := cmp.Diff(want, storyOf(w.entry(key))); diff != "" {
		w.t.Errorf("story of the entry (-want +got):\n%s", diff)
	}
}

func (w *world) runName(key types.NamespacedName, number int32) string {
	w.t.Helper()
	return ledger.RunName(w.entry(key), number)
}

func TestAPushGetsOneRunAndItsVerdict(t *testing.T) {
	w := newWorld(t)
	key := w.push("v1", pushed)
	w.work(key, time.Second)
	w.wantStory(key, story{v1alpha1.PhaseRunning, "Running", map[string]int32{"v1": 1}, []chapter{{v1alpha1.CausePush, 1, "", ""}}})
	w.finish(w.runName(key, 1), "pass", digest, "kata")
	w.work(key, time.Second)
	w.wantStory(key, story{v1alpha1.PhasePassed, "Passed", map[string]int32{"v1": 1}, []chapter{{v1alpha1.CausePush, 1, v1alpha1.OutcomePass, "Passed"}}})
	e := w.entry(key)
	run := e.Status.Runs[0]
	want := &v1alpha1.Verdict{Outcome: v1alpha1.OutcomePass, Run: run.Name, Number: 1, At: *run.FinishedAt, TriggerGeneration: run.TriggerGeneration,
		Sandbox: v1alpha1.VerdictSandbox{Requested: "kata", Observed: []string{"kata"}}}
	if diff := cmp.Diff(want, e.Status.Verdict, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("verdict (-want +got):\n%s", diff)
	}
	if got := e.Status.Runs[0].Sandbox; !cmp.Equal(got.Observed, []string{"kata"}) || got.Node != "node-1" {
		t.Errorf("sandbox = %+v, want kata on node-1", got)
	}
	for _, want := range []string{v1alpha1.ConditionRecorded, v1alpha1.ConditionFired, v1alpha1.ConditionStarted, v1alpha1.ConditionVerified} {
		if !metaIsTrue(e, want) {
			t.Errorf("condition %s is not True: %+v", want, e.Status.Conditions)
		}
	}
	if diff := cmp.Diff([]string{"Running-1", "Passed-1"}, e.Status.Emitted); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if got := w.listener.asked(); len(got) != 1 || len(w.runs()) != 1 {
		t.Errorf("requests %v, PipelineRuns %d; want one of each", got, len(w.runs()))
	}
}

func metaIsTrue(e *v1alpha1.ImageVerification, kind string) bool {
	for _, c := range e.Status.Conditions {
		if c.Type == kind {
			return c.Status == metav1.ConditionTrue
		}
	}
	return false
}

// An entry that has its verdict is left alone until something changes, or until a cause of a
// run falls due by itself.
func TestAnIdleEntryIsVisitedAgainWhenSomethingFallsDue(t *testing.T) {
	w := newWorld(t)
	key := w.push("v1", pushed)
	w.live(key)
	for _, after := range []time.Duration{0, time.Hour} {
		ok, got := controller.IsRequeueKey(w.reconciler.Idle(t.Context(), w.entry(key), after))
		if ok != (after > 0) || got != after {
			t.Errorf("visited again: %t, after %s; want after %s", ok, got, after)
		}
	}
}

func TestOutcomes(t *testing.T) {
	other := mustDigest("sha256:" + "cd" + digest.Hex()[2:])
	for _, test := range []struct {
		name, verdict string
		scanned       image.Digest
		class         string
		phase         v1alpha1.Phase
		reason        string
	}{
		{"a fail is Failed, and the run succeeded", "fail", digest, "kata", v1alpha1.PhaseFailed, "Failed"},
		{"a pass outside the sandbox is an Error", "pass", digest, "", v1alpha1.PhaseError, "NotSandboxed"},
		{"a pass in another class is an Error", "pass", digest, "runc", v1alpha1.PhaseError, "NotSandboxed"},
		{"a pass of another digest is an Error", "pass", other, "kata", v1alpha1.PhaseError, "DigestMismatch"},
		{"no verdict is an Error", "", digest, "kata", v1alpha1.PhaseError, "NoVerdict"},
		{"a verdict of another word is an Error", "ok", digest, "kata", v1alpha1.PhaseError, "BadVerdict"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			key := w.push("v1", pushed)
			w.work(key, time.Second)
			w.finish(w.runName(key, 1), test.verdict, test.scanned, test.class)
			w.work(key, time.Second)
			if e := w.entry(key); e.Status.Phase != test.phase || e.Status.Reason != test.reason {
				t.Errorf("entry is %s/%s (%s), want %s/%s", e.Status.Phase, e.Status.Reason, e.Status.Message, test.phase, test.reason)
			}
		})
	}
}

// Property: whatever the same process or others do at the same time, a push
// gets one PipelineRun.
func TestAHundredPassesAtOnceByTwoProcessesGiveOneRun(t *testing.T) {
	w := newWorld(t)
	key := w.push("v1", pushed)
	both := []*imageverification.Reconciler{w.reconciler, w.process()}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			err := both[i%2].Reconcile(t.Context(), key.String())
			if ok, _ := controller.IsRequeueKey(err); err != nil && !ok && !apierrors.IsConflict(err) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.work(key, time.Second)
	if got := len(w.runs()); got != 1 {
		t.Errorf("%d PipelineRuns, want 1", got)
	}
	if e := w.entry(key); e.Status.RunCount != 1 || e.Status.Phase != v1alpha1.PhaseRunning {
		t.Errorf("entry is %s with %d runs, want Running with 1", e.Status.Phase, e.Status.RunCount)
	}
}

func TestARunThatDoesNotAppearIsRequestedAgain(t *testing.T) {
	w := newWorld(t)
	w.listener.set(http.StatusAccepted, func(string, string, string) *pipelinev1.PipelineRun { return nil })
	key := w.push("v1", pushed)
	w.work(key, confirmWindow-time.Second)
	if got := w.listener.asked(); len(got) != 1 {
		t.Fatalf("before the window ends: %d requests, want 1", len(got))
	}
	w.listener.set(http.StatusAccepted, templated)
	w.work(key, time.Second+aLittle)
	w.wantStory(key, story{v1alpha1.PhaseRunning, "Running", map[string]int32{"v1": 1}, []chapter{{v1alpha1.CausePush, 2, "", ""}}})
	if got := w.listener.asked(); len(got) != 2 || got[0] != got[1] {
		t.Errorf("requests %v, want the same run twice", got)
	}
}

func TestASinkThatRefusesIsAskedAgainAndTheReasonShows(t *testing.T) {
	w := newWorld(t)
	w.listener.set(http.StatusTooManyRequests, templated)
	key := w.push("v1", pushed)
	w.work(key, 100*time.Millisecond)
	w.wantStory(key, story{v1alpha1.PhaseRequested, "SinkRefused", map[string]int32{"v1": 1}, []chapter{{v1alpha1.CausePush, 1, "", "SinkRefused"}}})
	w.listener.set(http.StatusAccepted, templated)
	w.work(key, 5*time.Second)
	w.wantStory(key, story{v1alpha1.PhaseRunning, "Running", map[string]int32{"v1": 1}, []chapter{{v1alpha1.CausePush, 2, "", ""}}})
}

func unconfirmable(t *v1alpha1.ImageTrigger) {
	t.MarkTemplateUnknown("NotCheckable", "the sink is no EventListener", pushed)
}

func TestASinkThatCannotBeLookedIntoIsAskedOnce(t *testing.T) {
	w := newWorld(t, unconfirmable)
	w.listener.set(http.StatusAccepted, func(string, string, string) *pipelinev1.PipelineRun { return nil })
	key := w.push("v1", pushed)
	w.work(key, time.Minute)
	w.wantStory(key, story{v1alpha1.PhaseError, "Unconfirmed", map[string]int32{"v1": 1}, []chapter{{v1alpha1.CausePush, 1, v1alpha1.OutcomeError, "Unconfirmed"}}})
	if got := w.listener.asked(); len(got) != 1 {
		t.Errorf("%d requests, want 1", len(got))
	}
}

func TestARunOfThatNameThatIsSomebodyElsesIsNotAdopted(t *testing.T) {
	for _, test := range []struct {
		name    string
		foreign func(*pipelinev1.PipelineRun)
	}{
		{"without a label", func(pr *pipelinev1.PipelineRun) { pr.Labels = nil }},
		{"of another entry", func(pr *pipelinev1.PipelineRun) { pr.Annotations[v1alpha1.EntryUIDAnnotation] = "other" }},
		{"of another digest", func(pr *pipelinev1.PipelineRun) { pr.Annotations[v1alpha1.DigestAnnotation] = "sha256:other" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			key := w.push("v1", pushed)
			taken := templated(w.runName(key, 1), string(w.entry(key).UID), digest.String())
			test.foreign(taken)
			w.must(w.client.Create(t.Context(), taken))
			w.work(key, time.Second)
			w.wantStory(key, story{v1alpha1.PhaseRunning, "Running", map[string]int32{"v1": 1}, []chapter{
				{v1alpha1.CausePush, 0, v1alpha1.OutcomeError, "RunNameTaken"},
				{v1alpha1.CausePush, 1, "", ""},
			}})
			e := w.entry(key)
			if e.Status.Runs[0].Cause != e.Status.Runs[1].Cause {
				t.Errorf("causes %v and %v, want the same", e.Status.Runs[0].Cause, e.Status.Runs[1].Cause)
			}
			if diff := cmp.Diff([]string{w.runName(key, 2)}, w.listener.asked()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARunThatIsDeletedBeforeItsOutcomeIsRepeated(t *testing.T) {
	w := newWorld(t)
	key := w.push("v1", pushed)
	w.work(key, time.Second)
	first := w.runs()[0]
	w.must(w.client.Delete(t.Context(), &first))
	w.pass(5 * time.Second)
	w.work(key, 5*time.Second)
	w.wantStory(key, story{v1alpha1.PhaseRunning, "Running", map[string]int32{"v1": 1}, []chapter{
		{v1alpha1.CausePush, 1, v1alpha1.OutcomeError, "Vanished"},
		{v1alpha1.CauseVanished, 1, "", ""},
	}})
	if got := w.entry(key).Status.Runs[1].Cause.Key; got != first.Name {
		t.Errorf("the cause names %q, want %q", got, first.Name)
	}
}

func TestPushesOfADigestThatIsKnown(t *testing.T) {
	for _, test := range []struct {
		name string
		// change of the trigger, and what is pushed while the run is queued,
		// after it started, and after its verdict
		freshness            time.Duration
		while                string
		age                  time.Duration
		runs                 int32
		wantRunOfSecondOrder int32
	}{
		{"one that comes before the run started joins it", time.Hour, "requested", 0, 1, 1},
		{"one that comes after it started waits for its verdict, which covers it", time.Hour, "started", 0, 1, 1},
		{"one under a fresh verdict is covered by it", time.Hour, "finished", time.Minute, 1, 1},
		{"one after the verdict's time runs", time.Hour, "finished", 2 * time.Hour, 2, 2},
		{"with a freshness of 0 one that comes before the run started is queued", 0, "requested", 0, 2, 2},
		{"with a freshness of 0 one after the verdict runs", 0, "finished", 0, 2, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, func(tr *v1alpha1.ImageTrigger) { tr.Spec.Freshness = &metav1.Duration{Duration: test.freshness} })
			key := w.push("v1", pushed)
			w.work(key, time.Second)
			second := func() { w.push("v2", w.clock().Truncate(time.Second)) }
			name := w.runName(key, 1)
			switch test.while {
			case "requested":
				second()
				w.work(key, time.Second)
			case "started":
				var pr pipelinev1.PipelineRun
				w.must(w.client.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, &pr))
				pr.Status.StartTime = &metav1.Time{Time: w.clock()}
				w.must(w.client.Update(t.Context(), &pr))
				w.work(key, time.Second)
				second()
				w.work(key, time.Second)
				if got := w.entry(key).Status.Tags[1].Run; got != 0 {
					t.Fatalf("the second push is decided (run %d) before the verdict", got)
				}
			}
			w.finish(name, "pass", digest, "kata")
			w.work(key, time.Second)
			if test.while == "finished" {
				w.pass(test.age)
				second()
				w.work(key, time.Second)
			}
			e := w.entry(key)
			if e.Status.RunCount != test.runs || e.Status.Tags[1].Run != test.wantRunOfSecondOrder {
				t.Errorf("%d runs, the second push covered by %d; want %d and %d", e.Status.RunCount, e.Status.Tags[1].Run, test.runs, test.wantRunOfSecondOrder)
			}
			if got := len(w.runs()); got != int(test.runs) {
				t.Errorf("%d PipelineRuns, want %d", got, test.runs)
			}
		})
	}
}
