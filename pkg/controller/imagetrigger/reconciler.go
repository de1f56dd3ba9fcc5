package imagetrigger

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/reconciler"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/fair"
)

const (
	// passTimeout bounds one pass; its requests are few.
	passTimeout = 30 * time.Second
	// lookupTimeout bounds a read from the cache, which waits until it has synced.
	lookupTimeout = 5 * time.Second
	// conflictRetry gives the watch time to deliver the other writer's version.
	conflictRetry = 200 * time.Millisecond
	// recheckAfter is when a trigger is checked again because a requested run has not
	// appeared, and recheckEvery how often at most.
	recheckAfter = 2 * time.Second
	recheckEvery = 5 * time.Second
	// soonest is when a trigger is checked again that has just got into trouble. The
	// delay grows with the trouble's age, up to Intervals.NotReady.
	soonest = 2 * time.Second
)

const (
	// Checks is how many triggers are checked at once. The queue needs more workers, so that
	// a request for a sweep waits for no check.
	Checks = 6
	// slowChecks is how many of one namespace are, whose checks take longer than slowCheck.
	slowChecks = 2
	slowCheck  = 500 * time.Millisecond
)

// Reconciler keeps the status of ImageTriggers.
type Reconciler struct {
	reconciler.LeaderAwareFuncs
	Options

	mu sync.Mutex
	// seen holds what the process keeps of the triggers that it leads.
	seen map[types.NamespacedName]*memory
	// counted is by namespace: see lastCounted.
	counted map[string]counted

	// checks says whose trigger is checked next.
	checks *fair.Turns[types.NamespacedName]
}

// memory is what the process keeps of a trigger between passes.
type memory struct {
	uid types.UID
	// warned are the warnings that were recorded as Events.
	warned string
	// sweepWanted: SweepAll was called, and no sweep has begun since.
	sweepWanted bool
	// reported is the end of the latest sweep that was recorded as an Event.
	reported time.Time
	// recheck is for when the latest recheck was asked.
	recheck time.Time
	// pulls are the answers about pulling.
	pulls map[pullQuestion]pullAnswer
}

func newMemory(uid types.UID) *memory {
	return &memory{uid: uid, pulls: map[pullQuestion]pullAnswer{}}
}

var _ controller.Reconciler = (*Reconciler)(nil)

// New returns a Reconciler that leads nothing yet.
func New(o Options) (*Reconciler, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	r := &Reconciler{Options: o, seen: map[types.NamespacedName]*memory{}, counted: map[string]counted{}}
	r.checks = fair.NewTurns(fair.Limits{All: Checks, Slow: slowChecks, After: slowCheck}, o.Now, o.Enqueue)
	r.PromoteFunc = r.promoted
	r.DemoteFunc = r.demoted
	return r, nil
}

// promoted queues all triggers and has them swept: what happened while another process led
// is not known.
func (r *Reconciler) promoted(b reconciler.Bucket, enqueue func(reconciler.Bucket, types.NamespacedName)) error {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	triggers, err := r.list(ctx, "")
	if err != nil {
		return fmt.Errorf("listing the triggers of bucket %q: %w", b.Name(), err)
	}
	for _, key := range triggers {
		r.forget(key)
		enqueue(b, key)
	}
	return nil
}

// demoted forgets the triggers that another process leads now, which reports on their
// sweeps.
func (r *Reconciler) demoted(b reconciler.Bucket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for at, m := range r.seen {
		if b.Has(at) {
			r.Sweeps.Forget(m.uid)
			delete(r.seen, at)
		}
	}
}

// list returns the keys of the triggers of a namespace, or of all.
func (r *Reconciler) list(ctx context.Context, namespace string) ([]types.NamespacedName, error) {
	var found v1alpha1.ImageTriggerList
	if err := r.Cached.List(ctx, &found, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	keys := make([]types.NamespacedName, 0, len(found.Items))
	for i := range found.Items {
		keys = append(keys, client.ObjectKeyFromObject(&found.Items[i]))
	}
	return keys, nil
}

// Reconcile brings the status of one trigger up to date.
func (r *Reconciler) Reconcile(ctx context.Context, key string) error {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return controller.NewPermanentError(fmt.Errorf("key %q: %w", key, err))
	}
	at := types.NamespacedName{Namespace: namespace, Name: name}
	waits := false
	defer func() {
		if !waits {
			r.checks.End(at)
		}
	}()
	if !r.IsLeaderFor(at) {
		return controller.NewSkipKey(key)
	}
	ctx, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	var trigger v1alpha1.ImageTrigger
	err = r.Cached.Get(ctx, at, &trigger)
	if apierrors.IsNotFound(err) || (err == nil && trigger.DeletionTimestamp != nil) {
		r.forget(at)
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the trigger %q: %w", at, err)
	}
	remembered := r.remember(at, trigger.UID)
	seen := compile(&trigger)
	if err := r.count(ctx, &trigger, &seen); err != nil {
		return err
	}
	if seen.selectorErr == nil {
		// Before the sink is checked, because recording must not depend on it, and before it
		// is this trigger's turn.
		seen.sweep = r.sweep(&trigger, remembered)
	}
	if seen.tooMany() {
		return r.tellExcess(ctx, at, &trigger)
	}
	if waits = !r.checks.Begin(namespace, at); waits {
		return controller.NewRequeueAfter(r.Intervals.NotReady) // it is woken before
	}
	return r.check(ctx, at, &trigger, seen, remembered)
}

// tellExcess writes that a trigger does not count. Nothing else is looked at: a namespace may have
// any number of such triggers.
func (r *Reconciler) tellExcess(ctx context.Context, at types.NamespacedName, trigger *v1alpha1.ImageTrigger) error {
	switch err := r.write(ctx, at, trigger, tooMany(trigger, r.Now())); {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	}
	return controller.NewRequeueAfter(r.jittered(r.Intervals.NotReady))
}

// write writes a status that has changed.
func (r *Reconciler) write(ctx context.Context, at types.NamespacedName, trigger, next *v1alpha1.ImageTrigger) error {
	if equality.Semantic.DeepEqual(trigger.Status, next.Status) {
		return nil
	}
	err := r.Live.Status().Update(ctx, next)
	switch {
	case apierrors.IsConflict(err):
		return controller.NewRequeueAfter(conflictRetry)
	case err != nil && !apierrors.IsNotFound(err):
		return fmt.Errorf("writing the status of trigger %q: %w", at, err)
	}
	return err
}

// check looks at what a trigger needs, and writes what it found.
func (r *Reconciler) check(ctx context.Context, at types.NamespacedName, trigger *v1alpha1.ImageTrigger, seen observed, remembered *memory) error {
	next, err := r.judge(ctx, trigger, &seen, remembered)
	if err != nil {
		return err
	}
	switch err := r.write(ctx, at, trigger, next); {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	}
	r.report(trigger, next, seen, remembered)
	return controller.NewRequeueAfter(r.after(next, seen))
}

// after returns when the next pass is if nothing happens before.
func (r *Reconciler) after(t *v1alpha1.ImageTrigger, seen observed) time.Duration {
	wait := r.Intervals.Ready
	if since, troubled := r.trouble(t); troubled {
		// Rights are not watched, so look again soon whether they were granted.
		wait = min(max(since/2, soonest), r.Intervals.NotReady)
	}
	if seen.sweep != nil {
		wait = min(wait, max(r.sweepDue(seen.sweep), time.Second))
	}
	return r.jittered(wait)
}

// jittered is up to a tenth later, so that triggers made together drift apart.
func (r *Reconciler) jittered(wait time.Duration) time.Duration {
	return wait + time.Duration(float64(wait)/10*r.Jitter())
}

// trouble returns how long a trigger has not been ready, its runs have not appeared, or
// they may not pull.
func (r *Reconciler) trouble(t *v1alpha1.ImageTrigger) (since time.Duration, troubled bool) {
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionConfirmed} {
		c := meta.FindStatusCondition(t.Status.Conditions, kind)
		if c != nil && c.Status != metav1.ConditionTrue {
			return r.Now().Sub(c.LastTransitionTime.Time), true
		}
	}
	if c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionPullAllowed); c != nil && c.Status == metav1.ConditionFalse {
		return r.Now().Sub(c.LastTransitionTime.Time), true
	}
	return 0, !t.IsReady()
}

// judge observes the rest of what there is to know of a trigger, and returns it with the status
// that follows.
func (r *Reconciler) judge(ctx context.Context, trigger *v1alpha1.ImageTrigger, seen *observed, m *memory) (*v1alpha1.ImageTrigger, error) {
	if seen.tooMany() {
		return tooMany(trigger, r.Now()), nil
	}
	seen.compileRest(trigger)
	if err := r.observe(ctx, trigger, seen, m); err != nil {
		return nil, err
	}
	return decide(trigger, *seen, r.Now()), nil
}

func (r *Reconciler) remember(at types.NamespacedName, uid types.UID) *memory {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.seen[at]
	if m == nil || m.uid != uid {
		if m != nil {
			r.Sweeps.Forget(m.uid)
		}
		m = newMemory(uid)
		r.seen[at] = m
	}
	return m
}

func (r *Reconciler) forget(at types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.seen[at]; m != nil {
		r.Sweeps.Forget(m.uid)
		delete(r.seen, at)
	}
}
