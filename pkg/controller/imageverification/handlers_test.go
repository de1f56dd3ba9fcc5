package imageverification_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imageverification"
)

func TestWhatHappensQueuesTheEntriesThatItMattersTo(t *testing.T) {
	w := newWorld(t)
	key := w.push("v1", pushed)
	e := w.entry(key)
	run := templated(w.runName(key, 1), string(e.UID), digest.String())
	foreign := templated("other", "other", digest.String())
	generation2 := w.trigger.DeepCopy()
	generation2.Generation = 2
	swept := w.trigger.DeepCopy()
	swept.MarkSwept("all", w.clock())
	for _, test := range []struct {
		name string
		do   func()
		want []types.NamespacedName
	}{
		{"a new entry", func() { w.reconciler.EntryHandler().OnAdd(e, false) }, []types.NamespacedName{key}},
		{"an entry that was deleted unseen", func() {
			w.reconciler.EntryHandler().OnDelete(cache.DeletedFinalStateUnknown{Obj: e})
		}, []types.NamespacedName{key}},
		{"a run of the entry", func() { w.reconciler.RunHandler().OnAdd(run, false) }, []types.NamespacedName{key}},
		{"a run of the entry that was deleted", func() { w.reconciler.RunHandler().OnDelete(run) }, []types.NamespacedName{key}},
		{"a run of no entry", func() { w.reconciler.RunHandler().OnAdd(foreign, false) }, nil},
		{"a run without an annotation", func() { w.reconciler.RunHandler().OnAdd(&pipelinev1.PipelineRun{}, false) }, nil},
		{"a trigger whose spec changed", func() { w.reconciler.TriggerHandler().OnUpdate(w.trigger, generation2) }, []types.NamespacedName{key}},
		{"a trigger that was swept", func() { w.reconciler.TriggerHandler().OnUpdate(w.trigger, swept) }, nil},
		{"a trigger that was deleted", func() { w.reconciler.TriggerHandler().OnDelete(w.trigger) }, []types.NamespacedName{key}},
		{"something else", func() { w.reconciler.EntryHandler().OnAdd(w.trigger, false) }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.queue.take()
			test.do()
			if diff := cmp.Diff(test.want, w.queue.take()); diff != "" {
				t.Errorf("queued (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnEntryThatEndsElsewhereWakesWhoWaitsForItsSlot(t *testing.T) {
	w := newWorld(t, func(tr *v1alpha1.ImageTrigger) { tr.Spec.MaxConcurrent = 1 })
	first := w.push("v1", pushed)
	w.work(first, 100*time.Millisecond)
	before := w.entry(first)
	second := w.pushDigest("v2", mustDigest("sha256:"+"00"+digest.Hex()[2:]), pushed)
	w.work(second, 100*time.Millisecond)
	after := before.DeepCopy()
	after.Status.Runs[0].Outcome = v1alpha1.OutcomePass
	w.queue.take()
	w.reconciler.EntryHandler().OnUpdate(before, after)
	if diff := cmp.Diff([]types.NamespacedName{second, first}, w.queue.take()); diff != "" {
		t.Errorf("queued (-want +got):\n%s", diff)
	}
}

// Property: without the lease nothing is sent, and nothing is recorded as sent.
func TestNothingIsFiredWithoutTheLease(t *testing.T) {
	for name, change := range map[string][]func(*v1alpha1.ImageTrigger){"confirmable": nil, "not confirmable": {unconfirmable}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, change...)
			w.interpose = func(o *imageverification.Options) { o.Lease = neverLeads{} }
			w.restart()
			key := w.push("v1", pushed)
			w.work(key, 5*time.Second)
			if got := w.listener.asked(); len(got) != 0 || w.entry(key).Status.RunCount != 0 {
				t.Fatalf("%d requests, %d runs; want none", len(got), w.entry(key).Status.RunCount)
			}
			w.interpose = nil
			w.restart()
			w.work(key, time.Second)
			if e := w.entry(key); e.Status.Phase != v1alpha1.PhaseRunning {
				t.Errorf("with the lease the entry is %s", e.Status.Phase)
			}
		})
	}
}

// Property: a request is not sent again without the lease either.
func TestNothingIsFiredAgainWithoutTheLease(t *testing.T) {
	w := newWorld(t)
	w.listener.set(http.StatusAccepted, func(string, string, string) *pipelinev1.PipelineRun { return nil })
	key := w.push("v1", pushed)
	w.work(key, 5*time.Second)
	w.interpose = func(o *imageverification.Options) { o.Lease = neverLeads{} }
	w.restart()
	w.work(key, time.Minute)
	if got := w.listener.asked(); len(got) != 1 || w.entry(key).Status.Runs[0].Attempts != 1 {
		t.Errorf("%d requests, %d attempts; want 1", len(got), w.entry(key).Status.Runs[0].Attempts)
	}
}

type neverLeads struct{}

func (neverLeads) Hold(context.Context, types.NamespacedName) (context.Context, func(), bool) {
	return nil, nil, false
}
