package imageverification

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
	"knative.dev/pkg/controller"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

const (
	// emitTimeout bounds what sending events may cost a worker.
	emitTimeout = 5 * time.Second
	// firstEmitBackoff and longestEmitBackoff bound how long a sink that failed gets no events.
	firstEmitBackoff   = time.Second
	longestEmitBackoff = time.Minute
)

// emit sends the events that were not sent yet, and ends the pass: the entry is visited
// again after the given time, or when something changes. A crash between sending and
// writing sends the same events again, with the same ids.
func (r *Reconciler) emit(ctx context.Context, p *pass, after time.Duration) error {
	if Trimmed(p.entry) {
		return later(after) // all was sent, which the cached part does not show
	}
	keys, retry := r.emitter.emit(ctx, p.entry, p.log, r.now)
	if len(keys) > 0 {
		err := r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) { lifecycle.RecordEmitted(s, keys) })
		if err != nil {
			return err
		}
		failpoint.Hit("verification.emitted")
	}
	if retry > 0 && (after == 0 || retry < after) {
		after = retry
	}
	return later(after)
}

// later makes the queue visit the entry again; 0 is not before something changes.
func later(after time.Duration) error {
	if after == 0 {
		return nil
	}
	return controller.NewRequeueAfter(after)
}

// backoffEmitter is an Emitter that leaves a failing sink alone for a while, so that a
// broker that is down does not keep the workers from the runs.
type backoffEmitter struct {
	emitter Emitter

	mu      sync.Mutex
	until   time.Time
	backoff time.Duration
}

// emit returns the keys of the events that were sent, and when to try the rest; 0 if that is all.
func (p *backoffEmitter) emit(ctx context.Context, entry *v1alpha1.ImageVerification, log *zap.Logger, now func() time.Time) ([]string, time.Duration) {
	if p.emitter == nil {
		return nil, 0
	}
	if wait := p.remaining(now()); wait > 0 {
		return nil, wait
	}
	ctx, cancel := context.WithTimeout(ctx, emitTimeout)
	defer cancel()
	keys, err := p.emitter.Emit(ctx, entry)
	if err == nil {
		p.worked()
		return keys, 0
	}
	wait, first := p.failed(now())
	if first {
		log.Warn("sending events; trying again", zap.Error(err))
	}
	return keys, wait
}

func (p *backoffEmitter) remaining(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.until.Sub(now), 0)
}

func (p *backoffEmitter) worked() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.backoff, p.until = 0, time.Time{}
}

// failed returns how long to wait, and whether the failure is the first.
func (p *backoffEmitter) failed(now time.Time) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until.After(now) {
		return p.until.Sub(now), false // several workers failed at once
	}
	first := p.backoff == 0
	p.backoff = min(max(p.backoff*2, firstEmitBackoff), longestEmitBackoff)
	p.until = now.Add(p.backoff)
	return p.backoff, first
}
