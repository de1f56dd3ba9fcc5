package attestation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	knative "knative.dev/pkg/controller"
	"knative.dev/pkg/reconciler"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/attestation"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/publish"
)

const (
	// passTimeout bounds one pass over an entry.
	passTimeout = 5 * time.Minute
	// lookupTimeout bounds a read of the cache, which waits until it has synced.
	lookupTimeout = 5 * time.Second
	// leaseRetry is when an entry is looked at again for which the lease was not held, or not
	// for long enough: its renewal may just be late.
	leaseRetry = time.Second
	// conflictRetry gives the other writer of an entry time.
	conflictRetry = 200 * time.Millisecond
	// maxSteps bounds the steps of one pass. An entry has room for eight attestations.
	maxSteps = 32
)

// errNotLeading: this process does not hold the entry's lease, or not for long enough.
var errNotLeading = errors.New("this process does not hold the entry's lease")

// Lease says whether this process may write to registries for an entry.
type Lease interface {
	Hold(ctx context.Context, key types.NamespacedName) (context.Context, func(), bool)
}

// Registry is one repository, as publish.Registry.
type Registry interface {
	Describe(ctx context.Context, d image.Digest) (oci.Descriptor, error)
	Listed(ctx context.Context, subject image.Digest, manifests ...image.Digest) (bool, error)
	Push(ctx context.Context, a publish.Artifact) (image.Digest, error)
	Remove(ctx context.Context, subject image.Digest, manifests ...image.Digest) error
}

// Options are what a Reconciler works with. All but Metrics are required.
type Options struct {
	// Cached has entries and triggers; Live writes statuses under the lease.
	Cached client.Reader
	Live   client.Client
	Lease  Lease
	// Open returns a repository, or a *oci.Error with the reason AddressRefused if the
	// operator does not let triggers of the namespace use its registry.
	Open func(namespace string, r image.Repository) (Registry, error)
	// Keys returns the ring in force.
	Keys func() attestation.Ring
	// Trusts reports whether the operator lets the verdicts of a trigger be signed.
	Trusts   func(namespace, trigger string) bool
	Verifier attestation.Verifier
	// Recheck is the time between two looks at whether an attestation is still listed.
	Recheck time.Duration

	Enqueue      func(types.NamespacedName)
	EnqueueAfter func(types.NamespacedName, time.Duration)
	Recorder     record.EventRecorder
	Log          *zap.Logger
	Now          func() time.Time
	// Jitter returns a number from 0 up to 1.
	Jitter  func() float64
	Metrics *Metrics
}

func (o Options) validate() error {
	for name, missing := range map[string]bool{
		"Cached": o.Cached == nil, "Live": o.Live == nil, "Lease": o.Lease == nil, "Open": o.Open == nil, "Keys": o.Keys == nil,
		"Trusts": o.Trusts == nil, "Verifier": o.Verifier.ID == "" || o.Verifier.Cluster == "", "Recheck": o.Recheck <= 0,
		"Enqueue": o.Enqueue == nil, "EnqueueAfter": o.EnqueueAfter == nil, "Recorder": o.Recorder == nil, "Log": o.Log == nil,
		"Now": o.Now == nil, "Jitter": o.Jitter == nil,
	} {
		if missing {
			return fmt.Errorf("the option %s is missing", name)
		}
	}
	return nil
}

// Reconciler keeps the attestations of entries.
type Reconciler struct {
	reconciler.LeaderAwareFuncs
	Options
	counts counts

	mu sync.Mutex
	// checks says when it is looked whether an entry's attestation is still listed.
	checks map[types.NamespacedName]time.Time
}

var _ knative.Reconciler = (*Reconciler)(nil)

// New returns a Reconciler that leads nothing yet.
func New(o Options) (*Reconciler, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	o.Open = o.Metrics.counting(o.Open)
	r := &Reconciler{Options: o, checks: map[types.NamespacedName]time.Time{}}
	r.counts.n = map[v1alpha1.AttestationState]int64{}
	r.PromoteFunc = r.promoted
	return r, o.Metrics.watch(&r.counts)
}

// promoted queues all entries.
func (r *Reconciler) promoted(b reconciler.Bucket, enqueue func(reconciler.Bucket, types.NamespacedName)) error {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	var entries v1alpha1.ImageVerificationList
	if err := r.Cached.List(ctx, &entries, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing the entries of bucket %q: %w", b.Name(), err)
	}
	for i := range entries.Items {
		if key := client.ObjectKeyFromObject(&entries.Items[i]); b.Has(key) {
			enqueue(b, key)
		}
	}
	return nil
}

// Reconcile brings the attestations of an entry up to date.
func (r *Reconciler) Reconcile(ctx context.Context, key string) error {
	namespace, name, err := splitKey(key)
	if err != nil {
		return err
	}
	at := types.NamespacedName{Namespace: namespace, Name: name}
	if !r.IsLeaderFor(at) {
		return knative.NewSkipKey(key)
	}
	ctx, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	err = r.pass(ctx, at)
	switch {
	case errors.Is(err, errNotLeading):
		return knative.NewRequeueAfter(leaseRetry)
	case apierrors.IsConflict(err):
		return knative.NewRequeueAfter(conflictRetry)
	case apierrors.IsNotFound(err): // the entry was deleted
		return nil
	default:
		return err
	}
}

// pass does steps until there is something to wait for. What the cache has decides whether
// there may be a step at all: most entries have none.
func (r *Reconciler) pass(ctx context.Context, at types.NamespacedName) error {
	var cached v1alpha1.ImageVerification
	if err := r.Cached.Get(ctx, at, &cached); err != nil {
		r.forget(at)
		return err
	}
	a, err := r.decide(ctx, &cached)
	if err != nil {
		return err
	}
	if a.Step == attestation.Rest && !r.dueForCheck(at, a) {
		r.wait(at, a)
		return nil
	}
	for range maxSteps {
		var entry v1alpha1.ImageVerification
		if err := r.Live.Get(ctx, at, &entry); err != nil {
			return err
		}
		if a, err = r.decide(ctx, &entry); err != nil {
			return err
		}
		switch a.Step {
		case attestation.Rest:
			if !r.dueForCheck(at, a) {
				r.wait(at, a)
				return nil
			}
			err = r.check(ctx, &entry, a)
		case attestation.Prepare:
			err = r.prepare(ctx, &entry)
		case attestation.Publish:
			err = r.publish(ctx, &entry, a.Record)
		case attestation.Remove:
			err = r.remove(ctx, &entry, a.Record, a.Reason)
		default:
			return fmt.Errorf("there is no step %d", a.Step) // a bug
		}
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("the attestations of %s do not come to rest", at)
}

// decide gathers the facts and asks what to do.
func (r *Reconciler) decide(ctx context.Context, e *v1alpha1.ImageVerification) (attestation.Action, error) {
	f := attestation.Facts{
		Entry: e, Trusted: r.Trusts(e.Namespace, e.Spec.Trigger.Name), Keys: r.Keys(), Now: r.Now(),
	}
	var trigger v1alpha1.ImageTrigger
	err := r.Cached.Get(ctx, types.NamespacedName{Namespace: e.Namespace, Name: e.Spec.Trigger.Name}, &trigger)
	switch {
	case err == nil:
		f.Trigger = &trigger
	case !apierrors.IsNotFound(err):
		return attestation.Action{}, fmt.Errorf("reading the trigger of entry %q: %w", e.Name, err)
	}
	return attestation.Next(f), nil
}

// wait has the entry looked at again when it may need it.
func (r *Reconciler) wait(at types.NamespacedName, a attestation.Action) {
	again := a.Again
	if check := r.nextCheck(at, a); !check.IsZero() && (again.IsZero() || check.Before(again)) {
		again = check
	}
	if !again.IsZero() {
		r.EnqueueAfter(at, max(again.Sub(r.Now()), time.Second))
	}
}

// held runs a write to a registry under the entry's lease.
func (r *Reconciler) held(ctx context.Context, e *v1alpha1.ImageVerification, write func(context.Context) error) error {
	held, release, ok := r.Lease.Hold(ctx, client.ObjectKeyFromObject(e))
	if !ok {
		return errNotLeading
	}
	defer release()
	err := write(held)
	if err != nil && held.Err() != nil && ctx.Err() == nil {
		return errNotLeading // the lease ended first
	}
	return err
}

// update writes what mutate changes in the attestations of e, which becomes what was written.
func (r *Reconciler) update(ctx context.Context, e *v1alpha1.ImageVerification, mutate func([]v1alpha1.AttestationStatus) []v1alpha1.AttestationStatus) error {
	next := e.DeepCopy()
	next.Status.Attestations = r.since(e.Status.Attestations, mutate(next.Status.Attestations))
	if err := r.Live.Status().Update(ctx, next); err != nil {
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			return err
		}
		return fmt.Errorf("writing the attestations of entry %q: %w", e.Name, err)
	}
	*e = *next
	return nil
}
