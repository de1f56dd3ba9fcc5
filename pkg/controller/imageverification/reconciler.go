package imageverification

import (
	"context"
	"errors"
	"fmt"
	"time"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/reconciler"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/fair"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

const (
	// passTimeout bounds one pass; each request in it has a shorter bound.
	passTimeout = 30 * time.Second
	// maxSteps is more than any entry needs in one pass. A pass that takes more steps is a
	// bug, and goes on later so that it cannot starve the others.
	maxSteps = 16
)

// Options are what a Reconciler works with. All but Emitter and SandboxKey are required.
type Options struct {
	// Cached reads ImageVerifications, ImageTriggers and PipelineRuns from
	// informers, with the indexes of Index, which may hold entries as Trim leaves them.
	Cached client.Reader
	// Live reads from the API server.
	Live     client.Reader
	Ledger   Ledger
	Sink     Sink
	Facts    Facts
	Lease    Lease
	Recorder record.EventRecorder
	Metrics  *Metrics
	Log      *zap.Logger
	Now      func() time.Time
	// Emitter is nil if no events are sent.
	Emitter Emitter
	// Enqueue makes the queue that feeds the Reconciler visit an entry.
	Enqueue func(types.NamespacedName)
	// Stop cancels a PipelineRun. One that is gone, or has another UID, is no error.
	Stop func(ctx context.Context, run types.NamespacedName, uid types.UID) error
	// Compare returns where a PipelineRun is not what the trigger's listener makes of the request
	// for the entry's run, or "". Nil compares nothing.
	Compare func(context.Context, *v1alpha1.ImageTrigger, *v1alpha1.ImageVerification, *v1alpha1.RunStatus, *pipelinev1.PipelineRun) (string, error)
	// SandboxKey reads the key that spec.sandbox.weight uses. Without it, entries of
	// triggers with a weight wait.
	SandboxKey func(context.Context) ([]byte, error)
	// MaxConcurrent bounds the runs of all triggers that are under way at once. Reserve is
	// how many of these one namespace leaves to others while those have triggers.
	MaxConcurrent int
	Reserve       int
	// Workers is how many entries the queue has visited at once; 0 is 16.
	Workers int
	// LongestRun is how long after its request a run counts for MaxConcurrent; 0 is as long
	// as it takes.
	LongestRun time.Duration
}

func (o Options) validate() error {
	for name, missing := range map[string]bool{
		"Cached": o.Cached == nil, "Live": o.Live == nil, "Ledger": o.Ledger == nil, "Sink": o.Sink == nil,
		"Facts": o.Facts == nil, "Lease": o.Lease == nil, "Recorder": o.Recorder == nil,
		"Stop": o.Stop == nil, "Enqueue": o.Enqueue == nil, "Metrics": o.Metrics == nil, "Log": o.Log == nil, "Now": o.Now == nil,
	} {
		if missing {
			return fmt.Errorf("imageverification: option %s is not set", name)
		}
	}
	switch {
	case o.MaxConcurrent < 1:
		return fmt.Errorf("imageverification: option MaxConcurrent is %d; it must be positive", o.MaxConcurrent)
	case o.Reserve < 0:
		return fmt.Errorf("imageverification: option Reserve is %d; it must not be negative", o.Reserve)
	case o.Workers < 0:
		return fmt.Errorf("imageverification: option Workers is %d; it must not be negative", o.Workers)
	case o.LongestRun < 0:
		return fmt.Errorf("imageverification: option LongestRun is %s; it must not be negative", o.LongestRun)
	}
	return nil
}

// Reconciler takes entries from push to verdict.
type Reconciler struct {
	reconciler.LeaderAwareFuncs

	cached   client.Reader
	live     client.Reader
	ledger   Ledger
	sink     Sink
	facts    Facts
	lease    Lease
	key      func(context.Context) ([]byte, error)
	compare  func(context.Context, *v1alpha1.ImageTrigger, *v1alpha1.ImageVerification, *v1alpha1.RunStatus, *pipelinev1.PipelineRun) (string, error)
	stopRun  func(context.Context, types.NamespacedName, types.UID) error
	emitter  *backoffEmitter
	recorder record.EventRecorder
	metrics  *Metrics
	log      *zap.Logger
	now      func() time.Time

	enqueueKey  func(types.NamespacedName)
	perEntry    perEntry
	sinkBackoff *sinkBackoff
	failing     *failing
	deletions   *deletions
	runQueue    *runQueue
	turns       *fair.Turns[types.NamespacedName]
	phaseCounts *phaseCounts
	filters     *filters
}

var _ controller.Reconciler = (*Reconciler)(nil)

// New returns a Reconciler that does not lead yet.
func New(o Options) (*Reconciler, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	r := &Reconciler{
		cached: o.Cached, live: o.Live, ledger: o.Ledger, sink: o.Sink, facts: o.Facts, lease: o.Lease, key: o.SandboxKey, stopRun: o.Stop, compare: o.Compare, enqueueKey: o.Enqueue,
		recorder: o.Recorder, metrics: o.Metrics, log: o.Log, now: o.Now,
		emitter: &backoffEmitter{emitter: o.Emitter}, perEntry: newPerEntry(), sinkBackoff: newSinkBackoff(), failing: newFailing(), deletions: newDeletions(), phaseCounts: newPhaseCounts(), filters: newFilters(),
	}
	r.runQueue = newRunQueue(runLimits{most: o.MaxConcurrent, reserve: o.Reserve, longest: o.LongestRun}, o.Now, o.Enqueue)
	r.turns = fair.NewTurns(turnLimits(o.Workers), o.Now, o.Enqueue)
	r.PromoteFunc = r.promoted
	r.DemoteFunc = func(reconciler.Bucket) { r.forgetAll() }
	return r, o.Metrics.watch(r)
}

// promoted queues all entries that are not at rest, which the new leader is responsible for.
func (r *Reconciler) promoted(b reconciler.Bucket, enqueue func(reconciler.Bucket, types.NamespacedName)) error {
	r.forgetAll()
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	entries, err := r.all(ctx)
	if err != nil {
		return fmt.Errorf("listing the entries of bucket %q: %w", b.Name(), err)
	}
	for i := range entries {
		r.runQueue.note(&entries[i])
		if !Trimmed(&entries[i]) {
			enqueue(b, keyOf(&entries[i]))
		}
	}
	return nil
}

func (r *Reconciler) forgetAll() {
	r.perEntry.clear()
	r.sinkBackoff.clear()
	r.failing.clear()
	r.runQueue.clear()
	r.turns.Clear()
}

// pass is one visit to one entry.
type pass struct {
	key     types.NamespacedName
	entry   *v1alpha1.ImageVerification
	trigger *v1alpha1.ImageTrigger // nil if it is gone
	facts   lifecycle.Facts
	log     *zap.Logger
	// waits is true if the entry waits for its turn.
	waits bool
}

// changed drops what was found out for another state of the entry. What the API server
// said of a run stays true; its label is looked for before each request.
func (p *pass) changed() {
	p.facts = lifecycle.Facts{
		Trigger: p.facts.Trigger, Run: p.facts.Run, Forged: p.facts.Forged,
		RecreatedFrom: p.facts.RecreatedFrom, LongestRun: p.facts.LongestRun,
	}
	p.facts.Run.LabelChecked, p.facts.Run.OtherName = false, ""
}

// Reconcile takes one step of an entry after another, until it has to wait.
func (r *Reconciler) Reconcile(ctx context.Context, key string) error {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return controller.NewPermanentError(fmt.Errorf("key %q: %w", key, err))
	}
	p := &pass{key: types.NamespacedName{Namespace: namespace, Name: name}}
	defer r.endTurn(p)
	if !r.IsLeaderFor(p.key) {
		return controller.NewSkipKey(key)
	}
	ctx, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	if found, err := r.load(ctx, p); err != nil || !found {
		return err
	}
	for range maxSteps {
		if err := r.gather(ctx, p); err != nil {
			return err
		}
		d := lifecycle.Next(p.entry, p.facts, r.now())
		if d.Action != lifecycle.Idle && Trimmed(p.entry) {
			if err := r.loadWhole(ctx, p); err != nil {
				return r.settle(p, err)
			}
			continue
		}
		if again, err := r.act(ctx, p, d); err != nil || !again {
			return r.settle(p, err)
		}
	}
	p.log.Error("the entry took too many steps in one pass; continuing later", zap.Int("steps", maxSteps))
	return controller.NewRequeueAfter(time.Second)
}

// act does one step. It reports whether to decide again at once.
func (r *Reconciler) act(ctx context.Context, p *pass, d lifecycle.Decision) (bool, error) {
	if sends(d.Action) && !r.takeTurn(p) {
		return false, later(turnRetry)
	}
	switch d.Action {
	// Steps that end the pass.
	case lifecycle.Idle:
		r.runQueue.free(p.key)
		return false, r.emit(ctx, p, d.After)
	case lifecycle.Wait:
		return false, r.wait(ctx, p, d)
	case lifecycle.AwaitRun:
		return false, later(d.After)
	case lifecycle.Stop:
		return false, r.stop(ctx, p, d)

	// Steps that find out facts.
	case lifecycle.AskSlot:
		r.askSlot(p, d.Cause)
		return true, nil
	case lifecycle.Enrich:
		r.enrich(ctx, p)
		return true, nil
	case lifecycle.Route:
		r.route(ctx, p)
		return true, nil
	case lifecycle.Look:
		return true, r.lookupLive(ctx, p)
	case lifecycle.LookByLabel:
		return true, r.lookupByLabel(ctx, p)
	case lifecycle.Compare:
		return true, r.compareRun(ctx, p)
	case lifecycle.Inspect:
		return true, r.inspect(ctx, p)
	default:
		return true, r.change(ctx, p, d)
	}
}

// change does one step that sends a request or writes the status.
func (r *Reconciler) change(ctx context.Context, p *pass, d lifecycle.Decision) error {
	switch d.Action {
	case lifecycle.FireFirst:
		return r.fireFirst(ctx, p, d)
	case lifecycle.RecordAndFire:
		facts, now := p.facts, r.now()
		return r.recordAndFire(ctx, p, func(s *v1alpha1.ImageVerificationStatus) { lifecycle.RecordNewRun(s, facts, d.Cause, now) })
	case lifecycle.FireAgain:
		return r.fireAgain(ctx, p, d)
	case lifecycle.FireOnce:
		return r.recordAndFire(ctx, p, func(*v1alpha1.ImageVerificationStatus) {})
	case lifecycle.RecordSent:
		return r.recordSent(ctx, p)
	case lifecycle.RecordRun:
		return r.recordRun(ctx, p, d)
	case lifecycle.Covered:
		return r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) { lifecycle.RecordCovered(s, d.Run, d.Cause) })
	case lifecycle.Skip:
		return r.skip(ctx, p, d)
	case lifecycle.Confirm, lifecycle.Follow:
		return r.confirm(ctx, p, d)
	case lifecycle.FailStart:
		return r.failStart(ctx, p, d)
	case lifecycle.Judge:
		return r.judge(ctx, p)
	case lifecycle.End:
		return r.end(ctx, p, d)
	case lifecycle.Abandon:
		return r.abandon(ctx, p)
	default:
		return controller.NewPermanentError(fmt.Errorf("entry %q: action %s is unknown", p.key, d.Action))
	}
}

// settle turns the end of a pass into what the queue does next.
func (r *Reconciler) settle(p *pass, err error) error {
	switch {
	case errors.Is(err, ledger.ErrConflict):
		// Somebody wrote the entry. The queue's delay gives the watch time to show that.
		return apierrors.NewConflict(schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "imageverifications"}, p.key.Name, err)
	case apierrors.IsNotFound(err):
		// The entry was deleted meanwhile, as the watch will show too.
		r.forget(p.key)
		return nil
	default:
		return err
	}
}

// load reads the entry and its trigger. It returns false if there is nothing to do.
func (r *Reconciler) load(ctx context.Context, p *pass) (bool, error) {
	var entry v1alpha1.ImageVerification
	err := r.cached.Get(ctx, p.key, &entry)
	if apierrors.IsNotFound(err) {
		r.forget(p.key)
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the entry %q: %w", p.key, err)
	}
	if entry.DeletionTimestamp != nil {
		return false, nil
	}
	p.log = r.log.With(
		zap.String("namespace", p.key.Namespace), zap.String("entry", p.key.Name),
		zap.String("trigger", entry.Spec.Trigger.Name), zap.String("digest", entry.Spec.Digest))
	return true, r.begin(ctx, p, r.ledger.Freshest(&entry))
}

// begin makes the pass go on with a state of the entry.
func (r *Reconciler) begin(ctx context.Context, p *pass, entry *v1alpha1.ImageVerification) error {
	p.entry = entry
	p.facts.Forged = ledger.Forged(entry)
	p.facts.RecreatedFrom = string(r.deletions.before(p.key, entry.UID))
	return r.loadTrigger(ctx, p)
}

// loadWhole reads the entry from the API server, as the cache has only a part of it.
func (r *Reconciler) loadWhole(ctx context.Context, p *pass) error {
	var entry v1alpha1.ImageVerification
	if err := r.live.Get(ctx, p.key, &entry); err != nil {
		return fmt.Errorf("reading the entry %q: %w", p.key, err)
	}
	if entry.UID != p.entry.UID {
		return fmt.Errorf("reading the entry %q, which was deleted and created again: %w", p.key, ledger.ErrConflict)
	}
	p.changed()
	return r.begin(ctx, p, &entry)
}

func (r *Reconciler) forget(key types.NamespacedName) {
	r.perEntry.drop(key)
	r.runQueue.gone(key)
}

// write writes the status, and makes the pass go on with what it wrote.
func (r *Reconciler) write(ctx context.Context, p *pass, mutate func(*v1alpha1.ImageVerificationStatus)) error {
	if Trimmed(p.entry) { // a bug: every step but Idle reads the whole entry first
		return controller.NewPermanentError(fmt.Errorf("entry %q: the cache has only a part of it, which must not be written", p.key))
	}
	before := p.entry.Status
	next, err := r.ledger.UpdateStatus(ctx, p.entry, mutate)
	if err != nil {
		return err
	}
	r.runQueue.note(next)
	p.entry = next
	p.changed()
	r.transition(p, before.Phase, before.Reason)
	return nil
}

func keyOf(entry *v1alpha1.ImageVerification) types.NamespacedName {
	return types.NamespacedName{Namespace: entry.Namespace, Name: entry.Name}
}
