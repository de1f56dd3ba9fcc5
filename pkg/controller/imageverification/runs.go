package imageverification

import (
	"encoding/json"
	"fmt"
	"strings"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// The labels that Tekton puts on the Pods of a run. The second one keeps out
// Pods that Tekton starts beside the tasks.
const (
	podRunLabel  = "tekton.dev/pipelineRun"
	podTaskLabel = "tekton.dev/taskRun"
)

// resultError is the result by which the steps of triggers/ say why they failed.
const resultError = "error"

// ToRun returns what decisions need to know of a PipelineRun.
func ToRun(pr *pipelinev1.PipelineRun) lifecycle.PipelineRun {
	run := lifecycle.PipelineRun{
		Name:     pr.Name,
		UID:      string(pr.UID),
		RunLabel: pr.Labels[v1alpha1.RunLabel],
		EntryUID: pr.Annotations[v1alpha1.EntryUIDAnnotation],
		Digest:   pr.Annotations[v1alpha1.DigestAnnotation],
	}
	if pr.Status.StartTime != nil {
		run.Started = pr.Status.StartTime.Time
	}
	if pr.Status.CompletionTime != nil {
		run.Finished = pr.Status.CompletionTime.Time
	}
	if c := pr.Status.GetCondition(apis.ConditionSucceeded); c != nil && !c.IsUnknown() {
		run.Done, run.Succeeded, run.Reason, run.Message = true, c.IsTrue(), c.Reason, c.Message
	}
	for _, r := range pr.Status.Results {
		if r.Value.Type != pipelinev1.ParamTypeString {
			continue
		}
		if run.Results == nil {
			run.Results = map[string]string{}
		}
		run.Results[r.Name] = r.Value.StringVal
	}
	return run
}

// toPod returns what decisions need to know of a Pod.
func toPod(p *corev1.Pod) lifecycle.Pod {
	pod := lifecycle.Pod{Name: p.Name, Node: p.Spec.NodeName, Started: startedOf(p)}
	if !pod.Started {
		pod.Waiting = waitingOf(p)
	}
	// Tekton ends a TaskRun when its containers have ended, which may be before the
	// Pod's phase says so.
	if pod.Failure, pod.Error = failureOf(p); pod.Failure == "" && p.Status.Phase == corev1.PodFailed {
		pod.Failure = p.Status.Message // it was evicted, or the like
	}
	for resource, quantity := range p.Spec.Overhead {
		if pod.Overhead == nil {
			pod.Overhead = map[string]string{}
		}
		pod.Overhead[string(resource)] = quantity.String()
	}
	if p.Spec.RuntimeClassName != nil {
		pod.RuntimeClass = *p.Spec.RuntimeClassName
	}
	return pod
}

// failureOf returns what the container of a Pod that failed said, and the result by
// which it said so itself, if it did. Tekton's steps
// leave their results as the container's message, a list in JSON; one named "error"
// is the reason in words. It is empty if none has failed. The API server lists
// containers by name, and Tekton ends all steps after one that failed as failed:
// what a step says itself counts first, and else the first end.
func failureOf(p *corev1.Pod) (failure, result string) {
	first := -1
	for i := range p.Status.ContainerStatuses {
		ended := p.Status.ContainerStatuses[i].State.Terminated
		if ended == nil || ended.ExitCode == 0 {
			continue
		}
		var results []struct{ Key, Value string }
		if json.Unmarshal([]byte(ended.Message), &results) == nil {
			for _, r := range results {
				if r.Key == resultError && r.Value != "" {
					return stepName(p, i) + ": " + r.Value, r.Value
				}
			}
		}
		if first < 0 || ended.FinishedAt.Before(&p.Status.ContainerStatuses[first].State.Terminated.FinishedAt) {
			first = i
		}
	}
	if first < 0 {
		return "", ""
	}
	ended := p.Status.ContainerStatuses[first].State.Terminated
	return fmt.Sprintf("%s: %s, exit status %d", stepName(p, first), ended.Reason, ended.ExitCode), ""
}

func stepName(p *corev1.Pod, container int) string {
	return strings.TrimPrefix(p.Status.ContainerStatuses[container].Name, "step-")
}

// SlimRun keeps of a PipelineRun what ToRun and the references to its TaskRuns
// need: a cache of thousands of runs must not hold their specs and provenance.
// It is a transform of an informer; other objects pass unchanged.
func SlimRun(obj any) (any, error) {
	pr, ok := obj.(*pipelinev1.PipelineRun)
	if !ok {
		return obj, nil
	}
	slim := &pipelinev1.PipelineRun{ObjectMeta: metav1.ObjectMeta{
		Name:              pr.Name,
		Namespace:         pr.Namespace,
		UID:               pr.UID,
		ResourceVersion:   pr.ResourceVersion,
		DeletionTimestamp: pr.DeletionTimestamp,
		Labels:            keep(pr.Labels, v1alpha1.RunLabel),
		Annotations:       keep(pr.Annotations, v1alpha1.EntryUIDAnnotation, v1alpha1.DigestAnnotation),
	}}
	slim.Status.Conditions = pr.Status.Conditions
	slim.Status.StartTime = pr.Status.StartTime
	slim.Status.CompletionTime = pr.Status.CompletionTime
	slim.Status.ChildReferences = pr.Status.ChildReferences
	for _, r := range pr.Status.Results {
		switch r.Name {
		case lifecycle.ResultVerdict, lifecycle.ResultDigest, lifecycle.ResultSummary, lifecycle.ResultReport:
			slim.Status.Results = append(slim.Status.Results, r)
		}
	}
	return slim, nil
}

func keep(all map[string]string, names ...string) map[string]string {
	kept := map[string]string{}
	for _, n := range names {
		if v, ok := all[n]; ok {
			kept[n] = v
		}
	}
	return kept
}
