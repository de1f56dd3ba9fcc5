package imagegate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/reconciler"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/gate"
)

const (
	// passTimeout bounds one pass. A gate has up to 17 objects of 1.1 MB.
	passTimeout = 2 * time.Minute
	// lookupTimeout bounds a read from the cache, which waits until it has synced.
	lookupTimeout = 5 * time.Second
	// leaseRetry is when a gate is looked at again that was not written for want of the
	// lease, whose renewal may just be late.
	leaseRetry = time.Second
	// recheck is when a gate is looked at again although nothing was seen to change.
	recheck = 5 * time.Minute
	// coalesce is how long changes are gathered before they are written, and
	// coalesceRevocations how long digests that failed are.
	coalesce            = time.Second
	coalesceRevocations = 200 * time.Millisecond
	// digestsShare and tagsShare are how much of the budget a gate's objects may have that
	// change all the time. The rest is for what has to be written besides.
	digestsShare = 0.5
	tagsShare    = 0.25
	// longestRest is how long at most an object rests in which a digest failed.
	longestRest = 10 * time.Second
	// expiryStep is how often at most a gate is searched for expired digests. Until they
	// leave the map the API server refuses new Pods with them by the verdict's time.
	expiryStep = 15 * time.Second
	// lookEvery is how often everything is compared with what is written, though nothing
	// was seen to change.
	lookEvery = 6 * time.Hour
	// watchLag is how long a watch may take to bring what this process wrote.
	watchLag = 10 * time.Second
)

// settle is how long the policies of two divisions stay in force together, once the new
// ones were seen to refuse: a cluster may have several API servers, and each learns of
// them by itself.
var settle = failpoint.Pause(10 * time.Second)

// errNotLeading: this process does not hold the gate's lease, or not for long enough.
var errNotLeading = errors.New("this process does not hold the gate's lease")

// errNowhere: Revet's namespace or the kind VerifiedImages was deleted, and with it what
// policies look up.
var errNowhere = errors.New("no gate is in force, for there is no place for what its policies look up; apply config/ again")

// Reconciler keeps gates.
type Reconciler struct {
	reconciler.LeaderAwareFuncs
	Options
	entries *entries

	mu     sync.Mutex
	states map[string]*state
	// leaving says when the policies of gates that are gone were removed.
	leaving map[string]time.Time
	budget  *gate.Budget
}

var _ controller.Reconciler = (*Reconciler)(nil)

// New returns a Reconciler that leads nothing yet.
func New(o Options) (*Reconciler, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	r := &Reconciler{
		Options: o, entries: newEntries(), states: map[string]*state{}, leaving: map[string]time.Time{},
		budget: gate.NewBudget(o.Rate, o.Window, o.Now()),
	}
	r.PromoteFunc = r.promoted
	r.DemoteFunc = r.demoted
	return r, nil
}

// promoted queues all gates, and the names of gates that are gone and left something.
func (r *Reconciler) promoted(b reconciler.Bucket, enqueue func(reconciler.Bucket, types.NamespacedName)) error {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	names := map[string]bool{}
	var gates v1alpha1.ImageGateList
	if err := r.Cached.List(ctx, &gates, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing the gates of bucket %q: %w", b.Name(), err)
	}
	for i := range gates.Items {
		names[gates.Items[i].Name] = true
	}
	owned, err := r.owners(ctx)
	if err != nil {
		return err
	}
	for _, name := range owned {
		names[name] = true
	}
	for name := range names {
		r.forget(name)
		enqueue(b, types.NamespacedName{Name: name})
	}
	return nil
}

// demoted forgets the gates that another process leads now.
func (r *Reconciler) demoted(b reconciler.Bucket) {
	r.mu.Lock()
	for name := range r.states {
		if b.Has(types.NamespacedName{Name: name}) {
			delete(r.states, name)
		}
	}
	none := len(r.states) == 0
	r.mu.Unlock()
	if none {
		r.entries.forgetAll()
	}
}

func (r *Reconciler) forget(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.states, name)
}

// state returns what the process keeps of a gate.
func (r *Reconciler) state(g *v1alpha1.ImageGate) *state {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.states[g.Name]
	if s == nil || s.uid != g.UID {
		s = newState(g)
		r.states[g.Name] = s
	}
	delete(r.leaving, g.Name)
	return s
}

// Reconcile brings what a gate owns, and its status, up to date.
func (r *Reconciler) Reconcile(ctx context.Context, key string) error {
	at := types.NamespacedName{Name: key}
	if !r.IsLeaderFor(at) {
		return controller.NewSkipKey(key)
	}
	ctx, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	var g v1alpha1.ImageGate
	err := r.Cached.Get(ctx, at, &g)
	switch {
	case apierrors.IsNotFound(err) || (err == nil && g.DeletionTimestamp != nil):
		r.forget(key)
		var wait time.Duration
		if wait, err = r.removeAll(ctx, key); wait > 0 {
			r.EnqueueAfter(key, wait)
		}
	case err != nil:
		return fmt.Errorf("reading the gate %q: %w", key, err)
	default:
		err = r.reconcile(ctx, &g)
	}
	if errors.Is(err, errNotLeading) {
		return controller.NewRequeueAfter(leaseRetry)
	}
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		r.notFound()
	}
	return err
}

func (r *Reconciler) notFound() {
	if r.NotFound != nil {
		r.NotFound()
	}
}

// reconcile does one pass, and writes its result into the status whatever it is.
func (r *Reconciler) reconcile(ctx context.Context, g *v1alpha1.ImageGate) error {
	s := r.state(g)
	p := &pass{Reconciler: r, gate: g, state: s, now: r.Now()}
	err := p.run(ctx)
	if errors.Is(err, errNotLeading) {
		return err
	}
	p.failed = err
	if statusErr := p.report(ctx); statusErr != nil {
		err = errors.Join(err, statusErr)
	}
	if err != nil {
		return err
	}
	r.EnqueueAfter(g.Name, p.again())
	return nil
}

// held runs a write under the gate's lease.
func (r *Reconciler) held(ctx context.Context, name string, write func(context.Context) error) error {
	ctx, release, ok := r.Lease.Hold(ctx, types.NamespacedName{Name: name})
	if !ok {
		return errNotLeading
	}
	defer release()
	return write(ctx)
}

// Scopes returns the gates that this process leads and has looked at, by name.
func (r *Reconciler) Scopes() map[string]Scope {
	scopes := map[string]Scope{}
	for name, s := range r.all() {
		s.mu.Lock()
		if s.scope != nil {
			scopes[name] = *s.scope
		}
		s.mu.Unlock()
	}
	return scopes
}

// Judge says what a gate concludes about a digest, given as sha256:hex; false if this
// process does not lead the gate, or has not looked at it yet.
func (r *Reconciler) Judge(name, digest string) (gate.Finding, bool) {
	r.mu.Lock()
	s := r.states[name]
	r.mu.Unlock()
	hex := hexOf(digest)
	if s == nil || hex == "" {
		return gate.Finding{}, false
	}
	rules, ok := s.judges()
	if !ok {
		return gate.Finding{}, false
	}
	return rules.Judge(r.entries.evidence(hex), r.Now()), true
}
