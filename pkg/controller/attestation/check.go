package attestation

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/attestation"
	"github.com/revet-dev/revet/pkg/image"
)

// check looks whether what is published is still listed beside every image, and publishes it
// again if not: another writer of a fallback list may have dropped it, or somebody deleted it.
func (r *Reconciler) check(ctx context.Context, e *v1alpha1.ImageVerification, a attestation.Action) error {
	whole, err := r.listed(ctx, e, a.Record)
	if err != nil {
		if _, _, lasts := lasting(err); !lasts {
			return err
		}
		whole = true // nobody may look; what was published stays published
	}
	if whole {
		r.checked(e)
		return nil
	}
	return r.publish(ctx, e, a.Record)
}

func (r *Reconciler) listed(ctx context.Context, e *v1alpha1.ImageVerification, rec *v1alpha1.AttestationStatus) (bool, error) {
	where, err := image.ParseRepository(e.Spec.Repository.Pull)
	if err != nil {
		return false, fmt.Errorf("entry %q: %w", e.Name, err)
	}
	repository, err := r.Open(e.Namespace, where)
	if err != nil {
		return false, err
	}
	for i := range rec.Subjects {
		subject, manifests, err := parse(&rec.Subjects[i])
		if err != nil {
			return false, fmt.Errorf("entry %q: %w", e.Name, err)
		}
		if listed, err := repository.Listed(ctx, subject, manifests...); err != nil || !listed {
			return false, err
		}
	}
	return true, nil
}

// checked notes that an entry's attestation is listed now.
func (r *Reconciler) checked(e *v1alpha1.ImageVerification) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks[client.ObjectKeyFromObject(e)] = r.Now().Add(r.Recheck)
}

// nextCheck returns when it is to be looked whether the attestation that an action rests on is
// still listed; zero for never. A process that has just begun to lead spreads the first looks.
func (r *Reconciler) nextCheck(at types.NamespacedName, a attestation.Action) time.Time {
	if a.Record == nil {
		return time.Time{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	due, ok := r.checks[at]
	if !ok {
		due = r.Now().Add(time.Duration(r.Jitter() * float64(r.Recheck)))
		r.checks[at] = due
	}
	return due
}

func (r *Reconciler) dueForCheck(at types.NamespacedName, a attestation.Action) bool {
	due := r.nextCheck(at, a)
	return !due.IsZero() && !r.Now().Before(due)
}

func (r *Reconciler) forget(at types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.checks, at)
}
