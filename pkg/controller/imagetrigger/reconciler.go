package imagetrigger

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/reconciler"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/sweep"
	"github.com/revet-dev/revet/pkg/tekton"
)

const (
	// passTimeout bounds one pass; its requests are few.
	passTimeout = 30 * time.Second
	// lookupTimeout bounds a look into the cache, which waits if it has not synced.
	lookupTimeout = 5 * time.Second
	// maxDoublings bounds the time between sweeps that fail, which is no longer than
	// between others.
	maxDoublings = 10
	// conflictRetry gives the watch time to bring what somebody else wrote.
	conflictRetry = 200 * time.Millisecond
	// recheckAfter is when a trigger is looked at again as a run that was
	// requested has not appeared, and recheckEvery how often at most.
	recheckAfter = 2 * time.Second
	recheckEvery = 5 * time.Second
	// soonest is when a trigger is looked at again that has just got into trouble;
	// the longer that lasts, the later, up to Intervals.NotReady.
	soonest = 2 * time.Second
)

// Sinks resolves and checks sinks.
type Sinks interface {
	Resolve(ctx context.Context, namespace string, sink v1alpha1.Sink) (*url.URL, error)
	Check(ctx context.Context, trigger *v1alpha1.ImageTrigger) (tekton.Report, error)
	RuntimeClassSince(ctx context.Context, name string) (time.Time, bool, error)
}

// Rights answers for accounts.
type Rights interface {
	HasServiceAccount(ctx context.Context, account source.Account) (bool, error)
	MayCreateRuns(ctx context.Context, account source.Account, namespace string) (bool, error)
	MayGetImageStream(ctx context.Context, account source.Account, namespace, name string) (bool, error)
}

// Namespaces returns the labels of each namespace.
type Namespaces interface {
	Namespaces(ctx context.Context) (map[string]map[string]string, error)
}

// Sweeps does sweeps on request.
type Sweeps interface {
	Request(trigger *v1alpha1.ImageTrigger)
	Latest(uid types.UID) (latest *sweep.Result, underWay bool)
	Forget(uid types.UID)
}

// Runs says why the requests of a trigger are not followed by their runs; the
// reason is empty if they are.
type Runs interface {
	Trouble(ctx context.Context, trigger types.UID) (reason, message string, err error)
}

// Queue is where keys wait for their turn.
type Queue interface {
	EnqueueKey(key types.NamespacedName)
	EnqueueKeyAfter(key types.NamespacedName, after time.Duration)
}

// Intervals say how often a trigger is looked at without a cause.
type Intervals struct {
	// Ready and NotReady are between two checks of the sink.
	Ready    time.Duration
	NotReady time.Duration
	// Sweep is between two sweeps, and SweepRetry after one that failed.
	Sweep      time.Duration
	SweepRetry time.Duration
}

// DefaultIntervals returns what suits a cluster of 10,000 streams: listing them
// takes the API server a second or two.
func DefaultIntervals() Intervals {
	return Intervals{Ready: 2 * time.Minute, NotReady: 30 * time.Second, Sweep: 10 * time.Minute, SweepRetry: 30 * time.Second}
}

func (i Intervals) validate() error {
	for _, v := range []struct {
		name  string
		value time.Duration
	}{{"Ready", i.Ready}, {"NotReady", i.NotReady}, {"Sweep", i.Sweep}, {"SweepRetry", i.SweepRetry}} {
		if v.value <= 0 {
			return fmt.Errorf("imagetrigger: interval %s is %v; it must be positive", v.name, v.value)
		}
	}
	return nil
}

// Options are what a Reconciler works with. All are required.
type Options struct {
	// Cached reads ImageTriggers from an informer.
	Cached client.Reader
	// Live writes their status.
	Live       client.Client
	Sinks      Sinks
	Rights     Rights
	Namespaces Namespaces
	Sweeps     Sweeps
	Runs       Runs
	Recorder   record.EventRecorder
	Log        *zap.Logger
	Now        func() time.Time
	// Jitter returns a number in [0, 1), by which triggers are spread in time.
	Jitter    func() float64
	Intervals Intervals
}

func (o Options) validate() error {
	for name, missing := range map[string]bool{
		"Cached": o.Cached == nil, "Live": o.Live == nil, "Sinks": o.Sinks == nil, "Rights": o.Rights == nil,
		"Namespaces": o.Namespaces == nil, "Sweeps": o.Sweeps == nil, "Runs": o.Runs == nil, "Recorder": o.Recorder == nil,
		"Log": o.Log == nil, "Now": o.Now == nil, "Jitter": o.Jitter == nil,
	} {
		if missing {
			return fmt.Errorf("imagetrigger: option %s is not set", name)
		}
	}
	return o.Intervals.validate()
}

// Reconciler keeps the status of ImageTriggers. Use SetQueue before it runs.
type Reconciler struct {
	reconciler.LeaderAwareFuncs
	Options

	queue Queue

	mu sync.Mutex
	// seen holds the triggers that this process looked at, to forget them.
	seen map[types.NamespacedName]*memory
}

// memory is what is remembered of a trigger from pass to pass.
type memory struct {
	uid types.UID
	// warned are the warnings that were recorded as Events.
	warned string
	// gap: something happened that no sweep has begun after.
	gap bool
	// reported is the end of the latest sweep that was recorded as an Event.
	reported time.Time
	// recheck is for when the latest recheck was asked.
	recheck time.Time
}

var _ controller.Reconciler = (*Reconciler)(nil)

// New returns a Reconciler that leads nothing yet.
func New(o Options) (*Reconciler, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	r := &Reconciler{Options: o, seen: map[types.NamespacedName]*memory{}}
	r.PromoteFunc = r.promoted
	r.DemoteFunc = r.demoted
	return r, nil
}

// SetQueue gives the Reconciler the queue that feeds it.
func (r *Reconciler) SetQueue(q Queue) { r.queue = q }

// promoted queues all triggers, and has them swept anew: what happened while
// somebody else led is not known.
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

// demoted forgets the triggers that somebody else leads now: what is known of their
// sweeps is another's to tell.
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

// Gap has all triggers swept as soon as can be: events may have been lost.
func (r *Reconciler) Gap() {
	r.mu.Lock()
	keys := make([]types.NamespacedName, 0, len(r.seen))
	for at, m := range r.seen {
		m.gap = true
		keys = append(keys, at)
	}
	r.mu.Unlock()
	r.Log.Info("watches began again; triggers are swept", zap.Int("triggers", len(keys)))
	for _, at := range keys {
		r.queue.EnqueueKey(at)
	}
}

// takeGap reports whether there was a gap since the latest sweep was asked for.
func (r *Reconciler) takeGap(m *memory) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	gap := m.gap
	m.gap = false
	return gap
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
	return r.reconcile(ctx, at, &trigger)
}

func (r *Reconciler) reconcile(ctx context.Context, at types.NamespacedName, trigger *v1alpha1.ImageTrigger) error {
	remembered := r.remember(at, trigger.UID)
	seen := compile(trigger)
	if seen.selectorErr == nil {
		// Before anything that needs the sink: recording must not depend on it.
		seen.sweep = r.sweep(trigger, remembered)
	}
	if err := r.observe(ctx, trigger, &seen); err != nil {
		return err
	}
	next := decide(trigger, seen, r.Now())
	if !equality.Semantic.DeepEqual(trigger.Status, next.Status) {
		err := r.Live.Status().Update(ctx, next)
		switch {
		case apierrors.IsConflict(err):
			return controller.NewRequeueAfter(conflictRetry)
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return fmt.Errorf("writing the status of trigger %q: %w", at, err)
		}
	}
	r.tell(trigger, next, seen, remembered)
	return controller.NewRequeueAfter(r.after(next, seen))
}

// sweep requests a sweep if one is due, and returns the latest of this spec.
func (r *Reconciler) sweep(trigger *v1alpha1.ImageTrigger, m *memory) *sweep.Result {
	latest, underWay := r.Sweeps.Latest(trigger.UID)
	var known []string
	if latest != nil {
		known = latest.Baselines
		if latest.Generation != trigger.Generation {
			latest = nil
		}
	}
	// A gap during a sweep is for the next one: this one may have passed it.
	if !underWay && (r.takeGap(m) || r.sweepDue(latest) <= 0) {
		asked := trigger.DeepCopy()
		// What the sweep before found may not be in the status yet.
		asked.Status.Baselines = append(asked.Status.Baselines, known...)
		r.Sweeps.Request(asked)
	}
	return latest
}

// sweepDue returns when the next sweep is due.
func (r *Reconciler) sweepDue(latest *sweep.Result) time.Duration {
	if latest == nil {
		return 0
	}
	usual := latest.FinishedAt.Add(r.Intervals.Sweep)
	due := usual
	if latest.Retry {
		// Twice as long each time: what lasts is no reason to list everything again
		// and again.
		due = latest.FinishedAt.Add(r.Intervals.SweepRetry << min(latest.Retries, maxDoublings))
	}
	if latest.NotBefore.After(due) {
		due = latest.NotBefore // a registry asks for it
	}
	if due.After(usual) {
		due = usual
	}
	return due.Sub(r.Now())
}

// after says when to look again if nothing happens before.
func (r *Reconciler) after(t *v1alpha1.ImageTrigger, seen observed) time.Duration {
	wait := r.Intervals.Ready
	if since, troubled := r.trouble(t); troubled {
		// Rights are not watched: that they were granted is to be noticed soon.
		wait = min(max(since/2, soonest), r.Intervals.NotReady)
	}
	if seen.sweep != nil {
		wait = min(wait, max(r.sweepDue(seen.sweep), time.Second))
	}
	// Up to a tenth later, so that triggers made together drift apart.
	return wait + time.Duration(float64(wait)/10*r.Jitter())
}

// trouble returns how long a trigger has not been ready, or requests have not been
// followed by their runs.
func (r *Reconciler) trouble(t *v1alpha1.ImageTrigger) (since time.Duration, troubled bool) {
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionConfirmed} {
		c := meta.FindStatusCondition(t.Status.Conditions, kind)
		if c != nil && c.Status != metav1.ConditionTrue {
			return r.Now().Sub(c.LastTransitionTime.Time), true
		}
	}
	return 0, !t.IsReady()
}

func (r *Reconciler) remember(at types.NamespacedName, uid types.UID) *memory {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.seen[at]
	if m == nil || m.uid != uid {
		if m != nil {
			r.Sweeps.Forget(m.uid)
		}
		m = &memory{uid: uid}
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
