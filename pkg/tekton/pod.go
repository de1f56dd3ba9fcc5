package tekton

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// Tekton labels the Pods of a run with both. The second keeps out Pods that Tekton
// starts beside the tasks.
const (
	podRunLabel  = "tekton.dev/pipelineRun"
	podTaskLabel = "tekton.dev/taskRun"
)

// resultError is the result in which the steps of triggers/ say why they failed.
const resultError = "error"

// podsPage is how many Pods a page of a list has. Whoever may make Pods labels as many as they want.
const podsPage = 100

// ListPods lists the Pods of a run's tasks. It holds one page of them at a time.
func ListPods(ctx context.Context, reader client.Reader, namespace, run string) ([]lifecycle.Pod, error) {
	pods := []lifecycle.Pod{}
	err := kube.EachPage(ctx, podsPage, func(ctx context.Context, limit int64, next string) (string, error) {
		var found corev1.PodList
		err := reader.List(ctx, &found, client.InNamespace(namespace), client.MatchingLabels{podRunLabel: run}, client.HasLabels{podTaskLabel},
			client.Limit(limit), client.Continue(next))
		if err != nil {
			return "", err
		}
		for i := range found.Items {
			pods = append(pods, PodFrom(&found.Items[i]))
		}
		return found.Continue, nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the Pods of run %q: %w", run, err)
	}
	return pods, nil
}

// PodFrom returns what decisions need to know of a Pod.
func PodFrom(p *corev1.Pod) lifecycle.Pod {
	pod := lifecycle.Pod{Name: p.Name, Node: p.Spec.NodeName, Started: hasStarted(p)}
	if !pod.Started {
		pod.Waiting = waitingReason(p)
	}
	// Tekton ends a TaskRun when its containers have ended, which may be before the
	// Pod's phase says so.
	if pod.Failure, pod.Error = failureOf(p); pod.Failure == "" && p.Status.Phase == corev1.PodFailed {
		pod.Failure = p.Status.Message // for example, the kubelet evicted it
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

// failureOf returns why a Pod failed, and the result "error" of the step that failed,
// if it wrote one. Both are empty if no container failed.
//
// Tekton stores a step's results as its container's message, a JSON list. After one
// step fails, Tekton ends all later steps as failed too, and the API server lists
// containers by name. So a step that names its error counts first, and otherwise the
// container that ended first.
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

// waitingReason returns why a Pod has not started: what its scheduler or its
// containers say.
func waitingReason(p *corev1.Pod) string {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return c.Reason + ": " + c.Message
		}
	}
	for _, statuses := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range statuses {
			if w := statuses[i].State.Waiting; w != nil && w.Message != "" {
				return strings.TrimSpace(w.Reason + ": " + w.Message)
			}
		}
	}
	return "its status gives no reason"
}

// hasStarted reports whether any container of a Pod has run.
func hasStarted(p *corev1.Pod) bool {
	for _, statuses := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range statuses {
			if s := statuses[i].State; s.Running != nil || s.Terminated != nil {
				return true
			}
		}
	}
	return p.Status.Phase == corev1.PodRunning || p.Status.Phase == corev1.PodSucceeded
}
