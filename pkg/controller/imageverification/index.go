package imageverification

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// The fields by which entries are looked up in the cache.
const (
	fieldUID  = "revet.uid"  // the entry's own UID, of open entries
	fieldOpen = "revet.open" // the trigger's UID, of open entries
)

// indexes are all fields, with what an entry has in them.
var indexes = map[string]client.IndexerFunc{
	// An index costs several hundred bytes an entry, and the runs of an entry that is not
	// open do not matter.
	fieldUID: func(o client.Object) []string {
		if e, ok := o.(*v1alpha1.ImageVerification); ok && open(e) {
			return []string{string(e.UID)}
		}
		return nil
	},
	fieldOpen: func(o client.Object) []string {
		if e, ok := o.(*v1alpha1.ImageVerification); ok && open(e) {
			return []string{e.Spec.Trigger.UID}
		}
		return nil
	},
}

// Index makes a cache of ImageVerifications answer what a Reconciler asks.
func Index(ctx context.Context, indexer client.FieldIndexer) error {
	for field, extract := range indexes {
		if err := indexer.IndexField(ctx, &v1alpha1.ImageVerification{}, field, extract); err != nil {
			return fmt.Errorf("indexing ImageVerifications by %q: %w", field, err)
		}
	}
	return nil
}

// underway reports whether an entry has a run that may occupy the cluster.
func underway(e *v1alpha1.ImageVerification) bool {
	return e.Status.CurrentRun() != nil
}

// stuck reports whether the run of an entry was requested and does not appear, for a known
// reason.
func stuck(e *v1alpha1.ImageVerification) bool {
	run := e.Status.CurrentRun()
	return run != nil && run.ConfirmedAt == nil && run.Attempts > 0 && lifecycle.Reason(e.Status.Reason) != lifecycle.Requested
}

// open reports whether a change of the trigger may matter to an entry.
func open(e *v1alpha1.ImageVerification) bool {
	return underway(e) || lifecycle.Undecided(e) != nil || lifecycle.Scheduled(&e.Status) || lifecycle.FailedToStart(&e.Status) || len(e.Spec.Requests) > len(e.Status.HandledRequests)
}

// list returns the entries of the cache that have value in field. They are the cache's own
// objects: do not change them.
func list(ctx context.Context, cached client.Reader, field, value string) ([]v1alpha1.ImageVerification, error) {
	var found v1alpha1.ImageVerificationList
	err := cached.List(ctx, &found, client.MatchingFields{field: value}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("listing entries by %q: %w", field, err)
	}
	return found.Items, nil
}

func keysOf(entries []v1alpha1.ImageVerification) []types.NamespacedName {
	keys := make([]types.NamespacedName, 0, len(entries))
	for i := range entries {
		keys = append(keys, keyOf(&entries[i]))
	}
	return keys
}
