package imageverification_test

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imageverification"
	"github.com/revet-dev/revet/pkg/image"
)

// numbered is a digest of its own.
func numbered(n string) image.Digest { return mustDigest("sha256:" + n + digest.Hex()[2:]) }

func skipSuperseded(tr *v1alpha1.ImageTrigger) {
	tr.Spec.MaxConcurrent, tr.Spec.Superseded = 1, v1alpha1.SupersededSkip
}

// busy makes a run that takes the only slot.
func (w *world) busy() types.NamespacedName {
	key := w.pushDigest("busy", numbered("00"), pushed)
	w.work(key, 100*time.Millisecond)
	return key
}

// ends finishes an entry's first run, and lets whoever waits go on.
func (w *world) ends(key types.NamespacedName) {
	w.t.Helper()
	w.queue.take()
	w.finish(w.runName(key, 1), "pass", mustDigest(w.entry(key).Spec.Digest), "kata")
	w.work(key, time.Second)
	for _, woken := range w.queue.take() {
		w.work(woken, time.Second)
	}
}

func TestPushesThatAreSupersededWhileTheyWait(t *testing.T) {
	for _, test := range []struct {
		name   string
		policy v1alpha1.SupersededPolicy
		also   string // another tag of the older digest
		phase  v1alpha1.Phase
		reason string
	}{
		{"are given up if the trigger says so", v1alpha1.SupersededSkip, "", v1alpha1.PhaseSkipped, "Superseded"},
		{"but not while another tag shows the digest", v1alpha1.SupersededSkip, "stable", v1alpha1.PhaseRunning, "Running"},
		{"are verified by default", v1alpha1.SupersededVerify, "", v1alpha1.PhaseRunning, "Running"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, func(tr *v1alpha1.ImageTrigger) { tr.Spec.MaxConcurrent, tr.Spec.Superseded = 1, test.policy })
			busy := w.busy()
			older := w.pushDigest("v1", numbered("11"), pushed.Add(time.Second))
			if test.also != "" {
				w.pushDigest(test.also, numbered("11"), pushed.Add(time.Second))
			}
			w.work(older, 0)
			newer := w.pushDigest("v1", numbered("22"), pushed.Add(2*time.Second))
			w.work(newer, 0)
			w.pass(31 * time.Second) // the older one asks again
			w.work(older, 0)
			w.ends(busy)
			if test.phase == v1alpha1.PhaseRunning {
				if e := w.entry(newer); test.also == "" && e.Status.Phase != v1alpha1.PhaseRunning {
					t.Errorf("what the tag shows now is %s, want it verified first", e.Status.Phase)
				}
				for _, key := range []types.NamespacedName{newer, older} {
					if w.entry(key).Status.Phase == v1alpha1.PhaseRunning {
						w.ends(key)
					}
				}
				if got := w.entry(newer).Status.RunCount; got != 1 {
					t.Errorf("the newer push has %d runs", got)
				}
			}
			e := w.entry(older)
			if test.phase == v1alpha1.PhaseRunning {
				if e.Status.RunCount != 1 {
					t.Errorf("the older push has %d runs, and is %s/%s", e.Status.RunCount, e.Status.Phase, e.Status.Reason)
				}
				return
			}
			if e.Status.Phase != test.phase || e.Status.Reason != test.reason || !strings.Contains(e.Status.Message, numbered("22").String()) || e.Status.RunCount != 0 {
				t.Errorf("the older push is %s/%s: %s", e.Status.Phase, e.Status.Reason, e.Status.Message)
			}
		})
	}
}

// Property: what an earlier process fired, and did not record, is followed, though
// its tag shows another digest by now.
func TestARunThatExistsIsNotGivenUp(t *testing.T) {
	w := newWorld(t, skipSuperseded)
	key := w.push("v1", pushed)
	w.must(w.client.Create(t.Context(), templated(w.runName(key, 1), string(w.entry(key).UID), digest.String())))
	w.pushDigest("v1", numbered("22"), pushed.Add(time.Minute))
	w.work(key, time.Second)
	if e := w.entry(key); e.Status.Phase != v1alpha1.PhaseRunning {
		t.Errorf("entry is %s/%s, want Running", e.Status.Phase, e.Status.Reason)
	}
}

func TestTheBoundOfAllTriggersHoldsAndIsTold(t *testing.T) {
	w := newWorld(t)
	w.interpose = func(o *imageverification.Options) { o.MaxConcurrent = 1 }
	w.restart()
	busy := w.busy()
	key := w.pushDigest("v1", numbered("11"), pushed.Add(time.Second))
	w.work(key, time.Millisecond)
	w.pass(10 * time.Second)
	w.work(key, time.Millisecond)
	if e := w.entry(key); e.Status.Reason != "Queued" || !strings.Contains(e.Status.Message, "all 1 runs that the controller's --max-concurrent allows") {
		t.Errorf("entry is %s/%s: %s", e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
	w.ends(busy)
	if e := w.entry(key); e.Status.Phase != v1alpha1.PhaseRunning {
		t.Errorf("entry is %s/%s, want Running", e.Status.Phase, e.Status.Reason)
	}
}

// Property: the queue is the ledger. A process that ends loses no place in it
// that matters, and one that begins counts what is under way.
func TestANewProcessCountsWhatIsUnderWay(t *testing.T) {
	w := newWorld(t, func(tr *v1alpha1.ImageTrigger) { tr.Spec.MaxConcurrent = 1 })
	busy := w.busy()
	key := w.pushDigest("v1", numbered("11"), pushed.Add(time.Second))
	w.work(key, time.Millisecond)
	w.restart()
	w.work(key, time.Millisecond)
	if got := len(w.runs()); got != 1 {
		t.Fatalf("%d PipelineRuns, want the one that is under way", got)
	}
	w.ends(busy)
	if e := w.entry(key); e.Status.Phase != v1alpha1.PhaseRunning {
		t.Errorf("entry is %s/%s, want Running", e.Status.Phase, e.Status.Reason)
	}
}
