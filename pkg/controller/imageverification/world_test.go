package imageverification_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"knative.dev/pkg/apis"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/reconciler"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imageverification"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/tekton"
)

const namespace = "demo"

var (
	digest = mustDigest("sha256:" + strings.Repeat("ab", 32))
	pushed = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

func mustDigest(s string) image.Digest {
	d, err := image.ParseDigest(s)
	if err != nil {
		panic(err)
	}
	return d
}

// world is a cluster with a listener, in which time passes only when told to.
type world struct {
	t          *testing.T
	client     client.Client
	index      *ledger.Index
	ledger     *ledger.Ledger
	trigger    *v1alpha1.ImageTrigger
	listener   *stubListener
	facts      *stubFacts
	emitted    *stubEmitter
	queue      *stubQueue
	events     *record.FakeRecorder
	meter      metric.Meter
	interpose  func(*imageverification.Options)
	reconciler *imageverification.Reconciler

	mu  sync.Mutex
	now time.Time
}

func newWorld(t *testing.T, change ...func(*v1alpha1.ImageTrigger)) *world {
	t.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, now: pushed.Add(time.Second), queue: &stubQueue{}, emitted: &stubEmitter{}, events: &record.FakeRecorder{},
		meter: noop.NewMeterProvider().Meter("test")}
	builder := fake.NewClientBuilder().WithScheme(scheme).
		WithStatusSubresource(&v1alpha1.ImageVerification{}, &v1alpha1.ImageTrigger{})
	for field, extract := range imageverification.Indexes() {
		builder = builder.WithIndex(&v1alpha1.ImageVerification{}, field, extract)
	}
	for field, extract := range map[string]func(*corev1.Event) string{ // what the API server selects by itself
		"involvedObject.name": func(e *corev1.Event) string { return e.InvolvedObject.Name },
		"reason":              func(e *corev1.Event) string { return e.Reason },
	} {
		builder = builder.WithIndex(&corev1.Event{}, field, func(o client.Object) []string { return []string{extract(o.(*corev1.Event))} })
	}
	w.client = &uids{Client: builder.Build()}
	w.index = ledger.NewIndex(w.clock)
	w.ledger = ledger.New(w.client, w.index)
	w.facts = &stubFacts{image: imageverification.Image{
		Facts:   v1alpha1.ImageFacts{MediaType: "application/vnd.oci.image.manifest.v1+json", Platforms: []string{"linux/amd64"}, Source: "Registry"},
		Content: image.Content{Kind: image.ContentImage}, Recomputed: true,
	}}
	w.listener = newStubListener(t, w.client)
	w.trigger = w.newTrigger(change)
	w.restart()
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// newTrigger makes a trigger that is ready, as the other reconciler would leave it.
func (w *world) newTrigger(change []func(*v1alpha1.ImageTrigger)) *v1alpha1.ImageTrigger {
	w.t.Helper()
	t := &v1alpha1.ImageTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "all", Generation: 1}}
	t.Spec.Sink.Ref = &v1alpha1.SinkRef{Name: "scan-and-validate"}
	t.Spec.Sandbox.RuntimeClassName = "kata"
	t.MarkFilterValid(w.clock())
	t.MarkSinkResolved(w.listener.server.URL, w.clock())
	t.MarkTemplateAccepted(w.clock())
	t.MarkAuthorized("", w.clock())
	t.Status.ObservedGeneration = 1
	for _, f := range change {
		f(t)
	}
	status := t.Status
	w.must(w.client.Create(w.t.Context(), t))
	t.Status = status
	w.must(w.client.Status().Update(w.t.Context(), t))
	return t
}

// restart makes a new process, which remembers nothing, and makes it lead.
func (w *world) restart() {
	w.t.Helper()
	w.reconciler = w.process()
}

func (w *world) process() *imageverification.Reconciler {
	w.t.Helper()
	metrics, err := imageverification.NewMetrics(w.meter)
	w.must(err)
	sender, err := tekton.NewSender(tekton.SenderOptions{Timeout: 5 * time.Second, DialTimeout: 2 * time.Second, IdleConnections: 16})
	w.must(err)
	w.t.Cleanup(sender.CloseIdleConnections)
	o := imageverification.Options{
		Cached: &informers{Reader: w.client, trim: imageverification.Trim(w.emitted.pending)}, Live: w.client, Ledger: w.ledger, Sink: sender, Facts: w.facts,
		Lease: alwaysLeads{}, Recorder: w.events, Metrics: metrics, Log: zap.NewNop(), Now: w.clock, Emitter: w.emitted,
		Stop: w.stop, MaxConcurrent: 200, Enqueue: w.queue.EnqueueKey,
	}
	if w.interpose != nil {
		w.interpose(&o)
	}
	r, err := imageverification.New(o)
	w.must(err)
	w.must(r.Promote(reconciler.UniversalBucket(), func(reconciler.Bucket, types.NamespacedName) {}))
	return r
}

// stop writes what asks Tekton for the end of a run.
func (w *world) stop(ctx context.Context, run types.NamespacedName, uid types.UID) error {
	var pr pipelinev1.PipelineRun
	if err := w.client.Get(ctx, run, &pr); err != nil || pr.UID != uid {
		return client.IgnoreNotFound(err)
	}
	pr.Spec.Status = pipelinev1.PipelineRunSpecStatusCancelled
	return w.client.Update(ctx, &pr)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// push records a push as the receiver does.
func (w *world) push(tag string, at time.Time) types.NamespacedName {
	w.t.Helper()
	return w.pushDigest(tag, digest, at)
}

func (w *world) pushDigest(tag string, d image.Digest, at time.Time) types.NamespacedName {
	w.t.Helper()
	pull, err := image.ParseRepository("registry.example.com/demo/app")
	w.must(err)
	result, err := w.ledger.Record(w.t.Context(), w.trigger, push.Push{
		Repository: push.Repository{Kind: push.ImageStream, Name: "demo/app", UID: "stream-uid"},
		Tag:        tag, Digest: d, PushedAt: at, Pull: pull, Reason: push.NewHead,
	}, nil, v1alpha1.SourceEvent, w.clock())
	w.must(err)
	return client.ObjectKeyFromObject(result.Entry)
}

func (w *world) entry(key types.NamespacedName) *v1alpha1.ImageVerification {
	w.t.Helper()
	var e v1alpha1.ImageVerification
	w.must(w.client.Get(w.t.Context(), key, &e))
	return &e
}

// step makes one pass and returns when the next one is due; 0 is not by itself.
func (w *world) step(key types.NamespacedName) (time.Duration, error) {
	err := w.reconciler.Reconcile(w.t.Context(), key.String())
	if ok, after := controller.IsRequeueKey(err); ok {
		return after, nil
	}
	return 0, err
}

// work makes passes, and lets time pass between them, until one ends with
// nothing to wait for, or the given time has passed.
func (w *world) work(key types.NamespacedName, most time.Duration) {
	w.t.Helper()
	until := w.clock().Add(most)
	for range 1000 {
		after, err := w.step(key)
		switch {
		case apierrors.IsConflict(err):
			after = time.Millisecond
		case err != nil:
			w.t.Fatal(err)
		case after == 0:
			return
		}
		if w.clock().Add(after).After(until) {
			return
		}
		w.pass(after)
	}
	w.t.Fatal("an entry went on for 1000 passes")
}

// runs lists the PipelineRuns, by name.
func (w *world) runs() []pipelinev1.PipelineRun {
	w.t.Helper()
	var list pipelinev1.PipelineRunList
	w.must(w.client.List(w.t.Context(), &list))
	slices.SortFunc(list.Items, func(a, b pipelinev1.PipelineRun) int { return strings.Compare(a.Name, b.Name) })
	return list.Items
}

// finish ends a run as Tekton would, with one Pod of the class.
func (w *world) finish(name, verdict string, scanned image.Digest, class string) {
	w.t.Helper()
	var pr pipelinev1.PipelineRun
	w.must(w.client.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, &pr))
	start, end := metav1.NewTime(w.clock()), metav1.NewTime(w.clock().Add(time.Second))
	pr.Status.StartTime, pr.Status.CompletionTime = &start, &end
	pr.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionTrue, Reason: "Succeeded"})
	pr.Status.Results = []pipelinev1.PipelineRunResult{
		{Name: "verdict", Value: *pipelinev1.NewStructuredValues(verdict)},
		{Name: "digest", Value: *pipelinev1.NewStructuredValues(scanned.String())},
		{Name: "summary", Value: *pipelinev1.NewStructuredValues(`{"checks":3}`)},
	}
	w.must(w.client.Update(w.t.Context(), &pr))
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: name + "-pod",
		Labels: map[string]string{"tekton.dev/pipelineRun": name, "tekton.dev/taskRun": name + "-task"},
	}, Spec: corev1.PodSpec{NodeName: "node-1"}}
	if class != "" {
		pod.Spec.RuntimeClassName = &class
	}
	w.must(w.client.Create(w.t.Context(), pod))
	w.pass(2 * time.Second)
}

// fail ends a run as Tekton does whose Pods could not do their work.
func (w *world) fail(name, reason string) {
	w.t.Helper()
	w.failSaying(name, reason, "the registry does not answer")
}

// failSaying is fail with what the step fetch says of it.
func (w *world) failSaying(name, reason, said string) {
	w.t.Helper()
	var pr pipelinev1.PipelineRun
	w.must(w.client.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, &pr))
	start, end := metav1.NewTime(w.clock()), metav1.NewTime(w.clock())
	pr.Status.StartTime, pr.Status.CompletionTime = &start, &end
	pr.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionFalse, Reason: reason, Message: "Tasks Completed: 1"})
	w.must(w.client.Update(w.t.Context(), &pr))
	w.must(w.client.Create(w.t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name + "-pod",
			Labels: map[string]string{"tekton.dev/pipelineRun": name, "tekton.dev/taskRun": name + "-task"},
		},
		Status: corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{
			{Name: "step-fetch", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1,
				Message: `[{"key":"StartedAt","value":"x","type":3},{"key":"error","value":"` + said + `","type":1}]`}}},
			{Name: "step-validate", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"}}},
		}},
	}))
}

// told returns the Kubernetes Events since it was last called.
func (w *world) told() []string {
	var all []string
	for {
		select {
		case e := <-w.events.Events:
			all = append(all, e)
		default:
			return all
		}
	}
}
