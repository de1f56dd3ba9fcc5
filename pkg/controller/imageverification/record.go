package imageverification

import (
	"context"
	"fmt"
	"time"

	"knative.dev/pkg/controller"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/tekton"
)

// cacheRetry is when an entry is visited again because the cache lags behind the API server.
const cacheRetry = time.Second

// wait says in the status what the entry waits for, if that is worth a note, and ends the pass.
func (r *Reconciler) wait(ctx context.Context, p *pass, d lifecycle.Decision) error {
	if d.FreesSlot() {
		r.runQueue.free(p.key)
	}
	if d.Hold {
		now := r.now()
		if probe := p.entry.DeepCopy(); lifecycle.RecordWait(&probe.Status, d.Reason, d.Message, now) {
			if !r.takeTurn(p) {
				return later(turnRetry)
			}
			err := r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) { lifecycle.RecordWait(s, d.Reason, d.Message, now) })
			if err != nil {
				return err
			}
		}
	}
	return r.emit(ctx, p, d.After)
}

// recordRun records a new run that an earlier process fired.
func (r *Reconciler) recordRun(ctx context.Context, p *pass, d lifecycle.Decision) error {
	facts, now := p.facts, r.now()
	return r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) { lifecycle.RecordNewRun(s, facts, d.Cause, now) })
}

// skip ends the undecided pushes without a run.
func (r *Reconciler) skip(ctx context.Context, p *pass, d lifecycle.Decision) error {
	now := r.now()
	err := r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) {
		lifecycle.EndWithoutRun(s, d.Cause, d.Reason, d.Message, now)
	})
	if err == nil {
		r.perEntry.drop(p.key)
		r.runQueue.free(p.key)
	}
	return err
}

// confirm records that the run exists, or has started.
func (r *Reconciler) confirm(ctx context.Context, p *pass, d lifecycle.Decision) error {
	now, seen := r.now(), p.facts.Run.Run
	err := r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) { lifecycle.RecordRunSeen(s, seen, now) })
	if err == nil && d.Action == lifecycle.Confirm {
		r.metrics.confirmed(ctx, p.entry, now)
		failpoint.Hit("verification.confirmed")
	}
	return err
}

// abandon gives up the repetition of the latest run.
func (r *Reconciler) abandon(ctx context.Context, p *pass) error {
	now := r.now()
	return r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) { lifecycle.RecordAbandoned(s, now) })
}

// judge records the outcome of a run that is done. The cache does not have what the run says of its
// end. A run that was deleted, or replaced, meanwhile is decided about once the watch shows that.
func (r *Reconciler) judge(ctx context.Context, p *pass) error {
	cached := p.facts.Run.Run
	if err := r.lookupLive(ctx, p); err != nil {
		return err
	}
	if seen := p.facts.Run; seen.Lookup != lifecycle.Found || !seen.Run.Done || seen.Run.UID != cached.UID {
		return later(cacheRetry)
	}
	run := p.entry.Status.CurrentRun()
	digest, err := image.ParseDigest(p.entry.Spec.Digest)
	if err != nil {
		return controller.NewPermanentError(fmt.Errorf("entry %q: %w", p.key, err))
	}
	pods, err := tekton.ListPods(ctx, r.live, p.key.Namespace, run.Name)
	if err != nil {
		return err
	}
	now, seen := r.now(), p.facts.Run.Run
	outcome := lifecycle.OutcomeOf(digest, run.Sandbox.Requested, seen, pods)
	outcome.Sandbox.Route, outcome.Sandbox.RouteMessage = run.Sandbox.Route, run.Sandbox.RouteMessage
	why, err := r.startFailure(ctx, p, run, outcome)
	if err != nil {
		return err
	}
	outcome = outcome.FailedToStart(why)
	// This run counts already, so that the status says at once when it is repeated.
	p.facts.Trigger.RetryFactor = r.failing.factor(p.key.Namespace, 1, now)
	trigger := p.facts.Trigger
	err = r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) {
		lifecycle.RecordOutcome(s, seen, outcome, now)
		lifecycle.RecordRetry(s, trigger, now) // in one write: a retry is neither lost nor made twice
	})
	if err == nil {
		r.runEnded(ctx, p, now)
	}
	return err
}

// end ends a run without a verdict. What follows from it, such as a run for the cause
// Vanished, is decided from what is written here.
func (r *Reconciler) end(ctx context.Context, p *pass, d lifecycle.Decision) error {
	now := r.now()
	err := r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) {
		lifecycle.RecordEnd(s, d.Reason, d.Message, now)
	})
	if err == nil {
		r.runEnded(ctx, p, now)
	}
	return err
}

// runEnded follows the write of a run's end.
func (r *Reconciler) runEnded(ctx context.Context, p *pass, now time.Time) {
	failpoint.Hit("verification.outcome")
	r.metrics.finished(ctx, p.entry, now)
	if failed := lifecycle.Repeatable(&p.entry.Status); failed || lifecycle.Judged(&p.entry.Status) {
		r.failing.ended(p.key.Namespace, failed, now)
	}
	r.perEntry.drop(p.key)
	r.runQueue.free(p.key)
}
