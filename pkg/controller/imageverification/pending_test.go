package imageverification_test

import (
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imageverification"
	"github.com/revet-dev/revet/pkg/image"
)

func TestPushesThatNeedNoRun(t *testing.T) {
	for _, test := range []struct {
		name   string
		filter string
		facts  func(*stubFacts)
		want   story
	}{
		{"what cannot run is Skipped", "", func(f *stubFacts) {
			f.image.Content = image.Content{Kind: image.ContentImage, OtherConfig: true}
		},
			story{v1alpha1.PhaseSkipped, "NotAnImage", map[string]int32{"v1": -1}, nil}},
		{"what the filter refuses is Skipped", "image.labels['tier'] == 'prod'", func(*stubFacts) {},
			story{v1alpha1.PhaseSkipped, "FilteredOut", map[string]int32{"v1": -1}, nil}},
		{"a filter that cannot be evaluated is an Error", "image.tags[7] == 'x'", func(*stubFacts) {},
			story{v1alpha1.PhaseError, "FilterFailed", map[string]int32{"v1": -1}, nil}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, func(tr *v1alpha1.ImageTrigger) { tr.Spec.Filter = test.filter })
			test.facts(w.facts)
			key := w.push("v1", pushed)
			w.work(key, time.Minute)
			w.wantStory(key, test.want)
			if got := w.listener.asked(); len(got) != 0 {
				t.Errorf("requests %v, want none", got)
			}
		})
	}
}

// What somebody wrote of an image, and what nobody can read, keeps no push from its run;
// it may be a lie that hides an image from a filter, or that it is one.
func TestWhatIsNotProvenIsRun(t *testing.T) {
	artefact := image.Content{Kind: image.ContentImage, OtherConfig: true}
	for _, test := range []struct {
		name   string
		filter string
		facts  func(*stubFacts)
		after  time.Duration
	}{
		{"labels that somebody wrote", "image.labels['tier'] == 'prod'", func(f *stubFacts) { f.image.Recomputed = false }, time.Second},
		{"a size that somebody wrote", "image.size > 1", func(f *stubFacts) { f.image.Recomputed = false }, time.Second},
		{"content that was not recomputed", "", func(f *stubFacts) { f.image.Content, f.image.Recomputed = artefact, false }, time.Second},
		{"a filter without facts", "image.size > 1", func(f *stubFacts) { f.err = imageverification.ErrNoFacts }, time.Second},
		{"a filter, and a registry that does not answer for long", "image.size > 1", func(f *stubFacts) { f.err = errors.New("connection refused") }, 3 * time.Minute},
		{"no filter, and a registry that does not answer for long", "", func(f *stubFacts) { f.err = errors.New("connection refused") }, 3 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, func(tr *v1alpha1.ImageTrigger) { tr.Spec.Filter = test.filter })
			test.facts(w.facts)
			key := w.push("v1", pushed)
			w.work(key, test.after)
			w.wantStory(key, story{v1alpha1.PhaseRunning, "Running", map[string]int32{"v1": 1}, []chapter{{v1alpha1.CausePush, 1, "", ""}}})
		})
	}
}

func TestFactsThatNobodyHasDoNotKeepAPushFromItsRun(t *testing.T) {
	w := newWorld(t)
	w.facts.err = imageverification.ErrNoFacts
	key := w.push("v1", pushed)
	w.work(key, time.Second)
	w.wantStory(key, story{v1alpha1.PhaseRunning, "Running", map[string]int32{"v1": 1}, []chapter{{v1alpha1.CausePush, 1, "", ""}}})
}

func TestFactsThatCannotBeReadYetAreReadAgain(t *testing.T) {
	w := newWorld(t)
	w.facts.err = errors.New("the registry does not answer")
	key := w.push("v1", pushed)
	w.work(key, 3*time.Second)
	w.wantStory(key, story{v1alpha1.PhasePending, "FactsUnreadable", map[string]int32{"v1": 0}, nil})
	w.facts.err = nil
	w.work(key, time.Minute)
	if e := w.entry(key); e.Status.Phase != v1alpha1.PhaseRunning {
		t.Errorf("entry is %s/%s, want Running", e.Status.Phase, e.Status.Reason)
	}
}

func TestATriggerThatIsNotReadyKeepsItsPushesPendingAndSaysWhy(t *testing.T) {
	w := newWorld(t, func(tr *v1alpha1.ImageTrigger) {
		tr.MarkSinkUnresolved("SinkNotFound", `EventListener "scan-and-validate" does not exist`, pushed)
	})
	key := w.push("v1", pushed)
	w.work(key, time.Second)
	e := w.entry(key)
	if e.Status.Phase != v1alpha1.PhasePending || e.Status.Reason != "SinkNotFound" || e.Status.Message != `EventListener "scan-and-validate" does not exist` {
		t.Errorf("entry is %s/%s: %s", e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
	w.trigger.MarkSinkResolved(w.listener.server.URL, w.clock())
	w.must(w.client.Status().Update(t.Context(), w.trigger))
	w.work(key, time.Second)
	if e := w.entry(key); e.Status.Phase != v1alpha1.PhaseRunning {
		t.Errorf("entry is %s/%s, want Running", e.Status.Phase, e.Status.Reason)
	}
}

func TestADeletedTriggerEndsItsPendingPushes(t *testing.T) {
	w := newWorld(t)
	key := w.push("v1", pushed)
	w.must(w.client.Delete(t.Context(), w.trigger))
	w.work(key, time.Second)
	w.wantStory(key, story{v1alpha1.PhaseSkipped, "TriggerDeleted", map[string]int32{"v1": -1}, nil})
}

func TestARunThatAnEarlierProcessFiredIsFollowedEvenIfItsTriggerIsGone(t *testing.T) {
	w := newWorld(t)
	key := w.push("v1", pushed)
	w.must(w.client.Create(t.Context(), templated(w.runName(key, 1), string(w.entry(key).UID), digest.String())))
	w.must(w.client.Delete(t.Context(), w.trigger))
	w.work(key, time.Second)
	w.finish(w.runName(key, 1), "fail", digest, "kata")
	w.work(key, time.Second)
	w.wantStory(key, story{v1alpha1.PhaseFailed, "Failed", map[string]int32{"v1": 1}, []chapter{{v1alpha1.CausePush, 0, v1alpha1.OutcomeFail, "Failed"}}})
}

func TestWhatWasThereBeforeTheTriggerIsSkipped(t *testing.T) {
	w := newWorld(t)
	key := w.push("v1", pushed)
	e := w.entry(key)
	e.Spec.FirstPush.Source = v1alpha1.SourceExisting
	w.must(w.client.Update(t.Context(), e))
	w.work(key, time.Second)
	w.wantStory(key, story{v1alpha1.PhaseSkipped, "Existing", map[string]int32{"v1": -1}, nil})
}

func TestAManualRequestRunsOnceWhateverTheFilterSays(t *testing.T) {
	w := newWorld(t, func(tr *v1alpha1.ImageTrigger) { tr.Spec.Filter = "image.size > 100" })
	key := w.push("v1", pushed)
	w.work(key, time.Second)
	e := w.entry(key)
	e.Spec.Requests = []string{"please"}
	w.must(w.client.Update(t.Context(), e))
	w.work(key, time.Second)
	w.finish(w.runName(key, 1), "pass", digest, "kata")
	w.work(key, time.Second)
	w.wantStory(key, story{v1alpha1.PhasePassed, "Passed", map[string]int32{"v1": -1}, []chapter{{v1alpha1.CauseManual, 1, v1alpha1.OutcomePass, "Passed"}}})
}

func TestMaxConcurrentBoundsRunsOldestPushFirst(t *testing.T) {
	w := newWorld(t, func(tr *v1alpha1.ImageTrigger) { tr.Spec.MaxConcurrent = 2 })
	var keys []types.NamespacedName
	for i, hex := range []string{"00", "11", "22", "33", "44"} {
		d := mustDigest("sha256:" + hex + digest.Hex()[2:])
		keys = append(keys, w.pushDigest("v"+hex, d, pushed.Add(time.Duration(i)*time.Second)))
	}
	for _, k := range keys {
		w.work(k, 100*time.Millisecond)
	}
	if got := len(w.runs()); got != 2 {
		t.Fatalf("%d PipelineRuns, want 2", got)
	}
	w.queue.take()
	e := w.entry(keys[0])
	w.finish(w.runName(keys[0], 1), "pass", mustDigest(e.Spec.Digest), "kata")
	w.work(keys[0], time.Second)
	woken := w.queue.take()
	if len(woken) == 0 || woken[0] != keys[2] {
		t.Fatalf("woken %v, want the oldest that waits, %v", woken, keys[2])
	}
	// A younger one that asks first does not get the slot.
	w.work(keys[4], time.Millisecond)
	w.work(keys[2], time.Millisecond)
	w.work(keys[3], time.Millisecond)
	if got := len(w.runs()); got != 3 {
		t.Fatalf("%d PipelineRuns, want 3", got)
	}
	if e := w.entry(keys[2]); e.Status.RunCount != 1 {
		t.Errorf("the oldest that waited has no run")
	}
	w.pass(10 * time.Second)
	w.work(keys[3], time.Millisecond)
	if e := w.entry(keys[3]); e.Status.Phase != v1alpha1.PhasePending || e.Status.Reason != "Queued" {
		t.Errorf("the next one is %s/%s, want Pending/Queued", e.Status.Phase, e.Status.Reason)
	}
}

func TestEventsThatCannotBeSentAreSentLater(t *testing.T) {
	w := newWorld(t)
	w.emitted.err = errors.New("the broker does not answer")
	key := w.push("v1", pushed)
	w.work(key, 500*time.Millisecond)
	if e := w.entry(key); e.Status.Phase != v1alpha1.PhaseRunning || len(e.Status.Emitted) != 0 {
		t.Fatalf("entry is %s and told %v, want Running and nothing told", e.Status.Phase, e.Status.Emitted)
	}
	w.emitted.err = nil
	w.work(key, 5*time.Second)
	if e := w.entry(key); len(e.Status.Emitted) != 1 {
		t.Errorf("told %v, want the run", e.Status.Emitted)
	}
}

func TestAnEntryOfAnotherLeaderIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	key := w.push("v1", pushed)
	w.reconciler.Demote(universal{})
	if err := w.reconciler.Reconcile(t.Context(), key.String()); !controller.IsSkipKey(err) {
		t.Errorf("Reconcile = %v, want the key to be skipped", err)
	}
	if got := w.listener.asked(); len(got) != 0 {
		t.Errorf("requests %v, want none", got)
	}
}

type universal struct{}

func (universal) Name() string                  { return "" }
func (universal) Has(types.NamespacedName) bool { return true }

func TestAnEntryThatIsGoneIsForgotten(t *testing.T) {
	w := newWorld(t)
	key := w.push("v1", pushed)
	w.must(w.client.Delete(t.Context(), w.entry(key), client.GracePeriodSeconds(0)))
	if after, err := w.step(key); after != 0 || err != nil {
		t.Errorf("a pass over a deleted entry = %v, %v; want nothing to do", after, err)
	}
}
