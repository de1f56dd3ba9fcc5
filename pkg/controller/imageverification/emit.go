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
	// emitTimeout bounds what telling others may cost a worker.
	emitTimeout = 5 * time.Second
	// firstPause and longestPause bound how long a sink that failed is left alone.
	firstPause   = time.Second
	longestPause = time.Minute
)

// emit tells others what happened, unless that was told, and ends the pass: the
// entry is looked at again after the given time, or when something changes. A
// crash between sending and writing sends the same events, of the same ids, again.
func (r *Reconciler) emit(ctx context.Context, p *pass, after time.Duration) error {
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

// later makes the queue look at the entry again; 0 is not before it changes.
func later(after time.Duration) error {
	if after == 0 {
		return nil
	}
	return controller.NewRequeueAfter(after)
}

// paced is an Emitter that leaves a failing sink alone for a while, so that a
// broker that is down does not take the workers from the runs.
type paced struct {
	emitter Emitter

	mu    sync.Mutex
	until time.Time
	pause time.Duration
}

// emit returns the keys of what is told, and when to try the rest; 0 if that is all.
func (p *paced) emit(ctx context.Context, entry *v1alpha1.ImageVerification, log *zap.Logger, now func() time.Time) ([]string, time.Duration) {
	if p.emitter == nil {
		return nil, 0
	}
	if wait := p.paused(now()); wait > 0 {
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
		log.Warn("telling others what happened; it is tried again", zap.Error(err))
	}
	return keys, wait
}

func (p *paced) paused(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.until.Sub(now), 0)
}

func (p *paced) worked() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pause, p.until = 0, time.Time{}
}

// failed reports how long to wait, and whether the trouble is new.
func (p *paced) failed(now time.Time) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until.After(now) {
		return p.until.Sub(now), false // several workers failed at once
	}
	first := p.pause == 0
	p.pause = min(max(p.pause*2, firstPause), longestPause)
	p.until = now.Add(p.pause)
	return p.pause, first
}
