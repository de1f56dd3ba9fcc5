package imageverification_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/reconciler"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

func nothingToQueue(reconciler.Bucket, types.NamespacedName) {}

// Property: nothing is remembered of an entry or a trigger that is gone, however its run
// stood, nor of a run that was aborted.
func TestWhatIsGoneIsForgotten(t *testing.T) {
	for _, test := range []struct {
		name string
		live func(*world, types.NamespacedName)
	}{
		{"a run whose Pods were inspected, and that was deleted", func(w *world, key types.NamespacedName) {
			w.startPods(key)
			run := w.runs()[0]
			w.must(w.client.Delete(w.t.Context(), &run))
			w.must(w.client.Delete(w.t.Context(), w.trigger))
			w.work(key, time.Minute)
			if e := w.entry(key); e.Status.CurrentRun() != nil {
				w.t.Fatalf("the run goes on: %s", e.Status.Reason)
			}
		}},
		{"an entry that is deleted while its run goes on", func(w *world, key types.NamespacedName) {
			w.startPods(key)
			w.deleted(key)
		}},
		{"an entry that is deleted before its request was recorded", func(w *world, key types.NamespacedName) {
			w.listener.set(http.StatusAccepted, nothing)
			_, err := w.step(key)
			w.must(err)
			w.deleted(key)
		}},
		{"an entry that is deleted while its image cannot be read", func(w *world, key types.NamespacedName) {
			w.facts.err = errors.New("connection refused")
			_, err := w.step(key)
			w.must(err)
			w.deleted(key)
		}},
		{"a push that is skipped while its image cannot be read", func(w *world, key types.NamespacedName) {
			w.facts.err = errors.New("connection refused")
			_, err := w.step(key)
			w.must(err)
			w.must(w.client.Delete(w.t.Context(), w.trigger))
			w.work(key, time.Minute)
			if e := w.entry(key); e.Status.Phase != v1alpha1.PhaseSkipped {
				w.t.Fatalf("the entry is %s/%s, want Skipped", e.Status.Phase, e.Status.Reason)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, func(tr *v1alpha1.ImageTrigger) {
				tr.Spec.Sandbox.StartTimeout = &metav1.Duration{Duration: time.Minute}
			})
			key := w.push("v1", pushed)
			test.live(w, key)
			w.caughtUp(key)
			if entries, _ := w.reconciler.Remembered(); entries != 0 {
				t.Errorf("%d things are remembered", entries)
			}
		})
	}
}

// Property: a trigger that is deleted takes with it what its sink asked for.
func TestABackoffEndsWithItsTrigger(t *testing.T) {
	w := newWorld(t)
	w.listener.set(http.StatusTooManyRequests, templated)
	w.listener.after = "60"
	w.work(w.push("v1", pushed), time.Second)
	if _, triggers := w.reconciler.Remembered(); triggers != 1 {
		t.Fatalf("the backoff of %d triggers is remembered, want 1", triggers)
	}
	w.must(w.client.Delete(t.Context(), w.trigger))
	w.reconciler.TriggerHandler().OnDelete(w.trigger)
	if _, triggers := w.reconciler.Remembered(); triggers != 0 {
		t.Errorf("the backoff of %d triggers is remembered", triggers)
	}
}

// deleted deletes an entry, and lets the watch tell.
func (w *world) deleted(key types.NamespacedName) {
	w.t.Helper()
	e := w.entry(key)
	w.must(w.client.Delete(w.t.Context(), e, client.GracePeriodSeconds(0)))
	w.reconciler.EntryHandler().OnDelete(e)
	_, err := w.step(key)
	w.must(err)
}

// caughtUp makes one more pass, which finds that the cache has what was written.
func (w *world) caughtUp(key types.NamespacedName) {
	w.t.Helper()
	_, err := w.step(key)
	w.must(err)
}

// startPods takes an entry to a run whose Pods were inspected, and had started.
func (w *world) startPods(key types.NamespacedName) {
	w.t.Helper()
	w.work(key, time.Second)
	run := w.runName(key, 1)
	w.begins(run)
	class := "kata"
	w.must(w.client.Create(w.t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: run + "-pod",
			Labels: map[string]string{"tekton.dev/pipelineRun": run, "tekton.dev/taskRun": run + "-task"}},
		Spec: corev1.PodSpec{RuntimeClassName: &class}, Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}))
	w.work(key, 2*time.Minute)
	w.caughtUp(key)
	if entries, _ := w.reconciler.Remembered(); entries != 1 {
		w.t.Fatalf("%d things are remembered of a run whose Pods have started, want 1", entries)
	}
}
