package tekton

import (
	"context"
	"fmt"
	"strings"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// RunKind is the kind of what a request starts.
var RunKind = pipelinev1.SchemeGroupVersion.WithKind(pipelineRun)

const pipelineRun = "PipelineRun"

// NewRunObject returns an empty PipelineRun, for a cache or an informer that needs
// to know the type.
func NewRunObject() client.Object { return &pipelinev1.PipelineRun{} }

// RunFrom returns what decisions need to know of a PipelineRun.
func RunFrom(pr *pipelinev1.PipelineRun) lifecycle.PipelineRun {
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

// GetRun reads one PipelineRun. The error is the reader's, so that the caller can
// tell "not found" from "could not ask".
func GetRun(ctx context.Context, reader client.Reader, key types.NamespacedName) (lifecycle.PipelineRun, error) {
	var pr pipelinev1.PipelineRun
	if err := reader.Get(ctx, key, &pr); err != nil {
		return lifecycle.PipelineRun{}, err
	}
	return RunFrom(&pr), nil
}

// ListRuns lists PipelineRuns that carry the run's label under any name, two of them at most, or,
// if run is empty, those of all runs of the namespace.
func ListRuns(ctx context.Context, reader client.Reader, namespace, run string) ([]lifecycle.PipelineRun, error) {
	selected, page := client.ListOption(client.HasLabels{v1alpha1.RunLabel}), int64(runsPage)
	if run != "" {
		selected, page = client.MatchingLabels{v1alpha1.RunLabel: run}, 2
	}
	runs := []lifecycle.PipelineRun{}
	err := kube.EachPage(ctx, page, func(ctx context.Context, limit int64, next string) (string, error) {
		var found pipelinev1.PipelineRunList
		if err := reader.List(ctx, &found, client.InNamespace(namespace), selected, client.Limit(limit), client.Continue(next)); err != nil {
			return "", err
		}
		for i := range found.Items {
			runs = append(runs, RunFrom(&found.Items[i]))
		}
		if run != "" && len(runs) >= 2 {
			return "", nil // one of them has another name
		}
		return found.Continue, nil
	})
	if err != nil {
		return nil, err
	}
	return runs, nil
}

// runsPage is how many PipelineRuns are read at once.
const runsPage = 100

// TaskFailure is what Tekton says of a TaskRun that has not succeeded.
type TaskFailure struct{ Name, Message string }

// ListTaskFailures lists what Tekton says of the TaskRuns of a run that have not
// succeeded, of the first maxPods.
func ListTaskFailures(ctx context.Context, reader client.Reader, namespace, run string) ([]TaskFailure, error) {
	var failures []TaskFailure
	seen := 0
	err := kube.EachPage(ctx, podsPage, func(ctx context.Context, limit int64, next string) (string, error) {
		var tasks pipelinev1.TaskRunList
		if err := reader.List(ctx, &tasks, client.InNamespace(namespace), client.MatchingLabels{podRunLabel: run}, client.Limit(limit), client.Continue(next)); err != nil {
			return "", err
		}
		for i := range tasks.Items {
			if c := tasks.Items[i].Status.GetCondition(apis.ConditionSucceeded); c != nil && !c.IsTrue() {
				failures = append(failures, TaskFailure{tasks.Items[i].Name, c.Message})
			}
		}
		if seen += len(tasks.Items); seen > maxPods {
			return "", nil
		}
		return tasks.Continue, nil
	})
	if err != nil {
		return nil, err
	}
	return failures, nil
}

// CancelRun asks Tekton to cancel a PipelineRun. The UID keeps the patch from
// another PipelineRun of the same name: the API server answers that with a
// conflict, and there is nothing left to cancel.
func CancelRun(ctx context.Context, writer client.Writer, key types.NamespacedName, uid types.UID) error {
	pr := &pipelinev1.PipelineRun{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	patch := fmt.Sprintf(`{"metadata":{"uid":%q},"spec":{"status":%q}}`, uid, pipelinev1.PipelineRunSpecStatusCancelled)
	err := writer.Patch(ctx, pr, client.RawPatch(types.MergePatchType, []byte(patch)))
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return fmt.Errorf("cancelling PipelineRun %q: %w", key, err)
}

// TrimRun is an informer's transform. It keeps of a PipelineRun what tells it apart, when it started and
// whether it has ended, as anybody who may create PipelineRuns fills the cache with those that carry
// the run's label, and may make each of them as large as the API server stores. What it says of its
// end is read from the API server. Other objects pass unchanged.
func TrimRun(obj any) (any, error) {
	pr, ok := obj.(*pipelinev1.PipelineRun)
	if !ok {
		return obj, nil
	}
	trimmed := &pipelinev1.PipelineRun{ObjectMeta: metav1.ObjectMeta{
		Name:              pr.Name,
		Namespace:         pr.Namespace,
		UID:               pr.UID,
		ResourceVersion:   pr.ResourceVersion,
		DeletionTimestamp: pr.DeletionTimestamp,
		Labels:            keep(pr.Labels, v1alpha1.RunLabel),
		Annotations:       keep(pr.Annotations, v1alpha1.EntryUIDAnnotation, v1alpha1.DigestAnnotation),
	}}
	trimmed.Status.StartTime = pr.Status.StartTime
	trimmed.Status.CompletionTime = pr.Status.CompletionTime
	if c := pr.Status.GetCondition(apis.ConditionSucceeded); c != nil {
		trimmed.Status.Conditions = duckv1.Conditions{{Type: c.Type, Status: c.Status}}
	}
	return trimmed, nil
}

// maxMark bounds what is kept of an annotation. Those that Revet has written are shorter, and no other
// one equals them once it is cut.
const maxMark = 128

func keep(all map[string]string, names ...string) map[string]string {
	kept := map[string]string{}
	for _, n := range names {
		if v, ok := all[n]; ok {
			kept[n] = strings.Clone(v[:min(len(v), maxMark)])
		}
	}
	return kept
}
