package sweep

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	imagev1 "github.com/openshift/api/image/v1"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

var noon = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

// env is a cluster with a ledger, and a sweeper over both.
type env struct {
	t        *testing.T
	client   client.WithWatch
	ledger   *ledger.Ledger
	sweeper  *Sweeper
	registry *fakeRegistry
	done     chan types.NamespacedName

	mu sync.Mutex
	// funcs are called by the client; tests set them before they sweep.
	funcs interceptor.Funcs
	// denied are the questions that are answered with no: "namespace/name".
	denied map[string]bool
	// unasked is why questions are not answered.
	unasked error
	// asked counts the questions.
	asked int
	// artefacts are digests that cannot run.
	artefacts map[image.Digest]bool
	// forged are digests whose Image objects hide that they run.
	forged map[image.Digest]bool
	// unreadable is a digest whose Image cannot be read.
	unreadable image.Digest
	// reads counts reads of Image objects.
	reads int
}

func newEnv(t *testing.T, objects ...client.Object) *env {
	t.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	w := &env{t: t, denied: map[string]bool{}, artefacts: map[image.Digest]bool{}, forged: map[image.Digest]bool{}, done: make(chan types.NamespacedName, 16),
		registry: &fakeRegistry{tags: map[string]map[string]image.Digest{}, refuse: map[string]error{}}}
	w.registry.artefact = func(d image.Digest) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.artefacts[d]
	}
	base := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.ImageVerification{}).Build()
	w.client = interceptor.NewClient(base, interceptor.Funcs{Create: w.create, List: w.list})
	w.ledger = ledger.New(w.client, ledger.NewIndex(func() time.Time { return noon }))
	metrics, err := NewMetrics(noop.NewMeterProvider().Meter(""))
	if err != nil {
		t.Fatal(err)
	}
	options := DefaultOptions()
	options.Gather = 0
	w.sweeper, err = New(Dependencies{
		Cluster: openshift.NewReader(w.client, source.NewRights(w.client, 0, time.Now)), Images: w, Registry: w.registry, Ledger: w.ledger, Examiner: Ignore{}, Metrics: metrics,
		Log: zap.NewNop(), Now: func() time.Time { return at(3600) }, Done: func(k types.NamespacedName) { w.done <- k },
	}, options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.sweeper.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return w
}

func (w *env) create(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
	if review, ok := o.(*authorizationv1.SubjectAccessReview); ok {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked++
		a := review.Spec.ResourceAttributes
		review.Status.Allowed = !w.denied[a.Namespace+"/"+a.Name]
		return w.unasked
	}
	if w.funcs.Create != nil {
		return w.funcs.Create(ctx, c, o, opts...)
	}
	if o.GetUID() == "" {
		o.SetUID(types.UID(o.GetName())) // as the API server does
	}
	return c.Create(ctx, o, opts...)
}

func (w *env) list(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
	if w.funcs.List != nil {
		return w.funcs.List(ctx, c, l, opts...)
	}
	return c.List(ctx, l, opts...)
}

// Image implements Images.
func (w *env) Image(_ context.Context, d image.Digest) (openshift.ImageState, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads++
	if d == w.unreadable && !d.IsZero() {
		return openshift.ImageState{}, errors.New("etcd is away")
	}
	return openshift.ImageState{Runs: !w.artefacts[d] && !w.forged[d]}, nil
}

// sweep asks for a sweep and waits for its result.
func (w *env) sweep(trigger *v1alpha1.ImageTrigger) Result {
	w.t.Helper()
	w.sweeper.Request(trigger)
	select {
	case <-w.done:
	case <-time.After(20 * time.Second):
		w.t.Fatal("a sweep has not ended after 20 s")
	}
	latest, underWay := w.sweeper.Latest(trigger.UID)
	if latest == nil || underWay {
		w.t.Fatalf("latest %v, under way %v after Done", latest, underWay)
	}
	return *latest
}

// entries are the ledger's pushes: "repository digest tag@seconds source".
func (w *env) entries() []string {
	w.t.Helper()
	var list v1alpha1.ImageVerificationList
	if err := w.client.List(context.Background(), &list); err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for i := range list.Items {
		e := &list.Items[i]
		for _, tag := range e.Tags() {
			all = append(all, fmt.Sprintf("%s %s %s@%d %s", e.Spec.Repository.Name, e.Spec.Digest[7:9], tag.Tag,
				int(tag.PushedAt.Sub(noon).Seconds()), tag.Source))
		}
	}
	slices.Sort(all)
	return all
}

func digest(n int) image.Digest {
	d, err := image.ParseDigest("sha256:" + strings.Repeat(fmt.Sprintf("%02x", n), 32))
	if err != nil {
		panic(err)
	}
	return d
}

// item is one item of a tag: a digest and when it was created.
type item struct{ digest, seconds int }

func stream(namespace, name string, tags map[string][]item) *imagev1.ImageStream {
	is := &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-" + name)}}
	is.Status.DockerImageRepository = "registry.local:5000/" + namespace + "/" + name
	for tag, items := range tags {
		list := imagev1.NamedTagEventList{Tag: tag}
		for _, i := range items {
			list.Items = append(list.Items, imagev1.TagEvent{
				Created: metav1.NewTime(at(i.seconds)), Image: digest(i.digest).String(),
				DockerImageReference: is.Status.DockerImageRepository + "@" + digest(i.digest).String(),
			})
		}
		is.Status.Tags = append(is.Status.Tags, list)
	}
	return is
}

// trigger selects all streams of its namespace, and was made at noon.
func trigger(change ...func(*v1alpha1.ImageTrigger)) *v1alpha1.ImageTrigger {
	t := &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "all", UID: "trigger", Generation: 1, CreationTimestamp: metav1.NewTime(noon)},
		Spec:       v1alpha1.ImageTriggerSpec{Images: []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{}}}},
	}
	for _, c := range change {
		c(t)
	}
	return t
}

// account is the trigger's.
var account = source.Account{Namespace: "team-a", Name: "default"}

// notVisible is what a sweep says of streams of a namespace that the account may not get.
func notVisible(namespace string) string {
	return fmt.Sprintf("service account \"default\" may not get ImageStreams in namespace %q, so Revet records no push to them", namespace)
}

func everywhere(t *v1alpha1.ImageTrigger) {
	t.Spec.Images[0].ImageStreams.NamespaceSelector = &metav1.LabelSelector{}
}

// Property: what is exempt is read from its registry once, and counted each time, for
// whom it may be shown to.
func TestWhatIsExemptIsReadOnce(t *testing.T) {
	for name, claims := range map[string]bool{"proven": false, "by its registry's word": true} {
		t.Run(name, func(t *testing.T) { testWhatIsExemptIsReadOnce(t, claims) })
	}
}

func testWhatIsExemptIsReadOnce(t *testing.T, claims bool) {
	w := newEnv(t, stream("team-a", "app", map[string][]item{"sig": {{2, 10}}, "other": {{2, 20}}}))
	w.artefacts[digest(2)], w.registry.onItsWord = true, claims
	for n := range 3 {
		if got := w.sweep(trigger()); got.Artefacts != 2 || got.Pushes != 0 || got.Gap != 0 {
			t.Errorf("sweep %d: %+v, want two artefacts and nothing else", n, got)
		}
	}
	if w.registry.contents > 2 {
		t.Errorf("the registry was read %d times for one digest under two tags", w.registry.contents)
	}
	w.mu.Lock()
	w.denied["team-a/"], w.denied["team-a/app"] = true, true
	w.mu.Unlock()
	w.sweeper.access = newAccess(w.sweeper.Cluster, func() time.Time { return at(3600) })
	if got := w.sweep(trigger()); got.Artefacts != 0 {
		t.Errorf("a trigger that may not see the stream counts %d artefacts of it", got.Artefacts)
	}
}

func TestSweepOfStreams(t *testing.T) {
	namespaces := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-a", Labels: map[string]string{"tier": "prod"}}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-b"}},
	}
	for _, test := range []struct {
		name    string
		streams []client.Object
		trigger *v1alpha1.ImageTrigger
		prepare func(*env)
		want    []string
		result  Result
	}{
		{
			name:    "the head and the history since the trigger are recorded, older history is not",
			streams: []client.Object{stream("team-a", "app", map[string][]item{"v1": {{3, 30}, {2, 20}, {1, -600}}})},
			trigger: trigger(),
			want:    []string{"team-a/app 02 v1@20 sweep", "team-a/app 03 v1@30 sweep"},
			result:  Result{Repositories: 1, Recovered: 2, Pushes: 2},
		},
		{
			name:    "what was pushed within clock slack before the trigger counts",
			streams: []client.Object{stream("team-a", "app", map[string][]item{"v1": {{1, -119}}, "v2": {{2, -121}}})},
			trigger: trigger(),
			want:    []string{"team-a/app 01 v1@-119 sweep"},
			result:  Result{Repositories: 1, Recovered: 1, Pushes: 1},
		},
		{
			name:    "existing: Verify takes heads of any age",
			streams: []client.Object{stream("team-a", "app", map[string][]item{"v1": {{2, -300}, {1, -600}}})},
			trigger: trigger(func(t *v1alpha1.ImageTrigger) { t.Spec.Existing = v1alpha1.ExistingVerify }),
			want:    []string{"team-a/app 02 v1@-300 sweep"},
			result:  Result{Repositories: 1, Recovered: 1, Pushes: 1},
		},
		{
			name:    "history before the horizon is left alone, the head is not",
			streams: []client.Object{stream("team-a", "app", map[string][]item{"v1": {{3, 30}, {2, 20}}, "v2": {{4, 10}}})},
			trigger: trigger(func(t *v1alpha1.ImageTrigger) { h := metav1.NewTime(at(25)); t.Status.HistoryHorizon = &h }),
			want:    []string{"team-a/app 03 v1@30 sweep", "team-a/app 04 v2@10 sweep"},
			result:  Result{Repositories: 1, Recovered: 2, Pushes: 2},
		},
		{
			name: "only what the selectors admit",
			streams: []client.Object{
				stream("team-a", "web", map[string][]item{"v1": {{1, 10}}, "v1-dev": {{2, 10}}}),
				stream("team-a", "db", map[string][]item{"v1": {{3, 10}}}),
				stream("team-b", "web", map[string][]item{"v1": {{4, 10}}}),
			},
			trigger: trigger(func(t *v1alpha1.ImageTrigger) {
				t.Spec.Images[0].ImageStreams.Names = []string{"w*"}
				t.Spec.Images[0].Tags.Exclude = []string{"*-dev"}
			}),
			want:   []string{"team-a/web 01 v1@10 sweep"},
			result: Result{Repositories: 1, Recovered: 1, Pushes: 1},
		},
		{
			name: "namespaces by label",
			streams: []client.Object{
				stream("team-a", "web", map[string][]item{"v1": {{1, 10}}}),
				stream("team-b", "web", map[string][]item{"v1": {{2, 10}}}),
			},
			trigger: trigger(everywhere, func(t *v1alpha1.ImageTrigger) {
				t.Spec.Images[0].ImageStreams.NamespaceSelector.MatchLabels = map[string]string{"tier": "prod"}
			}),
			want:   []string{"team-a/web 01 v1@10 sweep"},
			result: Result{Repositories: 1, Recovered: 1, Pushes: 1},
		},
		{
			name: "only streams that the account may get",
			streams: []client.Object{
				stream("team-a", "web", map[string][]item{"v1": {{1, 10}}}),
				stream("team-b", "open", map[string][]item{"v1": {{2, 10}}}),
				stream("team-b", "closed", map[string][]item{"v1": {{3, 10}}}),
			},
			trigger: trigger(everywhere),
			prepare: func(w *env) { w.denied["/"], w.denied["team-b/"], w.denied["team-b/closed"] = true, true, true },
			want:    []string{"team-a/web 01 v1@10 sweep", "team-b/open 02 v1@10 sweep"},
			result: Result{Repositories: 3, Recovered: 2, Pushes: 2, Reason: StreamsNotVisible, Message: notVisible("team-b") + "; " + account.GrantImageStreams("team-b"),
				Unknown: []v1alpha1.Unknown{{Reason: StreamsNotVisible, Count: 1, Message: notVisible("team-b"), Cure: account.GrantImageStreams("team-b")}}},
		},
		{
			name:    "what cannot run is not recorded",
			streams: []client.Object{stream("team-a", "app", map[string][]item{"v1": {{1, 10}}, "sig": {{2, 10}}})},
			trigger: trigger(),
			prepare: func(w *env) { w.artefacts[digest(2)] = true },
			want:    []string{"team-a/app 01 v1@10 sweep"},
			result:  Result{Repositories: 1, Recovered: 1, Pushes: 1, Artefacts: 1},
		},
		{
			name:    "what an Image object hides, though it runs",
			streams: []client.Object{stream("team-a", "app", map[string][]item{"v1": {{1, 10}}, "sig": {{2, 10}}})},
			trigger: trigger(),
			prepare: func(w *env) { w.forged[digest(1)], w.artefacts[digest(2)] = true, true },
			want:    []string{"team-a/app 01 v1@10 sweep"},
			result:  Result{Repositories: 1, Recovered: 1, Pushes: 1, Artefacts: 1},
		},
		{
			name:    "what a registry does not let be read",
			streams: []client.Object{stream("team-a", "app", map[string][]item{"sig": {{2, 10}}})},
			trigger: trigger(),
			prepare: func(w *env) {
				w.artefacts[digest(2)] = true
				w.registry.refuse["content"] = &source.Refusal{Reason: source.NotAllowed, Err: errors.New("not listed")}
			},
			want:   []string{"team-a/app 02 sig@10 sweep"},
			result: Result{Repositories: 1, Recovered: 1, Pushes: 1},
		},
		{
			name:    "a registry that is away",
			streams: []client.Object{stream("team-a", "app", map[string][]item{"sig": {{2, 10}}})},
			trigger: trigger(),
			prepare: func(w *env) {
				w.artefacts[digest(2)] = true
				w.registry.refuse["content"] = errors.New("connection refused")
			},
			want:   []string{"team-a/app 02 sig@10 sweep"},
			result: Result{Repositories: 1, Recovered: 1, Pushes: 1},
		},
		{
			name:    "a hostile tag does not take others with it",
			streams: []client.Object{stream("team-a", "app", map[string][]item{"v1": {{1, 10}}, `"$(evil)`: {{2, 10}}})},
			trigger: trigger(),
			want:    []string{"team-a/app 01 v1@10 sweep"},
			result:  Result{Repositories: 1, Recovered: 1, Pushes: 1},
		},
		{
			name:    "no streams",
			trigger: trigger(),
			result:  Result{},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newEnv(t, append(namespaces, test.streams...)...)
			if test.prepare != nil {
				test.prepare(w)
			}
			got := w.sweep(test.trigger)
			test.result.Generation, test.result.StartedAt, test.result.FinishedAt = 1, at(3600), at(3600)
			if diff := cmp.Diff(test.result, got); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, w.entries()); diff != "" {
				t.Errorf("ledger (-want +got):\n%s", diff)
			}
			// What is covered costs no question and recovers nothing.
			w.mu.Lock()
			w.asked, w.reads = 0, 0
			w.mu.Unlock()
			if again := w.sweep(test.trigger); again.Recovered != 0 || again.Repositories != got.Repositories || again.Pushes != got.Pushes || again.Gap != 0 {
				t.Errorf("a second sweep gave %+v", again)
			}
			if diff := cmp.Diff(test.want, w.entries()); diff != "" {
				t.Errorf("ledger after a second sweep (-want +got):\n%s", diff)
			}
			if w.reads != 0 || w.asked != 0 {
				t.Errorf("a sweep over a ledger that covers all asked %d questions and read %d Images", w.asked, w.reads)
			}
		})
	}
}

// One pass serves all triggers that wait, and lists the streams once.
func TestOnePassServesAllTriggersThatWait(t *testing.T) {
	w := newEnv(t, stream("team-a", "app", map[string][]item{"v1": {{1, 10}}}))
	var lists int
	release := make(chan struct{})
	w.funcs.List = func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
		if _, ok := l.(*imagev1.ImageStreamList); ok {
			lists++
			if lists == 1 {
				<-release // until the others have asked too
			}
		}
		return c.List(ctx, l, opts...)
	}
	for i := range 5 {
		w.sweeper.Request(trigger(func(t *v1alpha1.ImageTrigger) { t.UID, t.Name = types.UID(fmt.Sprint(i)), fmt.Sprint(i) }))
	}
	close(release)
	for range 5 {
		select {
		case <-w.done:
		case <-time.After(20 * time.Second):
			t.Fatal("not all sweeps have ended after 20 s")
		}
	}
	if lists > 2 {
		t.Errorf("%d lists for five triggers, want at most 2", lists)
	}
	if got := len(w.entries()); got != 5 {
		t.Errorf("%d entries, want one for each trigger", got)
	}
}

// A failure is told, may be tried again, and takes nothing else with it.
func TestSweepThatFailsInPartRecordsTheRest(t *testing.T) {
	w := newEnv(t,
		stream("team-a", "bad", map[string][]item{"v1": {{1, 10}}}),
		stream("team-a", "good", map[string][]item{"v1": {{2, 10}}}))
	broken := errors.New("etcd is away")
	w.funcs.Create = func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
		if e, ok := o.(*v1alpha1.ImageVerification); ok && e.Spec.Repository.Name == "team-a/bad" {
			return broken
		}
		return c.Create(ctx, o, opts...)
	}
	got := w.sweep(trigger())
	if got.Reason != RecordFailed || !got.Retry || got.Recovered != 1 || got.Pushes != 2 || got.Gap != 1 || !strings.Contains(got.Message, broken.Error()) {
		t.Errorf("result %+v", got)
	}
	if diff := cmp.Diff([]string{"team-a/good 02 v1@10 sweep"}, w.entries()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	if first, second := w.sweep(trigger()), w.sweep(trigger()); first.Retries != 1 || second.Retries != 2 {
		t.Errorf("retries %d and %d, want 1 and 2", first.Retries, second.Retries)
	}
	w.funcs.Create = nil
	if r := w.sweep(trigger()); r.Retries != 0 || r.Retry {
		t.Errorf("the sweep after the cure: %+v", r)
	}
}

// The property: whatever events were lost, a sweep ends with the ledger that
// would be if none were.
func TestSweepAfterAnyLossEndsWithTheSameLedger(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			complete, lossy := newEnv(t), newEnv(t)
			asked := trigger()
			is := stream("team-a", "app", nil)
			for step := range 12 {
				change(random, is, step)
				lost := random.IntN(2) == 0
				complete.event(asked, is)
				if !lost {
					lossy.event(asked, is)
				}
			}
			if err := lossy.client.Create(context.Background(), is.DeepCopy()); err != nil {
				t.Fatal(err)
			}
			if r := lossy.sweep(asked); r.Reason != "" {
				t.Fatalf("result %+v", r)
			}
			if diff := cmp.Diff(withoutSource(complete.entries()), withoutSource(lossy.entries())); diff != "" {
				t.Errorf("ledger (-without loss +with loss and a sweep):\n%s", diff)
			}
		})
	}
}

// change does to a stream what a push, a roll-back or an alias does.
func change(random *rand.Rand, is *imagev1.ImageStream, step int) {
	tags := []string{"v1", "v2", "latest"}
	tag := tags[random.IntN(len(tags))]
	pushed := imagev1.TagEvent{Created: metav1.NewTime(at(10 * (step + 1))), Image: digest(1 + random.IntN(4)).String()}
	if other := random.IntN(len(is.Status.Tags) + 1); other < len(is.Status.Tags) && random.IntN(3) == 0 {
		pushed = is.Status.Tags[other].Items[0] // an alias copies the time
	}
	pushed.DockerImageReference = is.Status.DockerImageRepository + "@" + pushed.Image
	for i := range is.Status.Tags {
		if is.Status.Tags[i].Tag == tag {
			if is.Status.Tags[i].Items[0].Image != pushed.Image {
				is.Status.Tags[i].Items = append([]imagev1.TagEvent{pushed}, is.Status.Tags[i].Items...)
			}
			return
		}
	}
	is.Status.Tags = append(is.Status.Tags, imagev1.NamedTagEventList{Tag: tag, Items: []imagev1.TagEvent{pushed}})
}

// event does what the receiver does with an event that shows the stream.
func (w *env) event(asked *v1alpha1.ImageTrigger, is *imagev1.ImageStream) {
	w.t.Helper()
	shown := openshift.Stream(is)
	for _, p := range push.Detect(shown, w.ledger.Known(asked, shown.Repository), runsAll{}).Pushes {
		if _, err := w.ledger.Record(context.Background(), asked, p, nil, v1alpha1.SourceEvent, noon); err != nil {
			w.t.Fatal(err)
		}
	}
}

type runsAll struct{}

func (runsAll) Runnable(image.Digest) bool { return true }

func withoutSource(entries []string) []string {
	var all []string
	for _, e := range entries {
		all = append(all, e[:strings.LastIndex(e, " ")])
	}
	return all
}
