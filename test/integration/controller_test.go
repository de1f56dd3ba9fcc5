package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tektoncd/pipeline/pkg/apis/pipeline/pod"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/app"
)

// standInListener stands for Tekton's EventListener: it answers 202 and then
// creates the PipelineRun that the template of newListener makes of a request.
type standInListener struct {
	t         *testing.T
	namespace string
	client    client.Client
	server    *httptest.Server

	mu       sync.Mutex
	requests map[string]int // by run
	dropping bool           // as one does whose binding misses a field
}

func newStandInListener(t *testing.T, namespace string) *standInListener {
	l := &standInListener{t: t, namespace: namespace, client: admin(t), requests: map[string]int{}}
	l.server = httptest.NewServer(l)
	t.Cleanup(l.server.Close)
	return l
}

func (l *standInListener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Run, EntryUID string
		Image         struct{ Digest string }
		Sandbox       struct{ RuntimeClassName string }
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	l.mu.Lock()
	l.requests[body.Run]++
	dropping := l.dropping
	l.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
	if dropping {
		return
	}
	go l.create(context.WithoutCancel(r.Context()), body.Run, body.EntryUID, body.Image.Digest, body.Sandbox.RuntimeClassName)
}

// drops makes the listener take requests and do nothing, or work again.
func (l *standInListener) drops(yes bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropping = yes
}

// asked is how many runs were asked for.
func (l *standInListener) asked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.requests)
}

// create is not tried again: a real listener only logs that it failed.
func (l *standInListener) create(ctx context.Context, run, entryUID, digest, class string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := l.client.Create(ctx, templatedRun(l.namespace, run, entryUID, digest, class))
	if err != nil && !apierrors.IsAlreadyExists(err) {
		l.t.Logf("the stand-in for a listener could not create run %q: %v", run, err)
	}
}

// templatedRun is what the template of newListener makes of a request.
func templatedRun(namespace, run, entryUID, digest, class string) *pipelinev1.PipelineRun {
	return &pipelinev1.PipelineRun{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: run,
		Labels:      map[string]string{v1alpha1.RunLabel: run},
		Annotations: map[string]string{v1alpha1.EntryUIDAnnotation: entryUID, v1alpha1.DigestAnnotation: digest},
	}, Spec: pipelinev1.PipelineRunSpec{
		Params:          pipelinev1.Params{{Name: "digest", Value: *pipelinev1.NewStructuredValues(digest)}},
		TaskRunTemplate: pipelinev1.PipelineTaskRunTemplate{PodTemplate: &pod.PodTemplate{RuntimeClassName: &class}},
	}}
}

// verifiedNamespace makes a namespace whose pushes are verified under a class of
// its own, with a stand-in for its listener. Its trigger is named vet.
func verifiedNamespace(t *testing.T) (string, *standInListener) {
	t.Helper()
	namespace := newNamespace(t)
	stand := newStandInListener(t, namespace)
	listener := newListener(t, namespace, "name: $(tt.params.run)")
	for _, o := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "runner"}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "default"}},
		&nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "class-" + namespace}, Handler: "runsc"},
		listener,
		&v1alpha1.ImageTrigger{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "vet"},
			Spec: v1alpha1.ImageTriggerSpec{
				Images:        []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{}}},
				Sink:          v1alpha1.Sink{Ref: &v1alpha1.SinkRef{Name: "scan"}},
				Sandbox:       v1alpha1.Sandbox{RuntimeClassName: "class-" + namespace},
				MaxConcurrent: 1000,
			},
		},
	} {
		if err := admin(t).Create(t.Context(), o); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	listener.Status.SetAddress(strings.TrimPrefix(stand.server.URL, "http://"))
	if err := admin(t).Status().Update(t.Context(), listener); err != nil {
		t.Fatal(err)
	}
	mayCreateRuns(t, namespace)
	mayGet(t, namespace)
	return namespace, stand
}

// startController runs a controller under its own account and roles. What is
// returned stops it; so does the end of the test.
func startController(t *testing.T, identity string, change ...func(*app.ControllerOptions)) (stop func()) {
	t.Helper()
	o := app.DefaultControllerOptions()
	o.HealthAddress, o.MetricsAddress, o.Identity = "127.0.0.1:0", "", identity
	o.Config, o.Log = account(t, systemNamespace, "controller"), zap.NewNop()
	for _, f := range change {
		f(&o)
	}
	c, err := app.NewController(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := c.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	eventually(t, "the controller is ready", func() error {
		resp, err := http.Get("http://" + c.HealthAddr() + "/readyz") //nolint:noctx // a probe of this process
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("/readyz answered %s", resp.Status)
		}
		return nil
	})
	return stop
}

func entriesOf(t *testing.T, namespace string) []v1alpha1.ImageVerification {
	t.Helper()
	var entries v1alpha1.ImageVerificationList
	if err := admin(t).List(t.Context(), &entries, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	return entries.Items
}

// inPhase waits until all of a number of entries are in a phase.
func inPhase(t *testing.T, namespace string, number int, phase v1alpha1.Phase) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d entries are %s", number, phase), func() error {
		entries := entriesOf(t, namespace)
		count := map[string]int{}
		for _, e := range entries {
			count[string(e.Status.Phase)+"/"+e.Status.Reason]++
		}
		for _, e := range entries {
			if e.Status.Phase != phase {
				return fmt.Errorf("there are %v; one says %q", count, e.Status.Message)
			}
		}
		if len(entries) != number {
			return fmt.Errorf("there are %v", count)
		}
		return nil
	})
}

func runsOf(t *testing.T, namespace string) []pipelinev1.PipelineRun {
	t.Helper()
	var runs pipelinev1.PipelineRunList
	if err := admin(t).List(t.Context(), &runs, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	return runs.Items
}

// standInRuns ends all runs that have not ended as Tekton would, with one Pod
// each, of the class.
func standInRuns(t *testing.T, namespace, verdict, class string) {
	t.Helper()
	for _, pr := range runsOf(t, namespace) {
		if pr.Status.CompletionTime != nil {
			continue
		}
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: pr.Name, Labels: map[string]string{"tekton.dev/pipelineRun": pr.Name, "tekton.dev/taskRun": pr.Name}},
			Spec:       corev1.PodSpec{RuntimeClassName: &class, Containers: []corev1.Container{{Name: "step", Image: "none"}}},
		}
		if err := admin(t).Create(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
		now := metav1.Now()
		pr.Status.StartTime, pr.Status.CompletionTime = &now, &now
		pr.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionTrue, Reason: "Succeeded"})
		pr.Status.Results = []pipelinev1.PipelineRunResult{
			{Name: "verdict", Value: *pipelinev1.NewStructuredValues(verdict)},
			{Name: "digest", Value: *pipelinev1.NewStructuredValues(pr.Annotations[v1alpha1.DigestAnnotation])},
			{Name: "summary", Value: *pipelinev1.NewStructuredValues(`{"checks":4}`)},
		}
		if err := admin(t).Status().Update(t.Context(), &pr); err != nil {
			t.Fatal(err)
		}
	}
}

// oneRunEach checks that every entry has one run, and that run alone exists.
func oneRunEach(t *testing.T, namespace string) {
	t.Helper()
	names := map[string]bool{}
	for _, pr := range runsOf(t, namespace) {
		names[pr.Name] = true
	}
	entries := entriesOf(t, namespace)
	for _, e := range entries {
		if e.Status.RunCount != 1 || !names[e.Status.Runs[0].Name] {
			t.Errorf("entry %s has %d runs: %+v", e.Name, e.Status.RunCount, e.Status.Runs)
		}
	}
	if len(names) != len(entries) {
		t.Errorf("%d PipelineRuns for %d entries", len(names), len(entries))
	}
}

// A push is taken to its verdict by a controller with no more than its roles.
func TestControllerTakesPushesToTheirVerdicts(t *testing.T) {
	ownCluster(t)
	namespace, _ := verifiedNamespace(t)
	startController(t, "one")
	r := receiver(t)
	for _, test := range []struct {
		stream, verdict, class string
		phase                  v1alpha1.Phase
		reason                 string
	}{
		{"good", "pass", "class-" + namespace, v1alpha1.PhasePassed, "Passed"},
		{"bad", "fail", "class-" + namespace, v1alpha1.PhaseFailed, "Failed"},
		{"loose", "pass", "other-" + namespace, v1alpha1.PhaseError, "NotSandboxed"},
	} {
		if test.class != "class-"+namespace {
			if err := admin(t).Create(t.Context(), &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: test.class}, Handler: "runc"}); err != nil {
				t.Fatal(err)
			}
		}
		digest := push(t, namespace+"/"+test.stream+":v1")
		if code, body := send(t, r, streamNamed(t, namespace, test.stream)); code != http.StatusAccepted {
			t.Fatalf("the receiver answered %d %s", code, body)
		}
		find := func() (*v1alpha1.ImageVerification, error) {
			for _, e := range entriesOf(t, namespace) {
				if e.Spec.Digest == digest {
					return &e, nil
				}
			}
			return nil, errors.New("there is no entry")
		}
		eventually(t, test.stream+" is Running", func() error {
			e, err := find()
			if err == nil && e.Status.Phase != v1alpha1.PhaseRunning {
				err = fmt.Errorf("it is %s/%s: %s", e.Status.Phase, e.Status.Reason, e.Status.Message)
			}
			return err
		})
		standInRuns(t, namespace, test.verdict, test.class)
		eventually(t, test.stream+" is decided", func() error {
			e, err := find()
			if err == nil && (e.Status.Phase != test.phase || e.Status.Reason != test.reason) {
				err = fmt.Errorf("it is %s/%s: %s", e.Status.Phase, e.Status.Reason, e.Status.Message)
			}
			return err
		})
		if e, err := find(); err != nil || e.ImageFacts() == nil || e.ImageFacts().Source != "Image" || e.ImageFacts().Layers != 1 {
			t.Errorf("%s: facts %+v, %v", test.stream, e.ImageFacts(), err)
		}
	}
	oneRunEach(t, namespace)
}

// Pushes that come while no controller runs, while one stops and while another
// takes over get one run each.
func TestControllersTakeOverFromEachOther(t *testing.T) {
	ownCluster(t)
	namespace, _ := verifiedNamespace(t)
	const each = 8
	number := 0
	pushSome := func(r *app.Receiver) {
		t.Helper()
		for range each {
			stream := fmt.Sprintf("app%d", number)
			number++
			push(t, namespace+"/"+stream+":v1")
			if r == nil {
				continue
			}
			if code, body := send(t, r, streamNamed(t, namespace, stream)); code != http.StatusAccepted {
				t.Fatalf("the receiver answered %d %s", code, body)
			}
		}
	}
	pushSome(nil) // nobody tells: the sweep finds them
	stopOne := startController(t, "one")
	startController(t, "two")
	r := receiver(t)
	pushSome(r)
	stopOne()
	pushSome(r)
	inPhase(t, namespace, number, v1alpha1.PhaseRunning)
	standInRuns(t, namespace, "pass", "class-"+namespace)
	inPhase(t, namespace, number, v1alpha1.PhasePassed)
	oneRunEach(t, namespace)
}

// An API server that goes away while runs are fired and followed costs no push
// and no second run.
func TestControllerOutlivesTheAPIServer(t *testing.T) {
	ownCluster(t)
	namespace, stand := verifiedNamespace(t)
	startController(t, "one")
	r := receiver(t)
	const number = 10
	for i := range number {
		stream := fmt.Sprintf("app%d", i)
		push(t, namespace+"/"+stream+":v1")
		if code, body := send(t, r, streamNamed(t, namespace, stream)); code != http.StatusAccepted {
			t.Fatalf("the receiver answered %d %s", code, body)
		}
	}
	if err := clusterOf(t).Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	inPhase(t, namespace, number, v1alpha1.PhaseRunning)
	standInRuns(t, namespace, "pass", "class-"+namespace)
	inPhase(t, namespace, number, v1alpha1.PhasePassed)
	oneRunEach(t, namespace)
	stand.mu.Lock()
	defer stand.mu.Unlock()
	t.Logf("requests by run: %v", stand.requests)
}
