package imageverification

import "sigs.k8s.io/controller-runtime/pkg/client"

// Indexes returns the indexes for a client that stands for the cache.
func Indexes() map[string]client.IndexerFunc { return indexes }

// Remembered counts what a Reconciler remembers: of entries, and of triggers.
func (r *Reconciler) Remembered() (entries, triggers int) {
	return r.perEntry.sent.len() + r.perEntry.podsStarted.len() + r.perEntry.unreadable.len(), r.sinkBackoff.len()
}
