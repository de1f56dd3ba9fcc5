package imageverification

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/controller"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/tekton"
)

// sightName is the name under which the entry's run is looked for: the current
// run's, or the one that the next run would have, as a process may have ended
// after firing it and before recording that.
func sightName(e *v1alpha1.ImageVerification) string {
	if run := e.Status.CurrentRun(); run != nil {
		return run.Name
	}
	return ledger.RunName(e, e.Status.RunCount+1)
}

// sight looks for the run in the cache. What is not there was not looked for: a
// watch may lag. A sighting of the same run by the API server is kept.
func (r *Reconciler) sight(ctx context.Context, p *pass) error {
	name := sightName(p.entry)
	run, err := tekton.GetRun(ctx, r.cached, types.NamespacedName{Namespace: p.key.Namespace, Name: name})
	switch {
	case err == nil:
		p.seen = lifecycle.Sighting{Sight: lifecycle.Found, Run: run, PodsStarted: r.memory.hasStarted(name)}
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("reading PipelineRun %q: %w", name, err)
	case p.seen.Run.Name != name:
		p.seen = lifecycle.Sighting{Run: lifecycle.PipelineRun{Name: name}}
	}
	return nil
}

// look asks the API server whether the run exists. The sighting keeps the name
// also if it does not, so that it is known which run is absent.
func (r *Reconciler) look(ctx context.Context, p *pass) error {
	name := sightName(p.entry)
	run, err := tekton.GetRun(ctx, r.live, types.NamespacedName{Namespace: p.key.Namespace, Name: name})
	switch {
	case err == nil:
		p.seen = lifecycle.Sighting{Sight: lifecycle.Found, Run: run, PodsStarted: r.memory.hasStarted(name)}
	case apierrors.IsNotFound(err):
		p.seen = lifecycle.Sighting{Sight: lifecycle.Absent, Run: lifecycle.PipelineRun{Name: name}}
	default:
		return fmt.Errorf("looking for PipelineRun %q: %w", name, err)
	}
	return nil
}

// wait records what is waited for, if that is news, and ends the pass.
func (r *Reconciler) wait(ctx context.Context, p *pass, d lifecycle.Decision) (bool, error) {
	if done, ok := r.memory.wasSent(sightName(p.entry)); ok && p.entry.Status.CurrentRun() == nil && d.Cause.Type != "" {
		// The trigger got into trouble since run 1 was fired: it is to be followed all
		// the same.
		return r.recordFirst(ctx, p, d, done)
	}
	if d.Hold {
		if p.entry.Status.CurrentRun() == nil {
			r.slots.free(p.key)
		}
		if err := r.hold(ctx, p, d); err != nil {
			return false, err
		}
	}
	return false, r.emit(ctx, p, d.After)
}

func (r *Reconciler) hold(ctx context.Context, p *pass, d lifecycle.Decision) error {
	now := r.now()
	if probe := p.entry.DeepCopy(); !lifecycle.Hold(&probe.Status, d.Reason, d.Message, now) {
		return nil
	}
	return r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) { lifecycle.Hold(s, d.Reason, d.Message, now) })
}

// skip ends the undecided pushes without a run.
func (r *Reconciler) skip(ctx context.Context, p *pass, phase v1alpha1.Phase, d lifecycle.Decision) error {
	now := r.now()
	err := r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) {
		lifecycle.Pass(s, phase, d.Cause, d.Reason, d.Message, now)
	})
	if err == nil {
		r.slots.free(p.key)
	}
	return err
}

// confirm records that the run exists, or has started. A crash before the write
// repeats it from the same PipelineRun.
func (r *Reconciler) confirm(ctx context.Context, p *pass, d lifecycle.Decision) error {
	now, seen := r.now(), p.seen.Run
	err := r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) { lifecycle.Confirm(s, seen, now) })
	if err == nil && d.Action == lifecycle.Adopt {
		r.metrics.confirmed(ctx, p.entry, now)
		failpoint.Hit("verification.confirmed")
	}
	return err
}

// judge records the outcome of a run that is done. A crash before the write
// repeats it, as long as the PipelineRun and its Pods are there; after it there
// is nothing left to do.
func (r *Reconciler) judge(ctx context.Context, p *pass) error {
	run := p.entry.Status.CurrentRun()
	digest, err := image.ParseDigest(p.entry.Spec.Digest)
	if err != nil {
		return controller.NewPermanentError(fmt.Errorf("entry %q: %w", p.key, err))
	}
	pods, err := tekton.ListPods(ctx, r.live, p.key.Namespace, run.Name)
	if err != nil {
		return err
	}
	now, seen, facts := r.now(), p.seen.Run, p.facts
	outcome := lifecycle.Judge(digest, run.Sandbox.Requested, seen, pods)
	outcome.Sandbox.Route, outcome.Sandbox.RouteMessage = run.Sandbox.Route, run.Sandbox.RouteMessage
	why, err := r.strandedBy(ctx, p, run, outcome)
	if err != nil {
		return err
	}
	outcome = outcome.Stranded(why)
	err = r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) {
		lifecycle.Finish(s, seen, outcome, facts.Freshness, now)
		lifecycle.Schedule(s, facts, now) // in one write: a retry is neither lost nor made twice
	})
	if err != nil {
		return err
	}
	failpoint.Hit("verification.outcome")
	r.metrics.finished(ctx, p.entry, now)
	r.memory.ended(run.Name)
	r.memory.wasRead(p.key)
	r.slots.free(p.key)
	return nil
}

// end ends a run without a verdict. What follows from it, such as a run for the
// cause Vanished, is decided from what is written here.
func (r *Reconciler) end(ctx context.Context, p *pass, d lifecycle.Decision) error {
	now := r.now()
	err := r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) {
		lifecycle.Abort(s, d.Reason, d.Message, now)
	})
	if err != nil {
		return err
	}
	failpoint.Hit("verification.outcome")
	r.metrics.finished(ctx, p.entry, now)
	r.slots.free(p.key)
	return nil
}
