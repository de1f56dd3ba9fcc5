package imageverification_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
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

// Property: an entry that waits for its namespace's share says so, and the trigger of another
// namespace makes that share.
func TestTheShareOfANamespaceIsTold(t *testing.T) {
	w := newWorld(t)
	w.interpose = func(o *imageverification.Options) { o.MaxConcurrent, o.Reserve = 2, 1 }
	w.restart()
	w.reconciler.TriggerHandler().OnAdd(w.trigger, true)
	other := w.trigger.DeepCopy()
	other.Namespace, other.UID = "other", "other"
	w.reconciler.TriggerHandler().OnAdd(other, true)
	w.busy()
	key := w.pushDigest("v1", numbered("11"), pushed.Add(time.Second))
	w.work(key, time.Millisecond)
	w.pass(10 * time.Second)
	w.work(key, time.Millisecond)
	if e := w.entry(key); e.Status.Reason != "Queued" || !strings.Contains(e.Status.Message, "all 1 runs that one namespace may have") {
		t.Errorf("entry is %s/%s: %s", e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
	again := other.DeepCopy() // deleted and made again, which a relist shows as one change
	again.UID = "again"
	w.reconciler.TriggerHandler().OnUpdate(other, again)
	w.reconciler.TriggerHandler().OnDelete(other)
	w.work(key, time.Millisecond)
	if e := w.entry(key); e.Status.Reason != "Queued" {
		t.Errorf("entry is %s/%s though the other namespace has a trigger", e.Status.Phase, e.Status.Reason)
	}
	w.reconciler.TriggerHandler().OnDelete(again)
	w.work(key, time.Millisecond)
	if e := w.entry(key); e.Status.Phase != v1alpha1.PhaseRunning {
		t.Errorf("entry is %s/%s: %s; no other namespace has a trigger", e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
}

// Property: a run that takes longer than the operator's limit says so, and gives its slot to what
// waits; it goes on to its verdict.
func TestARunThatTakesTooLongGivesItsSlotBack(t *testing.T) {
	w := newWorld(t, func(tr *v1alpha1.ImageTrigger) { tr.Spec.Sandbox.RuntimeClassName = "" })
	reader := sdkmetric.NewManualReader()
	w.meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")
	w.interpose = func(o *imageverification.Options) { o.MaxConcurrent, o.LongestRun = 1, 2*time.Hour }
	w.restart()
	busy := w.busy()
	w.begins(w.runName(busy, 1))
	w.work(busy, time.Second)
	key := w.pushDigest("v1", numbered("11"), pushed.Add(time.Second))
	w.work(key, time.Millisecond)
	w.pass(2 * time.Hour)
	w.queue.take()
	w.work(busy, time.Millisecond)
	if e := w.entry(busy); e.Status.Phase != v1alpha1.PhaseRunning || !strings.Contains(e.Status.Message, "more than 2h0m0s ago") {
		t.Errorf("the slow entry is %s: %s", e.Status.Phase, e.Status.Message)
	}
	if want := "revet_runs_overdue{namespace=demo,trigger=all} 1"; !slices.Contains(measured(t, reader), want) {
		t.Errorf("there is no %s", want)
	}
	woken := w.queue.take()
	if !slices.Contains(woken, key) {
		t.Fatalf("woken: %v, want who waits", woken)
	}
	w.work(key, time.Second)
	if e := w.entry(key); e.Status.Phase != v1alpha1.PhaseRunning {
		t.Errorf("entry is %s/%s, want Running", e.Status.Phase, e.Status.Reason)
	}
	w.finish(w.runName(busy, 1), "pass", mustDigest(w.entry(busy).Spec.Digest), "kata")
	w.work(busy, time.Second)
	if e := w.entry(busy); e.Status.Phase != v1alpha1.PhasePassed {
		t.Errorf("the slow entry is %s/%s, want Passed", e.Status.Phase, e.Status.Reason)
	}
}

// Property: in a namespace where nothing works, the tenth run waits longer for its repetition.
func TestRunsThatFailAgainAndAgainAreRepeatedMoreRarely(t *testing.T) {
	w := newWorld(t)
	var waits []time.Duration
	for n := range 10 {
		key := w.pushDigest("v1", numbered(fmt.Sprint(10+n)), pushed.Add(time.Duration(n)*time.Second))
		w.work(key, time.Second)
		w.fail(w.runName(key, 1), "Failed")
		after, err := w.step(key)
		w.must(err)
		waits = append(waits, after)
		told := w.entry(key).ResourceVersion
		if _, err := w.step(key); err != nil || w.entry(key).ResourceVersion != told {
			t.Errorf("run %d: what is told of its repetition changes at once: %v", n, err)
		}
	}
	if waits[8] > 13*time.Second || waits[9] < 20*time.Second || waits[9] > 26*time.Second {
		t.Errorf("the repetitions come after %v, want the tenth to wait twice as long", waits)
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
