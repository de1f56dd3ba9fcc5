package imageverification_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imageverification"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/sandbox"
)

func withSandbox(change func(*v1alpha1.Sandbox)) func(*v1alpha1.ImageTrigger) {
	return func(t *v1alpha1.ImageTrigger) { change(&t.Spec.Sandbox) }
}

// What a run was asked to execute in is written with it and judged by: a run
// around the class passes without it and says so, any other does not.
func TestARunIsJudgedByTheClassThatItWasAskedFor(t *testing.T) {
	none := int32(0)
	key := bytes.Repeat([]byte{1}, sandbox.MinKey)
	for _, test := range []struct {
		name   string
		change func(*v1alpha1.ImageTrigger)
		had    string
		phase  v1alpha1.Phase
		reason string
		want   v1alpha1.SandboxStatus
	}{
		{"in the class", withSandbox(func(*v1alpha1.Sandbox) {}), "kata", v1alpha1.PhasePassed, "Passed",
			v1alpha1.SandboxStatus{Requested: "kata", Observed: []string{"kata"}}},
		{"asked for the class and did not have it", withSandbox(func(*v1alpha1.Sandbox) {}), "", v1alpha1.PhaseError, "NotSandboxed",
			v1alpha1.SandboxStatus{Requested: "kata", Observed: []string{""}}},
		{"excluded", withSandbox(func(s *v1alpha1.Sandbox) {
			s.Exclude = []v1alpha1.SandboxExclusion{{Images: "demo/*:v1", Reason: "it needs io_uring"}}
		}), "", v1alpha1.PhasePassed, "Passed", v1alpha1.SandboxStatus{
			Route: v1alpha1.RouteExcluded, RouteMessage: "spec.sandbox.exclude names demo/*:v1: it needs io_uring", Observed: []string{""}}},
		{"outside the weight", withSandbox(func(s *v1alpha1.Sandbox) { s.Weight = &none }), "", v1alpha1.PhasePassed, "Passed", v1alpha1.SandboxStatus{
			Route: v1alpha1.RouteOutsideWeight, RouteMessage: "spec.sandbox.weight gives the class to 0 percent of digests, and this is none of them", Observed: []string{""}}},
		{"fallen back", func(tr *v1alpha1.ImageTrigger) {
			tr.Spec.Sandbox.Fallback = v1alpha1.FallbackDefault
			tr.MarkSandboxMissing(v1alpha1.ReasonRuntimeClassNotFound, "", pushed)
		}, "", v1alpha1.PhasePassed, "Passed", v1alpha1.SandboxStatus{
			Route: v1alpha1.RouteFellBack, RouteMessage: `the cluster has no RuntimeClass "kata", and spec.sandbox.fallback is Default`, Observed: []string{""}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, test.change)
			w.interpose = func(o *imageverification.Options) {
				o.SandboxKey = func(context.Context) ([]byte, error) { return key, nil }
			}
			w.restart()
			entry := w.push("v1", pushed)
			w.work(entry, time.Second)
			w.finish(w.runName(entry, 1), "pass", digest, test.had)
			w.work(entry, time.Second)
			e := w.entry(entry)
			if e.Status.Phase != test.phase || e.Status.Reason != test.reason {
				t.Fatalf("the entry is %s/%s (%s)", e.Status.Phase, e.Status.Reason, e.Status.Message)
			}
			got := e.Status.Runs[0].Sandbox
			got.Pods, got.Node = nil, ""
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("sandbox (-want +got):\n%s", diff)
			}
		})
	}
}

// A weight without its key fires nothing, on either side, says so, and goes on by
// itself once there is the key.
func TestWithoutTheKeyAWeightDecidesNothing(t *testing.T) {
	half := int32(50)
	w := newWorld(t, withSandbox(func(s *v1alpha1.Sandbox) { s.Weight = &half }))
	var key []byte
	w.interpose = func(o *imageverification.Options) {
		o.SandboxKey = func(context.Context) ([]byte, error) {
			if key == nil {
				return nil, errors.New("there is no Secret")
			}
			return key, nil
		}
	}
	w.restart()
	entry := w.push("v1", pushed)
	w.work(entry, 20*time.Second)
	w.wantStory(entry, story{v1alpha1.PhasePending, "SandboxUndecided", map[string]int32{"v1": 0}, nil})
	if n := len(w.runs()); n != 0 {
		t.Fatalf("%d runs were started", n)
	}
	key = bytes.Repeat([]byte{1}, sandbox.MinKey)
	w.work(entry, 20*time.Second)
	w.wantStory(entry, story{v1alpha1.PhaseRunning, "Running", map[string]int32{"v1": 1}, []chapter{{v1alpha1.CausePush, 1, "", ""}}})
}

// The side that a digest is on is the same in every process.
func TestEveryProcessRoutesADigestAlike(t *testing.T) {
	thirty := int32(30)
	key := bytes.Repeat([]byte{3}, sandbox.MinKey)
	asked := func(d image.Digest) string {
		w := newWorld(t, withSandbox(func(s *v1alpha1.Sandbox) { s.Weight = &thirty }))
		w.interpose = func(o *imageverification.Options) {
			o.SandboxKey = func(context.Context) ([]byte, error) { return key, nil }
		}
		w.restart()
		entry := w.pushDigest("v1", d, pushed)
		w.work(entry, time.Second)
		return w.entry(entry).Status.Runs[0].Sandbox.Requested
	}
	sides := map[string]int{}
	for n := range byte(12) {
		d := mustDigest("sha256:" + string(bytes.Repeat([]byte{'a' + n%6}, 63)) + string('0'+n%10))
		first := asked(d)
		sides[first]++
		if second := asked(d); second != first {
			t.Errorf("%s was asked to run in %q and then in %q", d, first, second)
		}
	}
	if len(sides) != 2 {
		t.Errorf("all digests are on one side: %v", sides)
	}
}

// strandedPod is a Pod of a run that its class cannot start.
func (w *world) strandedPod(run, message string) {
	w.t.Helper()
	class := "kata"
	w.must(w.client.Create(w.t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: run + "-pod",
			Labels: map[string]string{"tekton.dev/pipelineRun": run, "tekton.dev/taskRun": run + "-task"},
		},
		Spec:   corev1.PodSpec{RuntimeClassName: &class},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}))
	w.must(w.client.Create(w.t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, Name: run + "-event"},
		InvolvedObject: corev1.ObjectReference{Name: run + "-pod"}, Reason: "FailedCreatePodSandBox", Message: message,
	}))
}

// begins starts a run as Tekton does, before it has made a Pod.
func (w *world) begins(run string) {
	w.t.Helper()
	var pr pipelinev1.PipelineRun
	w.must(w.client.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: run}, &pr))
	start := metav1.NewTime(w.clock())
	pr.Status.StartTime = &start
	w.must(w.client.Update(w.t.Context(), &pr))
}

// cancelled reports whether a run was asked to end, and ends it if so, as Tekton does.
func (w *world) cancelled(run string) bool {
	w.t.Helper()
	var pr pipelinev1.PipelineRun
	w.must(w.client.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: run}, &pr))
	if pr.Spec.Status != pipelinev1.PipelineRunSpecStatusCancelled {
		return false
	}
	end := metav1.NewTime(w.clock())
	pr.Status.CompletionTime = &end
	pr.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionFalse, Reason: "Cancelled", Message: `PipelineRun was cancelled`})
	w.must(w.client.Update(w.t.Context(), &pr))
	return true
}

const noHandler = `Failed to create pod sandbox: failed to get sandbox runtime: no runtime for "nohandler" is configured`

// A run whose Pods cannot start in its class is stopped and told with its cure; it
// is repeated, and ends as Error, and runs again when the class is made anew.
func TestARunWhoseClassCannotStartItIsRefused(t *testing.T) {
	once := int32(1)
	w := newWorld(t, func(tr *v1alpha1.ImageTrigger) { tr.Spec.Retries = &once })
	entry := w.push("v1", pushed)
	for number := int32(1); number <= 2; number++ {
		w.work(entry, time.Minute)
		run := w.runName(entry, number)
		w.begins(run)
		w.strandedPod(run, noHandler)
		w.work(entry, time.Second)
		w.pass(4 * time.Minute)
		w.work(entry, time.Second)
		if w.cancelled(run) {
			t.Fatal("the run was stopped before its time was up")
		}
		w.work(entry, 2*time.Minute)
		e := w.entry(entry)
		if e.Status.Reason != "SandboxUnavailable" || !strings.Contains(e.Status.Message, noHandler) || !strings.Contains(e.Status.Message, "Configure the RuntimeClass's handler") {
			t.Fatalf("run %d: the entry is %s/%s: %s", number, e.Status.Phase, e.Status.Reason, e.Status.Message)
		}
		if !w.cancelled(run) {
			t.Fatalf("run %d was not stopped", number)
		}
		w.work(entry, time.Second)
	}
	ended := chapter{v1alpha1.CauseRetry, 1, v1alpha1.OutcomeError, "SandboxUnavailable"}
	w.wantStory(entry, story{v1alpha1.PhaseError, "SandboxUnavailable", map[string]int32{"v1": 1}, []chapter{{v1alpha1.CausePush, 1, v1alpha1.OutcomeError, "SandboxUnavailable"}, ended}})
	if reason, message, err := w.reconciler.Trouble(t.Context(), w.trigger.UID); err != nil || reason != "SandboxUnavailable" || !strings.Contains(message, noHandler) {
		t.Errorf("the trigger is told %q, %q, %v", reason, message, err)
	}
	w.work(entry, time.Hour)
	if n := len(w.runs()); n != 2 {
		t.Fatalf("there are %d runs though nothing changed", n)
	}

	w.must(w.client.Get(t.Context(), client.ObjectKeyFromObject(w.trigger), w.trigger))
	w.pass(time.Minute)
	since := metav1.NewTime(w.clock())
	w.trigger.Status.RuntimeClassSince = &since
	w.must(w.client.Status().Update(t.Context(), w.trigger))
	w.work(entry, time.Second)
	w.finish(w.runName(entry, 3), "pass", digest, "kata")
	w.work(entry, time.Second)
	w.wantStory(entry, story{v1alpha1.PhasePassed, "Passed", map[string]int32{"v1": 1}, []chapter{
		{v1alpha1.CausePush, 1, v1alpha1.OutcomeError, "SandboxUnavailable"}, ended, {v1alpha1.CauseRetry, 1, v1alpha1.OutcomePass, "Passed"}}})
	if reason, _, _ := w.reconciler.Trouble(t.Context(), w.trigger.UID); reason != "" {
		t.Errorf("the trigger is still told %s", reason)
	}
}

// Where the trigger allows it, the repetition executes outside the class and says
// so, even if nothing else is repeated.
func TestARunWhoseClassCannotStartItFallsBack(t *testing.T) {
	w := newWorld(t, func(tr *v1alpha1.ImageTrigger) {
		tr.Spec.Sandbox.Fallback, tr.Spec.Retries = v1alpha1.FallbackDefault, new(int32)
	})
	entry := w.push("v1", pushed)
	w.work(entry, time.Second)
	run := w.runName(entry, 1)
	w.begins(run)
	w.strandedPod(run, noHandler)
	w.work(entry, 6*time.Minute)
	if !w.cancelled(run) {
		t.Fatal("the run was not stopped")
	}
	w.work(entry, time.Minute)
	w.finish(w.runName(entry, 2), "pass", digest, "")
	w.work(entry, time.Second)
	w.wantStory(entry, story{v1alpha1.PhasePassed, "Passed", map[string]int32{"v1": 1}, []chapter{
		{v1alpha1.CausePush, 1, v1alpha1.OutcomeError, "SandboxUnavailable"}, {v1alpha1.CauseRetry, 1, v1alpha1.OutcomePass, "Passed"}}})
	s := w.entry(entry).Status.Runs[1].Sandbox
	if s.Requested != "" || s.Route != v1alpha1.RouteFellBack || !strings.Contains(s.RouteMessage, noHandler) {
		t.Errorf("the sandbox is %+v", s)
	}
}

// Pods that started in time are looked at once, and a run that gives its verdict
// while it is being stopped keeps it.
func TestARunThatStartsIsNotStopped(t *testing.T) {
	w := newWorld(t)
	entry := w.push("v1", pushed)
	w.work(entry, time.Second)
	run := w.runName(entry, 1)
	w.begins(run)
	class := "kata"
	w.must(w.client.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "p", Labels: map[string]string{"tekton.dev/pipelineRun": run, "tekton.dev/taskRun": "t"}},
		Spec:       corev1.PodSpec{RuntimeClassName: &class}, Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}))
	w.work(entry, time.Hour)
	if w.cancelled(run) {
		t.Fatal("a run whose Pods started was stopped")
	}
	w.finish(run, "pass", digest, "kata")
	w.work(entry, time.Second)
	w.wantStory(entry, story{v1alpha1.PhasePassed, "Passed", map[string]int32{"v1": 1}, []chapter{{v1alpha1.CausePush, 1, v1alpha1.OutcomePass, "Passed"}}})
}

// A Pod that is refused, as its RuntimeClass went away after the request, is told
// from any other failure, be it the first of the run or the last.
func TestARunThatWasRefusedForWantOfItsClass(t *testing.T) {
	for name, before := range map[string]bool{"the first Pod": false, "a later Pod": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			entry := w.push("v1", pushed)
			w.work(entry, time.Second)
			run := w.runName(entry, 1)
			class := "kata"
			if before {
				pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: run + "-fetch", Labels: map[string]string{"tekton.dev/pipelineRun": run}}}
				pod.Spec.RuntimeClassName = &class
				pod.Status.Phase = corev1.PodSucceeded
				w.must(w.client.Create(t.Context(), pod))
			}
			task := &pipelinev1.TaskRun{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: run + "-scan", Labels: map[string]string{"tekton.dev/pipelineRun": run}}}
			task.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionFalse, Reason: "PodCreationFailed",
				Message: `failed to create task run pod "x": pods "x" is forbidden: pod rejected: RuntimeClass "kata" not found. Maybe missing or invalid Task`})
			w.must(w.client.Create(t.Context(), task))
			var pr pipelinev1.PipelineRun
			w.must(w.client.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: run}, &pr))
			now := metav1.NewTime(w.clock())
			pr.Status.StartTime, pr.Status.CompletionTime = &now, &now
			pr.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionFalse, Reason: "Failed", Message: "Tasks Completed: 1"})
			w.must(w.client.Update(t.Context(), &pr))
			w.work(entry, time.Second)
			e := w.entry(entry)
			if got := e.Status.Runs[0]; got.Reason != "SandboxUnavailable" || !strings.Contains(got.Message, `RuntimeClass "kata" not found`) {
				t.Errorf("the run ended as %s: %s", got.Reason, got.Message)
			}
		})
	}
}
