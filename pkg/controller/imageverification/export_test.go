package imageverification

import (
	"context"
	"time"

	"go.uber.org/zap"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// Indexes returns the indexes for a client that stands for the cache.
func Indexes() map[string]client.IndexerFunc { return indexes }

// Remembered counts what a Reconciler remembers: of entries, and of triggers.
func (r *Reconciler) Remembered() (entries, triggers int) {
	return r.perEntry.sent.len() + r.perEntry.podsStarted.len() + r.perEntry.unreadable.len(), r.sinkBackoff.len()
}

// Idle ends a pass over an entry that nothing is to be done for before after.
func (r *Reconciler) Idle(ctx context.Context, e *v1alpha1.ImageVerification, after time.Duration) error {
	p := &pass{key: keyOf(e), entry: e, log: zap.NewNop()}
	_, err := r.act(ctx, p, lifecycle.Decision{Action: lifecycle.Idle, After: after})
	return err
}

// Turns counts the entries that have a turn, or wait for one.
func (r *Reconciler) Turns() int { return r.turns.Len() }
