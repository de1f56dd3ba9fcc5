package imageverification

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/controller"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/tekton"
)

// leaseRetry is when an entry is tried again that was not fired for want of the lease.
const leaseRetry = time.Second

// fireFirst sends the request of the entry's first run.
func (r *Reconciler) fireFirst(ctx context.Context, p *pass, d lifecycle.Decision) error {
	draft := p.entry.DeepCopy()
	draft.Status.Tags = draft.Tags()
	lifecycle.RecordNewRun(&draft.Status, p.facts, d.Cause, r.now())
	return r.sendUnrecorded(ctx, p, d, draft)
}

// fireAgain sends the request of the current run again. It has no PipelineRun: the API
// server was asked just before.
func (r *Reconciler) fireAgain(ctx context.Context, p *pass, d lifecycle.Decision) error {
	return r.sendUnrecorded(ctx, p, d, p.entry)
}

// sendUnrecorded sends a request that may be sent twice, and remembers it until it is
// recorded.
func (r *Reconciler) sendUnrecorded(ctx context.Context, p *pass, d lifecycle.Decision, entry *v1alpha1.ImageVerification) error {
	held, release, leads := r.lease.Hold(ctx, p.key)
	if !leads {
		return r.lost(p)
	}
	defer release()
	sent := r.send(held, p, entry, entry.Status.CurrentRun())
	sent.Cause, sent.Image, sent.Routing = d.Cause, p.facts.Image.Facts, p.facts.Routing
	r.perEntry.sent.set(p.key, sent)
	return nil
}

// recordAndFire records the change and the attempt, then sends the request. The lease is
// held from before the write, so that what is recorded as sent is sent unless the process
// ends.
func (r *Reconciler) recordAndFire(ctx context.Context, p *pass, change func(*v1alpha1.ImageVerificationStatus)) error {
	held, release, leads := r.lease.Hold(ctx, p.key)
	if !leads {
		return r.lost(p)
	}
	defer release()
	at, trigger := r.now(), p.facts.Trigger
	err := r.write(held, p, func(s *v1alpha1.ImageVerificationStatus) {
		change(s)
		lifecycle.RecordAttempt(s, trigger, at)
	})
	if err != nil {
		return err
	}
	failpoint.Hit("verification.intent")
	sent := r.send(held, p, p.entry, p.entry.Status.CurrentRun())
	if sent.Failure.Reason == "" {
		return nil
	}
	now := r.now()
	return r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) { lifecycle.RecordFailure(s, trigger, sent.Failure, now) })
}

// recordSent records a request that was sent, and its run if it is there.
func (r *Reconciler) recordSent(ctx context.Context, p *pass) error {
	first, facts, now := p.entry.Status.CurrentRun() == nil, p.facts, r.now()
	err := r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) {
		lifecycle.RecordSentRequest(s, p.entry, facts, now)
	})
	if err != nil {
		return err // decided again; if another writer was faster, without sending
	}
	r.perEntry.sent.drop(p.key)
	if first {
		failpoint.Hit("verification.intent")
	}
	if run := p.entry.Status.CurrentRun(); run != nil && run.ConfirmedAt != nil {
		r.metrics.confirmed(ctx, p.entry, now)
		failpoint.Hit("verification.confirmed")
	}
	return nil
}

// send sends one request.
func (r *Reconciler) send(held context.Context, p *pass, entry *v1alpha1.ImageVerification, run *v1alpha1.RunStatus) lifecycle.Sent {
	failpoint.Hit("verification.fire")
	// The status keeps microseconds.
	sent := lifecycle.Sent{Run: run.Name, At: r.now().Truncate(time.Microsecond), Trigger: p.facts.Trigger}
	err := r.sink.Send(held, p.trigger, entry, run)
	failpoint.Hit("verification.fired")
	sent.Failure = failureOf(err)
	r.metrics.fired(held, entry, sent, r.now())
	log := p.log.With(zap.String("run", run.Name), zap.String("push", run.Cause.Key), zap.Int32("attempt", run.Attempts+1))
	r.backOff(p, err)
	if err != nil {
		log.Warn("the sink did not take the request", zap.String("sink", p.trigger.Status.SinkURI), zap.Error(err))
	} else {
		log.Info("fired")
	}
	return sent
}

// failureOf returns why a request was not taken, as far as is known.
func failureOf(err error) lifecycle.Failure {
	if err == nil {
		return lifecycle.Failure{}
	}
	var known *tekton.SendError
	if errors.As(err, &known) {
		if known.Permanent() && known.Reason == lifecycle.SinkRefused {
			return lifecycle.Failure{Reason: lifecycle.SinkRejected, Message: err.Error()}
		}
		return lifecycle.Failure{Reason: known.Reason, Message: err.Error()}
	}
	return lifecycle.Failure{Reason: lifecycle.SinkSilent, Message: err.Error()}
}

// backOff leaves a sink alone that asked for it, from the next pass on: this one still
// has to record what it sent. If the process ends, the sink gets one more request of each
// run.
func (r *Reconciler) backOff(p *pass, err error) {
	var known *tekton.SendError
	if errors.As(err, &known) && known.RetryAfter > 0 {
		r.sinkBackoff.extend(types.UID(p.entry.Spec.Trigger.UID), r.now().Add(known.RetryAfter))
	}
}

// lost ends the pass of an entry that another process leads.
func (r *Reconciler) lost(p *pass) error {
	r.runQueue.free(p.key)
	p.log.Info("not fired: this process does not hold the lease")
	return controller.NewRequeueAfter(leaseRetry) // it may just be late in renewing it
}
