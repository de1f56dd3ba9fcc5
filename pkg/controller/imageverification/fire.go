package imageverification

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"knative.dev/pkg/controller"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/tekton"
)

// leaseRetry is when an entry is tried again that was not fired for want of the lease.
const leaseRetry = time.Second

// fireAgain sends the request of a run that did not appear. Nothing of that name
// exists: the API server was asked just before.
func (r *Reconciler) fireAgain(ctx context.Context, p *pass) (bool, error) {
	if run := p.entry.Status.CurrentRun(); run.Attempts > 0 {
		other, err := r.otherName(ctx, p, run)
		if err != nil {
			return false, err
		}
		if other != "" {
			return true, r.end(ctx, p, lifecycle.OtherName(run, other))
		}
	}
	if p.facts.Confirmable {
		return r.sendThenRecord(ctx, p)
	}
	return r.recordThenSend(ctx, p, func(*v1alpha1.ImageVerificationStatus) {})
}

// sendThenRecord sends the request of the current run, and records that. It is
// for requests that may be sent twice: a crash between the two repeats it, and
// the PipelineRun that the first one made stays the only one.
func (r *Reconciler) sendThenRecord(ctx context.Context, p *pass) (bool, error) {
	run := p.entry.Status.CurrentRun()
	done, ok := r.memory.wasSent(run.Name)
	if !ok {
		held, release, leads := r.lease.Hold(ctx, p.key)
		if !leads {
			return false, r.lost(p)
		}
		defer release()
		done = r.send(held, p, p.entry, run)
		r.memory.didSend(run.Name, done)
	}
	err := r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) {
		lifecycle.Attempt(s, done.trigger, done.at)
		r.refused(s, done.trigger, done)
	})
	if err != nil {
		return false, err // decided again; if another writer was faster, without sending
	}
	r.memory.recordedSend(run.Name)
	return true, nil
}

// recordThenSend records change and the attempt, and then sends the request. It
// is for requests that must not be sent twice. The lease is held from before the
// write, so that what was recorded as sent is sent unless the process ends.
func (r *Reconciler) recordThenSend(ctx context.Context, p *pass, change func(*v1alpha1.ImageVerificationStatus)) (bool, error) {
	held, release, leads := r.lease.Hold(ctx, p.key)
	if !leads {
		return false, r.lost(p)
	}
	defer release()
	at := r.now()
	err := r.write(held, p, func(s *v1alpha1.ImageVerificationStatus) {
		change(s)
		lifecycle.Attempt(s, p.facts, at)
	})
	if err != nil {
		return false, err
	}
	failpoint.Hit("verification.intent")
	done := r.send(held, p, p.entry, p.entry.Status.CurrentRun())
	if done.err == nil {
		return true, nil
	}
	return true, r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) { r.refused(s, p.facts, done) })
}

// send sends one request.
func (r *Reconciler) send(held context.Context, p *pass, entry *v1alpha1.ImageVerification, run *v1alpha1.RunStatus) sent {
	failpoint.Hit("verification.fire")
	s := sent{key: p.key, at: r.now(), trigger: p.facts}
	s.err = r.sink.Send(held, p.trigger, entry, run)
	failpoint.Hit("verification.fired")
	r.metrics.fired(held, entry, s, r.now())
	log := p.log.With(zap.String("run", run.Name), zap.String("push", run.Cause.Key), zap.Int32("attempt", run.Attempts+1))
	r.pause(p, s.err)
	if s.err != nil {
		log.Warn("the sink did not take the request", zap.String("sink", p.trigger.Status.SinkURI), zap.Error(s.err))
	} else {
		log.Info("fired")
	}
	return s
}

// refused records why a request was not taken.
func (r *Reconciler) refused(s *v1alpha1.ImageVerificationStatus, t lifecycle.Trigger, done sent) {
	if done.err == nil {
		return
	}
	lifecycle.Refuse(s, t, reasonOf(done.err), done.err.Error(), r.now())
}

// reasonOf returns why a request was not taken, as far as is known.
func reasonOf(err error) lifecycle.Reason {
	var known *tekton.SendError
	if errors.As(err, &known) {
		return known.Reason
	}
	return lifecycle.SinkSilent
}

// pause leaves a sink alone that asked for it, from the next pass on: this one
// still has to record what it sent. What is lost with this process costs the sink
// one more request of each run.
func (r *Reconciler) pause(p *pass, err error) {
	var known *tekton.SendError
	if errors.As(err, &known) && known.RetryAfter > 0 {
		r.memory.pause(p.entry.Spec.Trigger.UID, r.now().Add(known.RetryAfter))
	}
}

// otherName looks for a PipelineRun that carries the run's label under another
// name. One may exist if the request met a template that was not as it had been
// found, and was mended since.
func (r *Reconciler) otherName(ctx context.Context, p *pass, run *v1alpha1.RunStatus) (string, error) {
	found, err := tekton.ListRuns(ctx, r.live, p.key.Namespace, run.Name)
	if err != nil {
		return "", fmt.Errorf("looking for PipelineRuns with the label of run %q: %w", run.Name, err)
	}
	for _, other := range found {
		if other.Name != run.Name {
			return other.Name, nil
		}
	}
	return "", nil
}

// lost ends the pass of an entry that another process leads by now.
func (r *Reconciler) lost(p *pass) error {
	r.slots.free(p.key)
	p.log.Info("not fired: this process does not hold the lease")
	return controller.NewRequeueAfter(leaseRetry) // it may just be late in renewing it
}
