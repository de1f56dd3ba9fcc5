package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/app"
	"github.com/revet-dev/revet/pkg/runrequest"
	"github.com/revet-dev/revet/test/cluster/upstream"
	"github.com/revet-dev/revet/test/rig"
)

// guarded is a namespace with the listener of triggers/, served by Tekton's own program, whose
// interceptor a receiver answers for.
type guarded struct {
	t         *testing.T
	namespace string
	listener  string // its address
	answers   string // the interceptor's address
	refused   *observer.ObservedLogs
	events    *app.Receiver
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{t: t, namespace: newNamespace(t), listener: freeAddress(t), answers: freeAddress(t)}
	for _, pattern := range []string{"100-*.yaml", "500-*.yaml", "600-*.yaml", "700-*.yaml"} {
		g.must(rig.Apply(t.Context(), admin(t), g.namespace, filepath.Join(repository, "triggers", pattern)))
	}
	for _, o := range []client.Object{
		rig.Interceptor(clusterOf(t).RESTConfig().CAData),
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: g.namespace, Name: "default"}},
		&nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "kata"}, Handler: "kata"},
		&v1alpha1.ImageTrigger{
			ObjectMeta: metav1.ObjectMeta{Namespace: g.namespace, Name: "vet"},
			Spec: v1alpha1.ImageTriggerSpec{
				Images:  []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{}}},
				Sink:    v1alpha1.Sink{Ref: &v1alpha1.SinkRef{Name: "scan-and-validate"}},
				Sandbox: v1alpha1.Sandbox{RuntimeClassName: "kata"},
			},
		},
	} {
		if err := admin(t).Create(t.Context(), o); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	mayGet(t, g.namespace)
	g.must(rig.AnswerAt(t.Context(), admin(t), g.answers))
	g.serve()
	g.events = receiver(t)
	return g
}

func (g *guarded) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// serve runs Tekton's program for EventListeners.
func (g *guarded) serve() {
	g.t.Helper()
	o := upstream.Options{CacheDir: rig.CacheDir(), Log: g.t.Logf}
	sink, err := upstream.EnsureBinary(g.t.Context(), o, "github.com/tektoncd/triggers/cmd/eventlistenersink")
	g.must(err)
	_, port, err := net.SplitHostPort(g.listener)
	g.must(err)
	const name = "scan-and-validate"
	p, err := rig.Program{Name: "the listener", Path: sink, Env: []string{
		"KUBECONFIG=" + kubeconfigFile(g.t, "listener", account(g.t, g.namespace, name+"-listener")),
		"NAMESPACE=" + g.namespace, "NAME=" + name, "SYSTEM_NAMESPACE=" + g.namespace, "PROFILING_PORT=0",
		"KUBE_API_QPS=200", "KUBE_API_BURST=400",
	}, Args: []string{"-el-name", name, "-el-namespace", g.namespace, "-port", port}}.Start()
	g.must(err)
	g.t.Cleanup(func() {
		if p.Stop(); g.t.Failed() {
			g.t.Logf("the listener logged:\n%s", p.Tail())
		}
	})
	ctx, cancel := context.WithTimeout(g.t.Context(), time.Minute)
	defer cancel()
	g.must(p.Await(ctx, "http://"+g.listener+"/live"))
	var object triggersv1beta1.EventListener
	g.must(admin(g.t).Get(g.t.Context(), types.NamespacedName{Namespace: g.namespace, Name: name}, &object))
	object.Status.SetAddress(g.listener)
	g.must(admin(g.t).Status().Update(g.t.Context(), &object))
}

// answer runs a receiver that answers the listener. What is returned stops it; so does the end
// of the test.
func (g *guarded) answer() (stop func()) {
	g.t.Helper()
	core, logs := observer.New(zap.WarnLevel)
	g.refused = logs
	o := app.DefaultReceiverOptions()
	o.Address, o.HealthAddress, o.InterceptorAddress, o.MetricsAddress, o.DrainDelay = "127.0.0.1:0", "127.0.0.1:0", g.answers, "", 0
	o.Config, o.Log = account(g.t, systemNamespace, "receiver"), zap.New(core)
	r, err := app.NewReceiver(g.t.Context(), o)
	g.must(err)
	g.must(r.Start(g.t.Context()))
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			g.must(r.Stop(context.WithoutCancel(g.t.Context())))
		}
	}
	g.t.Cleanup(stop)
	return stop
}

// post sends the listener a body, as any Pod may, and again until the interceptor says that it
// refused it: of what comes within a second, it logs one.
func (g *guarded) post(body, signature, reason, says string) {
	g.t.Helper()
	eventually(g.t, "the interceptor refuses it as "+reason, func() error {
		request, err := http.NewRequestWithContext(g.t.Context(), http.MethodPost, "http://"+g.listener, strings.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		if signature != "" {
			request.Header.Set(runrequest.Header, signature)
		}
		if code, err := do(request); err != nil || code != http.StatusAccepted {
			return fmt.Errorf("the listener answered %d, %w", code, err)
		}
		for _, line := range g.refused.All() {
			if f := line.ContextMap(); f["reason"] == reason && strings.Contains(fmt.Sprint(f["cause"]), says) {
				return nil
			}
		}
		return fmt.Errorf("it logged %v", g.refused.All())
	})
}

// verified pushes an image, and waits for its run; meanwhile is called while it has none.
func (g *guarded) verified(image string, meanwhile func()) pipelinev1.PipelineRun {
	g.t.Helper()
	digest := push(g.t, g.namespace+"/"+image+":v1")
	eventually(g.t, "the push is recorded", func() error {
		if code, body := send(g.t, g.events, streamNamed(g.t, g.namespace, image)); code != http.StatusAccepted {
			return fmt.Errorf("answered %d %s", code, body)
		}
		for _, e := range entriesOf(g.t, g.namespace) {
			if e.Spec.Digest == digest {
				return nil
			}
		}
		return errors.New("there is no entry")
	})
	meanwhile()
	var run pipelinev1.PipelineRun
	within(g.t, time.Minute, "the run of "+image, func() error {
		for _, pr := range runsOf(g.t, g.namespace) {
			if pr.Annotations[v1alpha1.DigestAnnotation] == digest {
				run = pr
				return nil
			}
		}
		return fmt.Errorf("there are %d runs of others", len(runsOf(g.t, g.namespace)))
	})
	return run
}

// keys returns the keys of requests, after a change if there is one.
func (g *guarded) keys(change func(data map[string][]byte)) runrequest.Keys {
	g.t.Helper()
	var secret corev1.Secret
	g.must(admin(g.t).Get(g.t.Context(), types.NamespacedName{Namespace: systemNamespace, Name: runrequest.Secret}, &secret))
	if change != nil {
		change(secret.Data)
		g.must(admin(g.t).Update(g.t.Context(), &secret))
	}
	keys, err := runrequest.ParseKeys(secret.Data)
	g.must(err)
	return keys
}

// Property (D6): Tekton's own EventListener, with the manifests of triggers/, makes PipelineRuns of
// what Revet's controller sent, and of nothing else, where no network policy is in force. Keys
// rotate without a loss, and what is sent while nobody answers the listener runs afterwards.
func TestTheListenerTakesRequestsOfRevetAlone(t *testing.T) {
	ownCluster(t)
	g := newGuarded(t)
	stop := g.answer()
	startController(t, "one")
	first := g.verified("first", func() {})
	if class := first.Spec.TaskRunTemplate.PodTemplate.RuntimeClassName; class == nil || *class != "kata" {
		t.Errorf("the run is in the class %v", class)
	}
	g.refusesOthers(first)
	signs := g.keys(nil).Newest()
	g.keys(func(data map[string][]byte) { data["2999-01-01"] = bytes.Repeat([]byte("k"), runrequest.MinKey) })
	g.verified("second", func() {})
	g.keys(func(data map[string][]byte) { delete(data, signs) })
	g.verified("third", func() {})
	stop()
	g.verified("fourth", func() {
		eventually(t, "its request is sent", func() error {
			for _, e := range entriesOf(t, g.namespace) {
				if run := e.Status.CurrentRun(); strings.HasSuffix(e.Spec.Repository.Name, "/fourth") && run != nil && run.FiredAt != nil {
					return nil
				}
			}
			return errors.New("it is not")
		})
		if got := len(runsOf(t, g.namespace)); got != 3 {
			t.Errorf("%d runs while nobody answers the listener, want the three before", got)
		}
		g.answer()
	})
	if got := len(runsOf(t, g.namespace)); got != 4 {
		t.Errorf("%d runs, want one for each push", got)
	}
}

// refusesOthers posts what any Pod may, and wants no run of it.
func (g *guarded) refusesOthers(first pipelinev1.PipelineRun) {
	g.t.Helper()
	reference := first.Spec.Params[0].Value.StringVal
	_, digest, _ := strings.Cut(reference, "@")
	body := fmt.Sprintf(`{"run":"mine-1","entryUID":"0f4e3a52-3c1f-4a1c-9d6e-2f0d6c1f7b11","image":{"reference":%q,"digest":%q},"sandbox":{"podField":%%q,"podValue":%%q}}`, reference, digest)
	scheduler := fmt.Sprintf(body, "schedulerName", "mine")
	good := fmt.Sprintf(body, "schedulerName", "default-scheduler")
	keys := g.keys(nil)
	sign := func(namespace, body string) string {
		s, err := keys.Sign(time.Now(), namespace, []byte(body))
		g.must(err)
		return s
	}
	g.post(good, "", "Unsigned", "no header")
	g.post(good, strings.Repeat("x", 80), "BadSignature", "not one header")
	g.post(good, sign("another-team", good), "WrongSignature", "in namespace")
	g.refused.TakeAll() // of which the next differs by the cause alone
	g.post(good, sign(g.namespace, scheduler), "WrongSignature", fmt.Sprintf("in namespace %q", g.namespace))
	g.post(scheduler, sign(g.namespace, scheduler), "WrongForm", "podField")
	stale, err := keys.Sign(time.Now().Add(-runrequest.MaxAge-time.Minute), g.namespace, []byte(good))
	g.must(err)
	g.post(good, stale, "Stale", "old")
	if runs := runsOf(g.t, g.namespace); len(runs) != 1 {
		g.t.Errorf("there are %d runs, want the one that Revet asked for", len(runs))
	}
}
