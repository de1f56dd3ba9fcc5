package imageverification_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// judgedBefore makes an entry that was judged before verdicts were kept, and asks for its run.
func (w *world) judgedBefore(number string) types.NamespacedName {
	w.t.Helper()
	key := w.pushDigest("v"+number, numbered(number), pushed)
	w.work(key, time.Second)
	w.ends(key)
	e := w.entry(key)
	e.Status.Verdict = nil
	w.must(w.client.Status().Update(w.t.Context(), e))
	e.Spec.Requests = []string{lifecycle.RenewalPrefix + number}
	w.must(w.client.Update(w.t.Context(), e))
	return key
}

// Property: of the slots of a trigger, renewals take half; a push gets another at once, and a
// verdict that it brings answers the renewal that waits.
func TestARenewalWaitsAndAPushDoesNot(t *testing.T) {
	w := newWorld(t, func(tr *v1alpha1.ImageTrigger) { tr.Spec.MaxConcurrent = 2 })
	first, second := w.judgedBefore("11"), w.judgedBefore("22")
	w.work(first, time.Second)
	w.work(second, time.Second)
	if a, b := w.entry(first).Status, w.entry(second).Status; a.RunCount != 2 || b.RunCount != 1 || a.Verdict != nil {
		t.Fatalf("the renewals have %d and %d runs, want 2 and 1", a.RunCount, b.RunCount)
	}
	w.pass(31 * time.Second) // it asks again
	w.work(second, time.Second)
	w.pushDigest("latest", numbered("22"), w.clock())
	w.work(second, time.Second)
	e := w.entry(second)
	if e.Status.RunCount != 2 || e.Status.Runs[1].Cause.Type != v1alpha1.CausePush {
		t.Fatalf("the push of a digest without a verdict has the runs %+v, want one of its own", e.Status.Runs)
	}
	w.finish(w.runName(second, 2), "fail", numbered("22"), "kata")
	w.work(second, time.Second)
	e = w.entry(second)
	if v := e.Status.Verdict; v == nil || v.Number != 2 || v.Outcome != v1alpha1.OutcomeFail || e.Status.RunCount != 2 {
		t.Errorf("verdict %+v after %d runs, want a fail of run 2", v, e.Status.RunCount)
	}
	if diff := cmp.Diff(e.Spec.Requests, e.Status.HandledRequests); diff != "" {
		t.Errorf("requests that are answered (-want +got):\n%s", diff)
	}
	w.finish(w.runName(first, 2), "pass", numbered("11"), "kata")
	w.work(first, time.Second)
	if v := w.entry(first).Status.Verdict; v == nil || v.Number != 2 {
		t.Errorf("the renewal gave the verdict %+v", v)
	}
}
