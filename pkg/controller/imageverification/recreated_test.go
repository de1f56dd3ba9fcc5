package imageverification_test

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// deleteEntry deletes an entry by hand, and has it recorded again.
func (w *world) deleteEntry(key types.NamespacedName) *v1alpha1.ImageVerification {
	w.t.Helper()
	old := w.entry(key)
	w.must(w.client.Delete(w.t.Context(), old, client.GracePeriodSeconds(0)))
	w.index.Handler().OnDelete(old)
	w.push("v1", pushed)
	return old
}

// Property: an entry that somebody deleted, and whose push is recorded again, runs again,
// and its run says so: with the deleted entry as its cause if this process saw the deletion.
func TestAnEntryThatWasDeletedRunsAgain(t *testing.T) {
	for _, test := range []struct {
		name string
		// told is how the deletion is told to the process that follows the new entry.
		told func(*world, *v1alpha1.ImageVerification)
		want v1alpha1.CauseType
	}{
		{"by the watch", func(w *world, old *v1alpha1.ImageVerification) { w.reconciler.EntryHandler().OnDelete(old) }, v1alpha1.CauseRecreated},
		{"by a relist, which shows one change", func(w *world, old *v1alpha1.ImageVerification) {
			w.reconciler.EntryHandler().OnUpdate(old, w.entry(client.ObjectKeyFromObject(old)))
		}, v1alpha1.CauseRecreated},
		{"before a change of leadership", func(w *world, old *v1alpha1.ImageVerification) {
			w.reconciler.EntryHandler().OnDelete(old)
			w.reconciler.Demote(universal{})
			w.must(w.reconciler.Promote(universal{}, nothingToQueue))
		}, v1alpha1.CauseRecreated},
		{"to a process that ended since", func(w *world, old *v1alpha1.ImageVerification) {
			w.reconciler.EntryHandler().OnDelete(old)
			w.restart()
		}, v1alpha1.CausePush},
		{"of another entry only", func(w *world, old *v1alpha1.ImageVerification) {
			other := old.DeepCopy()
			other.Name = "other"
			w.reconciler.EntryHandler().OnDelete(other)
		}, v1alpha1.CausePush},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			key := w.push("v1", pushed)
			w.work(key, time.Second)
			w.finish(w.runName(key, 1), "pass", digest, "kata")
			w.work(key, time.Second)
			old := w.deleteEntry(key)
			test.told(w, old)
			w.work(key, time.Second)
			w.wantStory(key, story{v1alpha1.PhaseRunning, "Running", map[string]int32{"v1": 1}, []chapter{{test.want, 1, "", ""}}})
			if got := w.entry(key).Status.Runs[0].Cause.Key; test.want == v1alpha1.CauseRecreated && got != string(old.UID) {
				t.Errorf("the cause names %q, want the deleted entry %q", got, old.UID)
			}
			if got := len(w.runs()); got != 2 {
				t.Errorf("%d PipelineRuns, want one for each entry", got)
			}
			// What is pushed to it later is a push again.
			w.finish(w.runName(key, 1), "fail", digest, "kata")
			w.work(key, time.Second)
			w.pass(48 * time.Hour)
			w.push("v1", w.clock().Truncate(time.Second))
			w.work(key, time.Second)
			if runs := w.entry(key).Status.Runs; len(runs) != 2 || runs[1].Cause.Type != v1alpha1.CausePush {
				t.Errorf("a later push has the runs %+v", runs)
			}
		})
	}
}
