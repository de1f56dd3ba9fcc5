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

// ForceTrim trims an entry, at rest or not.
func ForceTrim(e *v1alpha1.ImageVerification) *v1alpha1.ImageVerification {
	return (&sharedParts{}).trim(e.DeepCopy())
}

// Write changes the status of an entry in a pass of its own.
func (r *Reconciler) Write(ctx context.Context, e *v1alpha1.ImageVerification, change func(*v1alpha1.ImageVerificationStatus)) error {
	return r.write(ctx, &pass{key: keyOf(e), entry: e, log: zap.NewNop()}, change)
}
