package imageverification_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/reconciler"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imageverification"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// passed returns an entry that passed, and its key.
func (w *world) passed() *v1alpha1.ImageVerification {
	w.t.Helper()
	key := w.push("v1", pushed)
	w.work(key, time.Second)
	w.finish(w.runName(key, 1), "pass", digest, "kata")
	w.work(key, time.Second)
	return w.entry(key)
}

func trimmed(t *testing.T, e *v1alpha1.ImageVerification, pending func(*v1alpha1.ImageVerification) bool) *v1alpha1.ImageVerification {
	t.Helper()
	got, err := imageverification.Trim(pending)(e.DeepCopy())
	if err != nil {
		t.Fatal(err)
	}
	return got.(*v1alpha1.ImageVerification)
}

// Property: an entry of which the cache has a part needs nothing, whatever becomes of the trigger and
// of the cluster.
func TestOnlyEntriesThatNeedNothingAreTrimmed(t *testing.T) {
	now := pushed.Add(time.Hour)
	cut := 0
	for _, e := range states() {
		if !imageverification.Trimmed(trimmed(t, e, nil)) {
			continue
		}
		cut++
		for name, f := range facts(now) {
			if d := lifecycle.Next(e, f, now); d.Action != lifecycle.Idle || d.After != 0 {
				t.Errorf("%s: an entry that is trimmed needs %v after %s: %s", name, d.Action, d.After, cmp.Diff(nil, e.Status))
			}
		}
	}
	if cut == 0 {
		t.Error("nothing was trimmed")
	}
}

// states are entries in all states that differ for what is to be done next.
func states() []*v1alpha1.ImageVerification {
	var all []*v1alpha1.ImageVerification
	at := metav1.NewTime(pushed)
	ends := []lifecycle.Reason{"", lifecycle.Passed, lifecycle.RunFailed, lifecycle.Vanished, lifecycle.RunNameTaken, lifecycle.SandboxUnavailable}
	for _, phase := range []v1alpha1.Phase{"", v1alpha1.PhasePending, v1alpha1.PhaseRequested, v1alpha1.PhaseRunning,
		v1alpha1.PhasePassed, v1alpha1.PhaseFailed, v1alpha1.PhaseError, v1alpha1.PhaseSkipped} {
		for _, outcome := range []v1alpha1.Outcome{"", v1alpha1.OutcomePass, v1alpha1.OutcomeError} {
			for _, end := range ends {
				for n := range 8 {
					e := &v1alpha1.ImageVerification{}
					e.Spec.Digest, e.Spec.FirstPush = digest.String(), v1alpha1.PushRecord{Tag: "v1", PushedAt: at, Source: v1alpha1.SourceEvent}
					e.Status.Phase, e.Status.Reason = phase, string(end)
					e.Status.Tags = []v1alpha1.TagStatus{{PushRecord: e.Spec.FirstPush, Run: int32(n & 1)}}
					if end != "" {
						e.Status.RunCount = 1
						e.Status.Runs = []v1alpha1.RunStatus{{Number: 1, Name: "run", Outcome: outcome, Reason: string(end), FinishedAt: &at}}
					}
					if n&2 != 0 {
						e.Spec.Requests = []string{"again"}
					}
					if n&4 != 0 {
						e.Status.HandledRequests = []string{"again"}
					}
					all = append(all, e)
				}
			}
		}
	}
	return all
}

func facts(now time.Time) map[string]lifecycle.Facts {
	all := map[string]lifecycle.Facts{"nothing is known": {}}
	for _, gone := range []bool{false, true} {
		for _, lookup := range []lifecycle.Lookup{lifecycle.NotLooked, lifecycle.Absent, lifecycle.Found} {
			f := lifecycle.Facts{RecreatedFrom: "earlier", LongestRun: time.Minute}
			f.Trigger = lifecycle.Trigger{Gone: gone, Ready: !gone, ClassSince: now, Retries: 5, MaxConcurrent: 1}
			f.Run = lifecycle.RunObservation{Name: "run", Lookup: lookup}
			all[fmt.Sprintf("gone %v, %v", gone, lookup)] = f
		}
	}
	return all
}

func TestTrimKeepsWhatDecidesAndWhatIsIndexed(t *testing.T) {
	w := newWorld(t)
	e := w.passed()
	e.Labels, e.Annotations = map[string]string{"a": "b"}, map[string]string{"c": "d"}
	e.Spec.Image = &v1alpha1.ImageFacts{MediaType: "index", Labels: map[string]string{"a": "b"}, Children: []v1alpha1.ChildImage{{Digest: "claimed"}}}
	e.Status.Image = &v1alpha1.ImageFacts{MediaType: "index", Base: "debian", Children: []v1alpha1.ChildImage{{Digest: "child", Platform: "linux/amd64"}}}
	e.Status.MoreTags = &v1alpha1.MoreTags{Count: 1, Packed: []byte("packed"), Forgotten: 1}
	want := &v1alpha1.ImageVerification{
		TypeMeta: e.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{
			Namespace: e.Namespace, Name: e.Name, UID: e.UID, ResourceVersion: e.ResourceVersion,
			CreationTimestamp: e.CreationTimestamp, ManagedFields: []metav1.ManagedFieldsEntry{{Operation: "Trimmed"}},
		},
		Spec: *e.Spec.DeepCopy(),
	}
	want.Spec.Image = &v1alpha1.ImageFacts{MediaType: "index"}
	want.Status = v1alpha1.ImageVerificationStatus{
		Phase: e.Status.Phase, Reason: e.Status.Reason, Tags: e.Status.Tags, MoreTags: e.Status.MoreTags.DeepCopy(), RunCount: 1,
		Image:   &v1alpha1.ImageFacts{MediaType: "index", Children: []v1alpha1.ChildImage{{Digest: "child", Platform: "linux/amd64"}}},
		Verdict: e.Status.Verdict.DeepCopy(),
	}
	want.Status.Verdict.Run = ""
	once := trimmed(t, e, nil)
	if diff := cmp.Diff(want, once); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(want, trimmed(t, once, func(*v1alpha1.ImageVerification) bool { return true })); diff != "" { // informers transform some objects twice
		t.Errorf("trimmed again: -want +got:\n%s", diff)
	}
}

func TestEntriesWithEventsToSendStayWhole(t *testing.T) {
	e := newWorld(t).passed()
	if got := trimmed(t, e, func(*v1alpha1.ImageVerification) bool { return true }); imageverification.Trimmed(got) {
		t.Error("an entry with events to send was trimmed")
	}
}

// Property: what the cache lacks is never deleted from the ledger. Here the cache trims an entry that
// needs a run, which Trim does not.
func TestTrimmedEntriesAreReadBeforeTheyAreWritten(t *testing.T) {
	w := newWorld(t)
	w.interpose = func(o *imageverification.Options) {
		o.Cached = &informers{Reader: w.client, trim: func(obj any) (any, error) {
			if e, ok := obj.(*v1alpha1.ImageVerification); ok && len(e.Spec.Requests) > len(e.Status.HandledRequests) {
				return imageverification.ForceTrim(e), nil
			}
			return obj, nil
		}}
	}
	w.restart()
	before := w.passed()
	before.Spec.Requests = []string{"again"}
	w.must(w.client.Update(t.Context(), before))
	key := client.ObjectKeyFromObject(before)
	w.work(key, time.Second)
	after := w.entry(key)
	if len(after.Status.Runs) != 2 {
		t.Fatalf("the entry has the runs %+v, want two", after.Status.Runs)
	}
	if diff := cmp.Diff(before.Status.Runs[0], after.Status.Runs[0]); diff != "" {
		t.Errorf("the first run changed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before.Status.Verdict, after.Status.Verdict); diff != "" {
		t.Errorf("the verdict changed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before.Spec, after.Spec); diff != "" {
		t.Errorf("the spec changed (-want +got):\n%s", diff)
	}
}

func TestATrimmedEntryIsNotWritten(t *testing.T) {
	w := newWorld(t)
	e := w.passed()
	if err := w.reconciler.Write(t.Context(), imageverification.ForceTrim(e), func(s *v1alpha1.ImageVerificationStatus) { s.Message = "changed" }); err == nil {
		t.Error("it was written")
	}
	if diff := cmp.Diff(e, w.entry(client.ObjectKeyFromObject(e))); diff != "" {
		t.Errorf("it changed (-want +got):\n%s", diff)
	}
}

func TestATrimmedEntrySendsNoEvents(t *testing.T) {
	w := newWorld(t)
	e := w.passed()
	sent := len(w.emitted.sent)
	if err := w.reconciler.Idle(t.Context(), imageverification.ForceTrim(e), 0); err != nil {
		t.Fatal(err)
	}
	if n := len(w.emitted.sent); n != sent {
		t.Errorf("%d events were sent again", n-sent)
	}
}

func TestEntriesAtRestAreNotVisitedAtTheStart(t *testing.T) {
	w := newWorld(t)
	e := w.passed()
	w.queue.take()
	w.reconciler.EntryHandler().OnAdd(imageverification.ForceTrim(e), true)
	if keys := w.queue.take(); len(keys) != 0 {
		t.Errorf("%v were queued", keys)
	}
	w.reconciler.EntryHandler().OnAdd(e, true)
	if keys := w.queue.take(); len(keys) != 1 {
		t.Errorf("%v were queued, want the whole entry", keys)
	}
}

func TestEntriesAtRestAreNotVisitedByANewLeader(t *testing.T) {
	w := newWorld(t)
	w.passed()
	other := w.pushDigest("v2", numbered("cd"), pushed)
	var visited []types.NamespacedName
	w.must(w.reconciler.Promote(reconciler.UniversalBucket(), func(_ reconciler.Bucket, key types.NamespacedName) { visited = append(visited, key) }))
	if diff := cmp.Diff([]types.NamespacedName{other}, visited); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// staleRuns is a cache that still has a PipelineRun which the API server has not.
type staleRuns struct {
	client.Reader
	run *pipelinev1.PipelineRun
}

func (s *staleRuns) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if pr, ok := o.(*pipelinev1.PipelineRun); ok && s.run != nil && key.Name == s.run.Name {
		s.run.DeepCopyInto(pr)
		return nil
	}
	return s.Reader.Get(ctx, key, o, opts...)
}

func TestTheEndOfARunIsReadFromTheAPIServer(t *testing.T) {
	w := newWorld(t)
	cache := &staleRuns{}
	w.interpose = func(o *imageverification.Options) {
		cache.Reader = o.Cached
		o.Cached = cache
	}
	w.restart()
	key := w.push("v1", pushed)
	w.work(key, time.Second)
	name := w.runName(key, 1)
	w.finish(name, "pass", digest, "kata")
	stale := w.runs()[0]
	cache.run = &stale
	w.must(w.client.Delete(t.Context(), stale.DeepCopy()))
	if _, err := w.step(key); err != nil {
		t.Fatal(err)
	}
	if e := w.entry(key); e.Status.CurrentRun() == nil || e.Status.Verdict != nil {
		t.Errorf("a run that is gone was judged: %+v", e.Status.Runs)
	}
	cache.run = nil
	w.work(key, time.Minute)
	if runs := w.entry(key).Status.Runs; len(runs) != 2 || runs[1].Cause.Type != v1alpha1.CauseVanished {
		t.Errorf("the runs are %+v, want a second one because the first vanished", runs)
	}
}
