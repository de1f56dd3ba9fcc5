//go:build linux

package upgrade

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/tektoncd/pipeline/pkg/apis/pipeline/pod"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// createTimeout bounds the creation of one PipelineRun.
const createTimeout = 10 * time.Second

// Listener stands for Tekton: it answers a request and then creates the PipelineRun, as an
// EventListener does. A deaf one answers and creates nothing.
type Listener struct {
	client client.Client
	deaf   bool
	server *httptest.Server

	mu       sync.Mutex
	requests map[string]int // by run
}

// StartListeners starts what serves the EventListeners of the namespace, and writes its address
// where Tekton's controller would write its own.
func StartListeners(ctx context.Context, c client.Client, deaf bool) (*Listener, error) {
	l := &Listener{client: c, deaf: deaf, requests: map[string]int{}}
	l.server = httptest.NewServer(l)
	for _, name := range []string{"scan", deafListener} {
		var object triggersv1beta1.EventListener
		if err := c.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: name}, &object); err != nil {
			return nil, err
		}
		// One server answers both: the host's name tells them apart.
		_, port, _ := strings.Cut(strings.TrimPrefix(l.server.URL, "http://"), ":")
		host := map[string]string{"scan": "127.0.0.1", deafListener: "localhost"}[name]
		object.Status.SetAddress(host + ":" + port)
		if err := c.Status().Update(ctx, &object); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Stop ends the listener.
func (l *Listener) Stop() { l.server.Close() }

// Requests is how many requests the listener took for each run.
func (l *Listener) Requests() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[string]int{}
	for run, n := range l.requests {
		all[run] = n
	}
	return all
}

// ServeHTTP takes one request.
func (l *Listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
	forget := l.deaf && strings.HasPrefix(r.Host, "localhost")
	l.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
	if !forget {
		go l.create(context.WithoutCancel(r.Context()), body.Run, body.EntryUID, body.Image.Digest, body.Sandbox.RuntimeClassName)
	}
}

// create is tried once: a real listener only logs that it failed.
func (l *Listener) create(ctx context.Context, run, entryUID, digest, class string) {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	_ = l.client.Create(ctx, &pipelinev1.PipelineRun{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: Namespace, Name: run,
			Labels:      map[string]string{v1alpha1.RunLabel: run},
			Annotations: map[string]string{v1alpha1.EntryUIDAnnotation: entryUID, v1alpha1.DigestAnnotation: digest},
		},
		Spec: pipelinev1.PipelineRunSpec{
			Params:          pipelinev1.Params{{Name: "digest", Value: *pipelinev1.NewStructuredValues(digest)}},
			TaskRunTemplate: pipelinev1.PipelineTaskRunTemplate{PodTemplate: &pod.PodTemplate{RuntimeClassName: &class}},
		},
	})
}

// End ends a run as Tekton does, with one Pod of a RuntimeClass and the results of the pipeline.
func End(ctx context.Context, c client.Client, run *pipelinev1.PipelineRun, verdict, class string) error {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: run.Namespace, Name: run.Name,
			Labels: map[string]string{"tekton.dev/pipelineRun": run.Name, "tekton.dev/taskRun": run.Name},
		},
		Spec: corev1.PodSpec{RuntimeClassName: &class, Containers: []corev1.Container{{Name: "step", Image: "none"}}},
	}
	if err := client.IgnoreAlreadyExists(c.Create(ctx, pod)); err != nil {
		return err
	}
	now := metav1.Now()
	run.Status.StartTime, run.Status.CompletionTime = &now, &now
	if verdict == noVerdict {
		run.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionFalse, Reason: "Failed", Message: "the node went away"})
		return c.Status().Update(ctx, run)
	}
	run.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionTrue, Reason: "Succeeded"})
	run.Status.Results = []pipelinev1.PipelineRunResult{
		{Name: "verdict", Value: *pipelinev1.NewStructuredValues(verdict)},
		{Name: "digest", Value: *pipelinev1.NewStructuredValues(run.Annotations[v1alpha1.DigestAnnotation])},
		{Name: "summary", Value: *pipelinev1.NewStructuredValues(`{"checks":4}`)},
	}
	return c.Status().Update(ctx, run)
}
