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
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/tekton"
)

// sandboxFailed is the reason of the Events by which a kubelet says that it cannot create
// a Pod's sandbox. The Pod's status does not say.
const sandboxFailed = "FailedCreatePodSandBox"

// maxEvents is how many Events of one Pod are read: anybody who edits the namespace makes more.
const (
	maxEvents  = 128
	eventsPage = 16
)

// inspect looks whether the run's Pods have started, as they should have by now.
func (r *Reconciler) inspect(ctx context.Context, p *pass) error {
	run, limit := p.entry.Status.CurrentRun(), p.facts.Trigger.StartTimeout
	pods, err := tekton.ListPods(ctx, r.live, p.key.Namespace, run.Name)
	if err != nil {
		return err
	}
	if lifecycle.StartFailure(run.Sandbox.Requested, limit, pods) == "" {
		r.perEntry.podsStarted.set(p.key, run.Name)
		p.facts.Run.Pods = lifecycle.PodsStarted
		return nil
	}
	for i := range pods {
		if trouble := r.podTrouble(ctx, p, pods[i].Name); trouble != "" {
			pods[i].Waiting = trouble
		}
	}
	p.facts.Run.Pods = lifecycle.PodsNotStarted
	p.facts.Run.StartFailure = lifecycle.StartFailure(run.Sandbox.Requested, limit, pods)
	return nil
}

// failStart records that the run's Pods do not start, before anything is done about it.
func (r *Reconciler) failStart(ctx context.Context, p *pass, d lifecycle.Decision) error {
	now := r.now()
	p.log.Warn("the run's Pods do not start; stopping the run", zap.String("run", p.facts.Run.Name), zap.String("reason", d.Message))
	return r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) { lifecycle.RecordStartFailure(s, d.Message, now) })
}

// podTrouble returns why a Pod has no sandbox, as its latest Event says. It is empty if no
// Event says so, or if Revet may not read Events.
func (r *Reconciler) podTrouble(ctx context.Context, p *pass, pod string) string {
	var latest corev1.Event
	seen := 0
	err := kube.EachPage(ctx, eventsPage, func(ctx context.Context, limit int64, next string) (string, error) {
		var events corev1.EventList
		err := r.live.List(ctx, &events, client.InNamespace(p.key.Namespace), client.MatchingFields{"involvedObject.name": pod, "reason": sandboxFailed},
			client.Limit(limit), client.Continue(next))
		for _, e := range events.Items {
			if latest.Message == "" || e.LastTimestamp.After(latest.LastTimestamp.Time) {
				latest = e
			}
		}
		if seen += len(events.Items); seen > maxEvents {
			return "", err
		}
		return events.Continue, err
	})
	if err != nil {
		p.log.Info("reading the Events of a Pod", zap.String("pod", pod), zap.Error(err))
		return ""
	}
	return latest.Message
}

// stop cancels a run whose Pods cannot start. Its outcome is judged once it has ended; the
// next run does not begin before.
func (r *Reconciler) stop(ctx context.Context, p *pass, d lifecycle.Decision) error {
	run := p.entry.Status.CurrentRun()
	err := r.stopRun(ctx, types.NamespacedName{Namespace: p.key.Namespace, Name: run.Name}, types.UID(run.UID))
	if err != nil {
		return fmt.Errorf("stopping PipelineRun %q, whose Pods do not start: %w", run.Name, err)
	}
	return r.emit(ctx, p, d.After)
}

// startFailure returns why a run that failed could not start in its class, or "" if that
// is not why it failed.
func (r *Reconciler) startFailure(ctx context.Context, p *pass, run *v1alpha1.RunStatus, o lifecycle.Outcome) (string, error) {
	switch {
	case lifecycle.Reason(run.Reason) == lifecycle.SandboxUnavailable:
		return run.Message, nil
	case run.Sandbox.Requested == "" || o.Reason != lifecycle.RunFailed:
		return "", nil
	}
	// The API server refuses a Pod without its RuntimeClass, and Tekton ends the TaskRun.
	// Earlier TaskRuns of the run may have run in the class.
	failures, err := tekton.ListTaskFailures(ctx, r.live, p.key.Namespace, run.Name)
	switch {
	case meta.IsNoMatchError(err), apierrors.IsForbidden(err):
		// It stays a run that failed.
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
