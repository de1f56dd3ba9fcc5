//go:build linux

package chaos

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"time"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// standIn stands in for Tekton and the pipeline in one way's namespace: it starts each PipelineRun, makes its one Pod object
// with the RuntimeClass that the run asks for, and lets it succeed after a short time with the results of the real
// pipeline. Nothing is executed. It takes a few steps at once only, so as not to be what the API server is busy with, and
// leaves the runs of the direct EventListener as they are: nobody there looks at them again.
type standIn struct {
	way, namespace string
	completes      bool
	steps          chan struct{}
	seed           uint64
	client         client.WithWatch
	timeline       *timeline

	mu sync.Mutex
	// taken are the runs that are being completed, or were.
	taken map[string]bool
	// last is when a run was first seen, the latest time.
	last time.Time
}

func newStandIn(w *env, way, namespace string) *standIn {
	return &standIn{way: way, namespace: namespace, completes: namespace == vetting, steps: make(chan struct{}, stepsAtOnce), seed: w.seed, client: w.admin, timeline: w.timeline, taken: map[string]bool{}}
}

// seen tells how many runs were, and when the latest first was.
func (s *standIn) seen() (number int, last time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.taken), s.last
}

// The time that a run takes.
const (
	shortestRun = 50 * time.Millisecond
	longestRun  = 1500 * time.Millisecond
	stepsAtOnce = 8
	stepTimeout = 10 * time.Second
	// standInAgain is the pace at which a write is repeated that failed.
	standInAgain = 300 * time.Millisecond
)

func (s *standIn) run(ctx context.Context) {
	follow(ctx, s.client, &pipelinev1.PipelineRunList{}, s.namespace, func(o client.Object) { s.see(ctx, o.(*pipelinev1.PipelineRun)) })
}

func (s *standIn) see(ctx context.Context, run *pipelinev1.PipelineRun) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[run.Name] {
		return
	}
	s.taken[run.Name], s.last = true, time.Now()
	s.timeline.note("run", "%s: %s for %s", s.way, run.Name, run.Annotations[v1alpha1.DigestAnnotation])
	if s.completes && run.Status.CompletionTime == nil {
		go s.complete(ctx, run.DeepCopy())
	}
}

// complete takes a run to its end, whatever becomes of the API server meanwhile.
func (s *standIn) complete(ctx context.Context, run *pipelinev1.PipelineRun) {
	began := time.Now()
	for run.Status.CompletionTime == nil {
		if run.Status.StartTime != nil && !sleep(ctx, time.Until(began.Add(s.length(run.Name)))) {
			return
		}
		next := run.DeepCopy()
		if err := s.step(ctx, next); err == nil {
			run = next
			continue
		}
		if !sleep(ctx, standInAgain) {
			return
		}
		// Perhaps it is further than was known: the answer to the last step may have been what was lost.
		if err := s.client.Get(ctx, client.ObjectKeyFromObject(run), next); err == nil {
			run = next
		}
	}
	s.timeline.note("ended", "%s: %s", s.way, run.Name)
}

// step starts a run, or ends one that was started.
func (s *standIn) step(ctx context.Context, run *pipelinev1.PipelineRun) error {
	s.steps <- struct{}{}
	defer func() { <-s.steps }()
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	if run.Status.StartTime == nil {
		return s.begin(ctx, run)
	}
	return s.end(ctx, run)
}

// length is drawn from the seed and the run's name.
func (s *standIn) length(name string) time.Duration {
	h := fnv.New64a()
	_ = binary.Write(h, binary.BigEndian, s.seed) // a hash takes all
	_, _ = h.Write([]byte(name))
	return shortestRun + time.Duration(h.Sum64()%uint64(longestRun-shortestRun))
}

// begin makes the Pod first: a run that has started without one would be no run of the sandbox.
func (s *standIn) begin(ctx context.Context, run *pipelinev1.PipelineRun) error {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: run.Namespace, Name: run.Name, Labels: map[string]string{"tekton.dev/pipelineRun": run.Name, "tekton.dev/taskRun": run.Name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "step", Image: "stand-in"}}},
	}
	if t := run.Spec.TaskRunTemplate.PodTemplate; t != nil {
		pod.Spec.RuntimeClassName = t.RuntimeClassName
	}
	switch err := s.client.Create(ctx, pod); {
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "RuntimeClass") && strings.Contains(err.Error(), "not found"):
		// Only this: an API server that has just started forbids as well what it is not ready for.
		return s.fail(ctx, run, err)
	case err != nil && !apierrors.IsAlreadyExists(err):
		return err
	}
	now := metav1.Now()
	run.Status.StartTime = &now
	run.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionUnknown, Reason: "Running"})
	return s.client.Status().Update(ctx, run)
}

// fail ends a run whose Pod is refused as Tekton does, which does not try again: its TaskRun fails as PodCreationFailed,
// and with it the PipelineRun, which only counts its tasks.
func (s *standIn) fail(ctx context.Context, run *pipelinev1.PipelineRun, refusal error) error {
	now := metav1.Now()
	run.Status.StartTime, run.Status.CompletionTime = &now, &now
	run.Status.SetCondition(&apis.Condition{
		Type: apis.ConditionSucceeded, Status: corev1.ConditionFalse, Reason: "Failed",
		Message: "Tasks Completed: 1 (Failed: 1, Cancelled 0), Skipped: 0",
	})
	s.timeline.note("refused", "%s: the Pod of %s: %v", s.way, run.Name, refusal)
	return s.client.Status().Update(ctx, run)
}

func (s *standIn) end(ctx context.Context, run *pipelinev1.PipelineRun) error {
	now := metav1.Now()
	run.Status.CompletionTime = &now
	run.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionTrue, Reason: "Succeeded"})
	run.Status.Results = []pipelinev1.PipelineRunResult{
		{Name: "verdict", Value: *pipelinev1.NewStructuredValues("pass")},
		{Name: "digest", Value: *pipelinev1.NewStructuredValues(run.Annotations[v1alpha1.DigestAnnotation])},
		{Name: "summary", Value: *pipelinev1.NewStructuredValues(`{"checks":4,"failed":0}`)},
	}
	return s.client.Status().Update(ctx, run)
}

// notes write into the timeline what the ledger does.
type notes struct {
	client   client.WithWatch
	timeline *timeline

	mu    sync.Mutex
	known map[string]string
}

func (n *notes) run(ctx context.Context) {
	follow(ctx, n.client, &v1alpha1.ImageVerificationList{}, vetting, func(o client.Object) { n.see(o.(*v1alpha1.ImageVerification)) })
}

func (n *notes) see(e *v1alpha1.ImageVerification) {
	state := fmt.Sprintf("%s/%s of %s@%s, tags %q, runs %d", e.Status.Phase, e.Status.Reason, e.Spec.Repository.Name, e.Spec.Digest, e.Status.TagNames, e.Status.RunCount)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known[e.Name] != state {
		n.known[e.Name] = state
		n.timeline.note("entry", "%s %s", e.Name, state)
	}
}
