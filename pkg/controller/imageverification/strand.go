package imageverification

import (
	"context"
	"fmt"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/tekton"
)

// sandboxFailed is the reason of the Events by which a kubelet says that it cannot
// make a Pod's sandbox. The Pod itself does not tell.
const sandboxFailed = "FailedCreatePodSandBox"

// inspect looks whether a run's Pods have started, as they should have by now. If
// none has, that is written before anything is done about it.
func (r *Reconciler) inspect(ctx context.Context, p *pass) error {
	run := p.entry.Status.CurrentRun()
	pods, err := tekton.ListPods(ctx, r.live, p.key.Namespace, run.Name)
	if err != nil {
		return err
	}
	if lifecycle.Stranding(run.Sandbox.Requested, p.facts.StartTimeout, pods) == "" {
		r.memory.didStart(run.Name)
		p.seen.PodsStarted = true
		return nil
	}
	for i := range pods {
		if told := r.podTrouble(ctx, p, pods[i].Name); told != "" {
			pods[i].Waiting = told
		}
	}
	why, now := lifecycle.Stranding(run.Sandbox.Requested, p.facts.StartTimeout, pods), r.now()
	p.log.Warn("the run's Pods do not start; it is stopped", zap.String("run", run.Name), zap.String("reason", why))
	return r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) { lifecycle.Strand(s, why, now) })
}

// podTrouble returns what the latest Event says of why a Pod has no sandbox. Where
// Revet may not look, or nothing is told, it is empty.
func (r *Reconciler) podTrouble(ctx context.Context, p *pass, pod string) string {
	var events corev1.EventList
	err := r.live.List(ctx, &events, client.InNamespace(p.key.Namespace), client.MatchingFields{"involvedObject.name": pod, "reason": sandboxFailed})
	if err != nil {
		p.log.Info("reading the Events of a Pod", zap.String("pod", pod), zap.Error(err))
		return ""
	}
	var latest corev1.Event
	for _, e := range events.Items {
		if latest.Message == "" || e.LastTimestamp.After(latest.LastTimestamp.Time) {
			latest = e
		}
	}
	return latest.Message
}

// stop ends a run whose Pods cannot start, by Tekton's own way. What it ends as is
// judged when it has; until then the next run does not begin.
func (r *Reconciler) stop(ctx context.Context, p *pass, d lifecycle.Decision) error {
	run := p.entry.Status.CurrentRun()
	err := r.stopRun(ctx, types.NamespacedName{Namespace: p.key.Namespace, Name: run.Name}, types.UID(run.UID))
	if err != nil {
		return fmt.Errorf("stopping PipelineRun %q, whose Pods do not start: %w", run.Name, err)
	}
	return r.emit(ctx, p, d.After)
}

// strandedBy returns why a run that failed could not start in its class, or "" if
// that is not why it failed.
func (r *Reconciler) strandedBy(ctx context.Context, p *pass, run *v1alpha1.RunStatus, o lifecycle.Outcome) (string, error) {
	switch {
	case lifecycle.Reason(run.Reason) == lifecycle.SandboxUnavailable:
		return run.Message, nil
	case run.Sandbox.Requested == "" || o.Reason != lifecycle.RunFailed:
		return "", nil
	}
	// Without its RuntimeClass a Pod is refused, and Tekton ends the TaskRun. That may be
	// a later one, when others have run in it already.
	failures, err := tekton.ListTaskFailures(ctx, r.live, p.key.Namespace, run.Name)
	switch {
	case meta.IsNoMatchError(err), apierrors.IsForbidden(err):
		// What is known will do: it is a run that failed.
		p.log.Warn("looking into the TaskRuns of a run that failed", zap.String("run", run.Name), zap.Error(err))
		return "", nil
	case err != nil:
		return "", fmt.Errorf("listing the TaskRuns of run %q: %w", run.Name, err)
	}
	for _, f := range failures {
		if lifecycle.MissingClass(run.Sandbox.Requested, f.Message) {
			return fmt.Sprintf("TaskRun %s: %s. Create the RuntimeClass, or correct spec.sandbox.runtimeClassName", f.Name, f.Message), nil
		}
	}
	return "", nil
}
