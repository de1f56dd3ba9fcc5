package imagetrigger

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/reconciler"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/pkg/selector"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/sweep"
	"github.com/revet-dev/revet/pkg/tekton"
)

// fakeCluster answers all that a pass asks.
type fakeCluster struct {
	resolved   atomic.Int32 // how many sinks were looked at
	sinkErr    error
	report     tekton.Report
	checkErr   error
	noClass    bool
	noAccount  bool
	denied     map[string]bool
	namespaces map[string]map[string]string
	trouble    string
	// gets counts the questions what an account may get.
	gets int
	// pulls are the rights to pull, as "account namespace/stream".
	pulls      map[string]bool
	pullErr    error
	pullsAsked []string
}

func (f *fakeCluster) Trouble(context.Context, types.UID) (reason, message string, err error) {
	return f.trouble, "run app-1: nothing came of it", nil
}

func (f *fakeCluster) Resolve(context.Context, string, v1alpha1.Sink) (*url.URL, error) {
	f.resolved.Add(1)
	return &url.URL{Scheme: "http", Host: "el-scan.team-a.svc:8080"}, f.sinkErr
}

func (f *fakeCluster) Check(context.Context, *v1alpha1.ImageTrigger) (tekton.Report, error) {
	return f.report, f.checkErr
}

func (f *fakeCluster) RuntimeClassSince(context.Context, string) (time.Time, bool, error) {
	return time.Time{}, !f.noClass, nil
}

func (f *fakeCluster) HasServiceAccount(context.Context, source.Account) (bool, error) {
	return !f.noAccount, nil
}

func (f *fakeCluster) MayCreateRuns(_ context.Context, a source.Account, _ string) (bool, error) {
	return !f.denied["runs "+a.Name], nil
}

func (f *fakeCluster) MayGet(_ context.Context, _ source.Account, namespace, name string) (bool, error) {
	f.gets++
	return !f.denied[namespace+"/"+name], nil
}

func (f *fakeCluster) MayPull(_ context.Context, a source.Account, namespace, name string) (bool, error) {
	f.pullsAsked = append(f.pullsAsked, a.Name+" "+namespace+"/"+name)
	return f.pulls[a.Name+" "+namespace+"/"+name], f.pullErr
}

func (f *fakeCluster) Namespaces(context.Context) (map[string]map[string]string, error) {
	return f.namespaces, nil
}

// fakeSweeps remembers what was asked.
type fakeSweeps struct {
	asked  []*v1alpha1.ImageTrigger
	latest *sweep.Result
	busy   bool
	forgot []types.UID
}

func (f *fakeSweeps) Request(t *v1alpha1.ImageTrigger)       { f.asked = append(f.asked, t) }
func (f *fakeSweeps) Latest(types.UID) (*sweep.Result, bool) { return f.latest, f.busy }
func (f *fakeSweeps) Forget(uid types.UID)                   { f.forgot = append(f.forgot, uid) }

// clientKey is the trigger of testTrigger.
var clientKey = types.NamespacedName{Namespace: "team-a", Name: "all"}

type fakeQueue struct {
	mu   sync.Mutex
	keys []string
}

func (q *fakeQueue) EnqueueKeyAfter(key types.NamespacedName, after time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.keys = append(q.keys, key.String()+" after "+after.String())
}

func (q *fakeQueue) EnqueueKey(key types.NamespacedName) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.keys = append(q.keys, key.String())
}

type fixture struct {
	*Reconciler
	client  client.WithWatch
	cluster *fakeCluster
	sweeps  *fakeSweeps
	events  *record.FakeRecorder
	queue   *fakeQueue
	now     time.Time
	writes  int
}

func newFixture(t *testing.T, triggers ...client.Object) *fixture {
	t.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{
		cluster: &fakeCluster{report: tekton.Report{Checked: true}, denied: map[string]bool{}},
		sweeps:  &fakeSweeps{}, events: record.NewFakeRecorder(32), queue: &fakeQueue{}, now: noon,
	}
	base := fake.NewClientBuilder().WithScheme(scheme).WithObjects(triggers...).WithStatusSubresource(&v1alpha1.ImageTrigger{}).Build()
	f.client = interceptor.NewClient(base, interceptor.Funcs{
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			f.writes++
			return c.SubResource(sub).Update(ctx, o, opts...)
		},
	})
	f.Reconciler, err = New(Options{
		Cached: f.client, Live: f.client, Sinks: f.cluster, Streams: f.cluster, Sweeps: f.sweeps, Runs: f.cluster, Enqueue: f.queue.EnqueueKey, EnqueueAfter: f.queue.EnqueueKeyAfter,
		Recorder: f.events, Log: zap.NewNop(), Now: func() time.Time { return f.now }, Jitter: func() float64 { return 0 },
		Intervals: DefaultIntervals(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Promote(reconciler.UniversalBucket(), func(reconciler.Bucket, types.NamespacedName) {}); err != nil {
		t.Fatal(err)
	}
	return f
}

// reconcile does a pass and returns the trigger, and when the next pass is.
func (f *fixture) reconcile(t *testing.T) (*v1alpha1.ImageTrigger, time.Duration) {
	t.Helper()
	err := f.Reconcile(t.Context(), "team-a/all")
	again, after := controller.IsRequeueKey(err)
	if err != nil && !again {
		t.Fatal(err)
	}
	var got v1alpha1.ImageTrigger
	if err := f.client.Get(t.Context(), clientKey, &got); err != nil {
		t.Fatal(err)
	}
	return &got, after
}

func (f *fixture) reported() []string {
	var all []string
	for {
		select {
		case e := <-f.events.Events:
			all = append(all, e)
		default:
			return all
		}
	}
}

func TestPassWritesTheStatusOnceAndTellsTransitions(t *testing.T) {
	f := newFixture(t, testTrigger())
	got, after := f.reconcile(t)
	if !got.IsReady() || got.Status.SinkURI != "http://el-scan.team-a.svc:8080" || !got.Status.Confirmable {
		t.Errorf("status %+v", got.Status)
	}
	if after != 2*time.Minute {
		t.Errorf("looks again after %v", after)
	}
	if diff := cmp.Diff([]string{"Normal Ready pushes are verified"}, f.reported()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	f.now = f.now.Add(time.Minute)
	f.reconcile(t)
	if f.writes != 1 {
		t.Errorf("%d writes of one status", f.writes)
	}

	f.cluster.report.Findings = []tekton.Finding{{Reason: tekton.GenerateName, Message: "write metadata.name", Refuses: true}}
	got, after = f.reconcile(t)
	if got.IsReady() || after != 2*time.Second || f.writes != 2 {
		t.Errorf("ready %v, again after %v, %d writes", got.IsReady(), after, f.writes)
	}
	f.reconcile(t)
	if diff := cmp.Diff([]string{"Warning GenerateName write metadata.name"}, f.reported()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// Recording must not depend on the sink, nor on an API server that answers.
func TestSweepIsAskedForWhateverTheSinkIs(t *testing.T) {
	f := newFixture(t, testTrigger())
	f.cluster.sinkErr = errors.New("connection refused")
	if err := f.Reconcile(t.Context(), "team-a/all"); err == nil {
		t.Error("an API server that does not answer is no error")
	}
	if len(f.sweeps.asked) != 1 {
		t.Errorf("%d sweeps asked for, want 1", len(f.sweeps.asked))
	}
	if f.writes != 0 {
		t.Error("a condition changed although the API server did not answer")
	}
}

func TestSelectorThatDoesNotCompileIsNotSwept(t *testing.T) {
	trigger := testTrigger()
	trigger.Spec.Images[0].Tags.Include = []string{"a/b"}
	trigger.Spec.Filter = "image.nonsense"
	f := newFixture(t, trigger)
	got, _ := f.reconcile(t)
	c := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Reason != ReasonSelectorInvalid || !strings.Contains(c.Message, "spec.images[0].tags.include[0]") {
		t.Errorf("Ready %+v", c)
	}
	if len(f.sweeps.asked) != 0 {
		t.Error("swept")
	}
}

// In a namespace with very many triggers nobody looks through all of them for each of them.
func TestManyTriggersAreNotLookedThroughForEach(t *testing.T) {
	trigger := testTrigger()
	objects := []client.Object{trigger}
	for n := range manyTriggers {
		older := testTrigger()
		older.Name, older.UID = fmt.Sprintf("older-%d", n), types.UID(fmt.Sprintf("older-%d", n))
		older.CreationTimestamp = metav1.NewTime(trigger.CreationTimestamp.Add(-time.Hour))
		objects = append(objects, older)
	}
	f, lists := newFixture(t, objects...), 0
	f.Cached = interceptor.NewClient(f.client, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			lists++
			return c.List(ctx, list, opts...)
		},
	})
	for range 3 {
		if got, _ := f.reconcile(t); got.IsReady() {
			t.Error("it counts")
		}
	}
	if lists != 1 {
		t.Errorf("listed %d times, want once", lists)
	}
	f.now = f.now.Add(rememberedFor)
	if f.reconcile(t); lists != 2 {
		t.Errorf("listed %d times after a while, want once more", lists)
	}
}

// A trigger beyond those of its namespace that count says so and how to cure it, and is not
// swept. Once an older one is gone it counts.
func TestATriggerTooManyIsTold(t *testing.T) {
	trigger := testTrigger()
	f := newFixture(t, trigger)
	for n := range selector.MaxTriggers {
		older := testTrigger()
		older.Name, older.UID = fmt.Sprintf("older-%d", n), types.UID(fmt.Sprintf("older-%d", n))
		older.CreationTimestamp = metav1.NewTime(trigger.CreationTimestamp.Add(-time.Hour))
		if err := f.client.Create(t.Context(), older); err != nil {
			t.Fatal(err)
		}
	}
	f.cluster.checkErr = errors.New("the sink of one that does not count was asked for")
	got, after := f.reconcile(t)
	if after != f.Intervals.NotReady {
		t.Errorf("looked at again after %s, want %s", after, f.Intervals.NotReady)
	}
	f.cluster.checkErr = nil
	c := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Reason != ReasonTooManyTriggers || !strings.Contains(c.Message, "delete others") {
		t.Errorf("Ready %+v", c)
	}
	if len(f.sweeps.asked) != 0 {
		t.Error("swept")
	}
	if f.cluster.resolved.Load() != 0 {
		t.Error("its sink was looked at: a namespace may have any number of such triggers")
	}
	older := testTrigger()
	older.Name = "older-7"
	if err := f.client.Delete(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	if got, _ := f.reconcile(t); !got.IsReady() {
		t.Errorf("conditions %+v, want Ready once an older one is gone", got.Status.Conditions)
	}
}

// Property: of an account that does not exist nobody is asked what it sees, in however many namespaces.
func TestNobodyIsAskedAboutAnAccountThatDoesNotExist(t *testing.T) {
	trigger := testTrigger()
	trigger.Spec.Images[0].ImageStreams.NamespaceSelector = &metav1.LabelSelector{}
	f := newFixture(t, trigger)
	f.cluster.namespaces = map[string]map[string]string{"team-a": {}, "team-b": {}, "team-c": {}}
	if f.reconcile(t); f.cluster.gets == 0 {
		t.Fatal("nobody was asked about an account that exists; the test proves nothing")
	}
	f.cluster.gets, f.cluster.noAccount = 0, true
	got, _ := f.reconcile(t)
	if c := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionReady); c.Reason != ReasonServiceAccountNotFound || f.cluster.gets != 0 {
		t.Errorf("%s after %d questions, want %s after none", c.Reason, f.cluster.gets, ReasonServiceAccountNotFound)
	}
}

func TestBadFilterIsToldAndSwept(t *testing.T) {
	trigger := testTrigger()
	trigger.Spec.Filter = "image.nonsense == 1"
	f := newFixture(t, trigger)
	got, _ := f.reconcile(t)
	c := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Reason != ReasonFilterInvalid || !strings.Contains(c.Message, "nonsense") {
		t.Errorf("Ready %+v", c)
	}
	if len(f.sweeps.asked) != 1 {
		t.Error("not swept: its pushes would not wait in the ledger")
	}
}

func TestSweepsAreAskedForWhenDue(t *testing.T) {
	result := func(change func(*sweep.Result)) *sweep.Result {
		r := &sweep.Result{Generation: 3, StartedAt: noon, FinishedAt: noon}
		change(r)
		return r
	}
	for _, test := range []struct {
		name   string
		latest *sweep.Result
		busy   bool
		after  time.Duration
		want   bool
		next   time.Duration
	}{
		{"none yet", nil, false, 0, true, 2 * time.Minute},
		{"none yet, one under way", nil, true, 0, false, 2 * time.Minute},
		{"a fresh one", result(func(*sweep.Result) {}), false, 9 * time.Minute, false, time.Minute},
		{"an old one", result(func(*sweep.Result) {}), false, 10 * time.Minute, true, time.Second},
		{"an old one, another under way", result(func(*sweep.Result) {}), true, 10 * time.Minute, false, time.Second},
		{"one of an older spec", result(func(r *sweep.Result) { r.Generation = 2 }), false, 0, true, 2 * time.Minute},
		{"one that failed, just now", result(func(r *sweep.Result) { r.Reason, r.Retry = "ReadFailed", true }), false, 10 * time.Second, false, 20 * time.Second},
		{"one that failed again and again", result(func(r *sweep.Result) { r.Reason, r.Retry, r.Retries = "ReadFailed", true, 2 }), false, 90 * time.Second, false, 30 * time.Second},
		{"one that has failed for days", result(func(r *sweep.Result) { r.Reason, r.Retry, r.Retries = "ReadFailed", true, 1000 }), false, 10 * time.Minute, true, time.Second},
		{"one that failed, a while ago", result(func(r *sweep.Result) { r.Reason, r.Retry = "ReadFailed", true }), false, 30 * time.Second, true, time.Second},
		{"one that a registry put off", result(func(r *sweep.Result) { r.Retry, r.NotBefore = true, noon.Add(time.Minute) }), false, 45 * time.Second, false, 15 * time.Second},
		{"one that a registry put off for longer than streams can wait", result(func(r *sweep.Result) { r.Retry, r.NotBefore = true, noon.Add(time.Hour) }), false, 10 * time.Minute, true, time.Second},
		{"one that somebody has to cure", result(func(r *sweep.Result) { r.Reason = "RegistryNotSwept" }), false, 30 * time.Second, false, 2 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, testTrigger())
			f.sweeps.latest, f.sweeps.busy, f.now = test.latest, test.busy, noon.Add(test.after)
			_, next := f.reconcile(t)
			if asked := len(f.sweeps.asked) == 1; asked != test.want {
				t.Errorf("asked for a sweep: %v, want %v", asked, test.want)
			}
			if next != test.next {
				t.Errorf("looks again after %v, want %v", next, test.next)
			}
		})
	}
}

func TestSweepIsWrittenAndItsRecoveriesAreTold(t *testing.T) {
	f := newFixture(t, testTrigger())
	f.sweeps.latest = &sweep.Result{Generation: 3, StartedAt: noon, FinishedAt: noon.Add(2 * time.Second), Repositories: 4, Recovered: 2, Pushes: 9, Gap: 1, Artefacts: 5, Unknown: []v1alpha1.Unknown{{Reason: "TimedOut", Count: 2, Message: "no answer", Cure: "wait"}}, Baselines: []string{"registry.example.com/a"}}
	got, _ := f.reconcile(t)
	want := &v1alpha1.SweepStatus{StartedAt: metav1.NewTime(noon), FinishedAt: metav1.NewTime(noon.Add(2 * time.Second)), Repositories: 4, Recovered: 2, Pushes: 9, Gap: 1, Artefacts: 5,
		Coverage: v1alpha1.CoverageGap, Unknown: []v1alpha1.Unknown{{Reason: "TimedOut", Count: 2, Message: "no answer", Cure: "wait"}}}
	if diff := cmp.Diff(want, got.Status.LastSweep); diff != "" {
		t.Errorf("lastSweep (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"registry.example.com/a"}, got.Status.Baselines); diff != "" {
		t.Errorf("baselines (-want +got):\n%s", diff)
	}
	f.reconcile(t)
	if told := strings.Join(f.reported(), "\n"); strings.Count(told, "PushesRecovered") != 1 || !strings.Contains(told, "2 pushes") {
		t.Errorf("events %q", told)
	}
}

// After a gap a trigger is swept at once; one during a sweep is for the next.
func TestSweepAllSweepsAtOnce(t *testing.T) {
	f := newFixture(t, testTrigger())
	f.sweeps.latest = &sweep.Result{Generation: 3, StartedAt: noon, FinishedAt: noon}
	f.reconcile(t)
	if n := len(f.sweeps.asked); n != 0 {
		t.Fatalf("%d sweeps before the gap", n)
	}
	f.sweeps.busy = true
	f.SweepAll()
	f.reconcile(t)
	if n := len(f.sweeps.asked); n != 0 {
		t.Errorf("%d sweeps were asked for beside the one under way", n)
	}
	f.sweeps.busy = false
	f.reconcile(t)
	f.reconcile(t)
	if n := len(f.sweeps.asked); n != 1 {
		t.Errorf("%d sweeps for one gap, want 1", n)
	}
}

// What the sweep before established holds for the next, written or not.
func TestNextSweepStartsFromTheBaselinesOfTheLast(t *testing.T) {
	f := newFixture(t, testTrigger())
	f.sweeps.latest = &sweep.Result{Generation: 2, FinishedAt: noon, Baselines: []string{"registry.example.com/a"}}
	f.reconcile(t)
	if diff := cmp.Diff([]string{"registry.example.com/a"}, f.sweeps.asked[0].Status.Baselines); diff != "" {
		t.Errorf("baselines (-want +got):\n%s", diff)
	}
}

func TestNamespacesThatTheAccountSees(t *testing.T) {
	all := map[string]map[string]string{"team-a": {"tier": "prod"}, "team-b": {"tier": "prod"}, "team-c": {"tier": "dev"}}
	prod := &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod"}}
	for _, test := range []struct {
		name    string
		streams v1alpha1.ImageStreamSelector
		denied  []string
		want    rights
	}{
		{"the own namespace", v1alpha1.ImageStreamSelector{}, nil, rights{selected: 1, visible: 1}},
		{"the own namespace, which is closed", v1alpha1.ImageStreamSelector{}, []string{"team-a/"}, rights{selected: 1, hidden: []string{"team-a"}}},
		{"a stream by name in a closed namespace", v1alpha1.ImageStreamSelector{Names: []string{"web-*", "app"}}, []string{"team-a/"}, rights{selected: 1, visible: 1}},
		{"every namespace is open", v1alpha1.ImageStreamSelector{NamespaceSelector: prod}, nil, rights{everywhere: true}},
		{"selected namespaces, one closed", v1alpha1.ImageStreamSelector{NamespaceSelector: prod}, []string{"/", "team-b/"}, rights{selected: 2, visible: 1, hidden: []string{"team-b"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			trigger := testTrigger()
			trigger.Spec.Images[0].ImageStreams = &test.streams
			f := newFixture(t, trigger)
			f.cluster.namespaces = all
			for _, d := range test.denied {
				f.cluster.denied[d] = true
			}
			seen := compile(trigger)
			got, err := f.observeRights(t.Context(), trigger, &seen)
			if err != nil {
				t.Fatal(err)
			}
			test.want.account, test.want.streams = source.Account{Namespace: "team-a", Name: "default"}, true
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(rights{})); diff != "" {
				t.Errorf("rights (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConflictIsTriedAgainSoon(t *testing.T) {
	f := newFixture(t, testTrigger())
	f.Live = interceptor.NewClient(f.client, interceptor.Funcs{
		SubResourceUpdate: func(context.Context, client.Client, string, client.Object, ...client.SubResourceUpdateOption) error {
			return apierrors.NewConflict(schema.GroupResource{Resource: "imagetriggers"}, "all", errors.New("changed"))
		},
	})
	again, after := controller.IsRequeueKey(f.Reconcile(t.Context(), "team-a/all"))
	if !again || after != conflictRetry {
		t.Errorf("again %v after %v", again, after)
	}
	if told := f.reported(); len(told) > 0 {
		t.Errorf("told %q of a status that was not written", told)
	}
}

func TestTriggerThatIsGoneIsForgotten(t *testing.T) {
	f := newFixture(t, testTrigger())
	f.reconcile(t)
	if err := f.client.Delete(t.Context(), testTrigger()); err != nil {
		t.Fatal(err)
	}
	if err := f.Reconcile(t.Context(), "team-a/all"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]types.UID{"trigger"}, f.sweeps.forgot); diff != "" {
		t.Errorf("forgotten (-want +got):\n%s", diff)
	}
}

// A new leader sweeps everything anew.
func TestPromotionForgetsAndQueuesAll(t *testing.T) {
	other := testTrigger()
	other.Name, other.Namespace, other.UID = "other", "team-b", "other"
	f := newFixture(t, testTrigger(), other)
	f.reconcile(t)
	var queued []string
	err := f.Promote(reconciler.UniversalBucket(), func(_ reconciler.Bucket, key types.NamespacedName) { queued = append(queued, key.String()) })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"team-a/all", "team-b/other"}, queued); diff != "" {
		t.Errorf("queued (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]types.UID{"trigger"}, f.sweeps.forgot); diff != "" {
		t.Errorf("forgotten (-want +got):\n%s", diff)
	}
}

func TestOnlyALeaderWrites(t *testing.T) {
	f := newFixture(t, testTrigger())
	f.Demote(reconciler.UniversalBucket())
	if err := f.Reconcile(t.Context(), "team-a/all"); !controller.IsSkipKey(err) {
		t.Errorf("error %v, want that the key is skipped", err)
	}
	if f.writes != 0 || len(f.sweeps.asked) != 0 {
		t.Error("it wrote or swept")
	}
}

func TestHandlersQueueWhatIsConcerned(t *testing.T) {
	other := testTrigger()
	other.Name, other.Namespace, other.UID = "other", "team-b", "other"
	listener := func(version string) *metav1.PartialObjectMetadata {
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "team-b", Name: "scan", ResourceVersion: version}}
	}
	newer := testTrigger()
	newer.Generation = 4
	status := testTrigger()
	status.Status.SinkURI = "x"
	for _, test := range []struct {
		name string
		do   func(*Reconciler)
		want []string
	}{
		{"a listener is made", func(r *Reconciler) { r.DependencyHandler().OnAdd(listener("1"), false) }, []string{"team-b/other"}},
		{"a listener changes", func(r *Reconciler) { r.DependencyHandler().OnUpdate(listener("1"), listener("2")) }, []string{"team-b/other"}},
		{"a listener is listed again", func(r *Reconciler) { r.DependencyHandler().OnUpdate(listener("1"), listener("1")) }, nil},
		{"a listener is gone", func(r *Reconciler) {
			r.DependencyHandler().OnDelete(cache.DeletedFinalStateUnknown{Obj: listener("1")})
		}, []string{"team-b/other"}},
		{"a RuntimeClass is made", func(r *Reconciler) {
			r.DependencyHandler().OnAdd(&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "kata"}}, false)
		}, []string{"team-a/all", "team-b/other"}},
		{"a trigger is made", func(r *Reconciler) { r.TriggerHandler().OnAdd(testTrigger(), false) }, []string{"team-a/all"}},
		{"a trigger's spec changes", func(r *Reconciler) { r.TriggerHandler().OnUpdate(testTrigger(), newer) }, []string{"team-a/all"}},
		{"a trigger's status changes", func(r *Reconciler) { r.TriggerHandler().OnUpdate(testTrigger(), status) }, nil},
		{"a trigger is gone", func(r *Reconciler) { r.TriggerHandler().OnDelete(testTrigger()) }, []string{"team-a/all"}},
		{"something else", func(r *Reconciler) { r.TriggerHandler().OnAdd(&corev1.Namespace{}, false) }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, testTrigger(), other)
			test.do(f.Reconciler)
			if diff := cmp.Diff(test.want, f.queue.keys); diff != "" {
				t.Errorf("queued (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWarningsAreToldOnce(t *testing.T) {
	f := newFixture(t, testTrigger())
	f.cluster.report.Findings = []tekton.Finding{{Reason: tekton.InterceptorsNotChecked, Message: strings.Repeat("long ", 500)}}
	f.reconcile(t)
	f.reconcile(t)
	var warnings []string
	for _, e := range f.reported() {
		if strings.HasPrefix(e, "Warning SinkWarning InterceptorsNotChecked") {
			warnings = append(warnings, e)
		}
	}
	if len(warnings) != 1 || len(warnings[0]) > maxMessage+len("Warning SinkWarning ") {
		t.Errorf("%d warnings", len(warnings))
	}
}

func TestOptionsAreChecked(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("no options are accepted")
	}
	o := newFixture(t).Options
	o.Intervals.Sweep = 0
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), "Sweep") {
		t.Errorf("error %v, want one that names Sweep", err)
	}
}

// Property: a trigger in trouble is looked at soon, and the longer that lasts the
// more rarely: what cures it may be nothing that is watched.
func TestTroubleIsLookedAtSoonAndThenMoreRarely(t *testing.T) {
	for name, change := range map[string]func(*fakeCluster){
		"not ready": func(c *fakeCluster) {
			c.report.Runners = []source.Account{{Namespace: "team-a", Name: "el"}}
			c.denied["runs el"] = true
		},
		"unconfirmed": func(c *fakeCluster) { c.trouble = "Unconfirmed" },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, testTrigger())
			f.reconcile(t)
			change(f.cluster)
			var got []time.Duration
			for _, passed := range []time.Duration{0, 2 * time.Second, 10 * time.Second, 10 * time.Minute} {
				f.now = f.now.Add(passed)
				_, after := f.reconcile(t)
				got = append(got, after)
			}
			want := []time.Duration{2 * time.Second, 2 * time.Second, 6 * time.Second, 30 * time.Second}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("looked at again after (-want +got):\n%s", diff)
			}
		})
	}
}

func TestThatRunsDoNotAppearIsToldOnce(t *testing.T) {
	f := newFixture(t, testTrigger())
	f.reconcile(t)
	f.reported()
	f.cluster.trouble = "Unconfirmed"
	f.reconcile(t)
	f.reconcile(t)
	f.cluster.trouble = ""
	f.reconcile(t)
	if diff := cmp.Diff([]string{"Warning Unconfirmed run app-1: nothing came of it", "Normal Confirmed runs appear again"}, f.reported()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// A run that was requested and does not appear has its trigger looked at, whoever
// requested it, at most every five seconds; so has one that appears after all, and
// one that cannot start in its RuntimeClass.
func TestARunThatIsAwaitedHasItsTriggerLookedAt(t *testing.T) {
	f := newFixture(t, testTrigger())
	f.reconcile(t)
	awaited := &v1alpha1.ImageVerification{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "app-1"}}
	awaited.Spec.Trigger = v1alpha1.TriggerReference{Name: "all", UID: "trigger"}
	awaited.Status.Runs = []v1alpha1.RunStatus{{Name: "run", Attempts: 1}}
	running, foreign, recorded := awaited.DeepCopy(), awaited.DeepCopy(), awaited.DeepCopy()
	running.Status.Runs[0].ConfirmedAt = &metav1.MicroTime{Time: f.now}
	foreign.Spec.Trigger.UID = "another"
	recorded.Status.Runs[0].Attempts = 0
	handler := f.EntryHandler()
	handler.OnAdd(recorded, false)
	handler.OnAdd(running, false)
	handler.OnAdd(foreign, false)
	handler.OnAdd(testTrigger(), false)
	handler.OnAdd(awaited, false)
	handler.OnUpdate(recorded, awaited)
	f.now = f.now.Add(time.Second)
	handler.OnUpdate(awaited, running)
	f.now = f.now.Add(time.Minute)
	handler.OnUpdate(awaited, running)
	f.now = f.now.Add(time.Minute)
	stranded := running.DeepCopy()
	stranded.Status.Runs[0].Outcome, stranded.Status.Runs[0].Reason = v1alpha1.OutcomeError, "SandboxUnavailable"
	handler.OnUpdate(running, stranded)
	want := []string{"team-a/all after 2s", "team-a/all after 6s", "team-a/all after 2s", "team-a/all after 2s"}
	if diff := cmp.Diff(want, f.queue.keys); diff != "" {
		t.Errorf("queued (-want +got):\n%s", diff)
	}
}
