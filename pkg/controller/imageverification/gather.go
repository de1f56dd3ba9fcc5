package imageverification

import (
	"context"
	"errors"
	"fmt"
	"time"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/filter"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/sandbox"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/tekton"
)

// What a pass finds out. Nothing here decides: each function fills in facts, and
// lifecycle.Next says what they mean.

// readTimeout bounds what reading an image may cost a worker and a slot.
const readTimeout = 10 * time.Second

// runName is the name under which the entry's run is looked for: the current run's, or
// the next one's, as a process may have ended after it fired that and before it recorded it.
func runName(e *v1alpha1.ImageVerification) string {
	if run := e.Status.CurrentRun(); run != nil {
		return run.Name
	}
	return ledger.RunName(e, e.Status.RunCount+1)
}

// gather fills in the facts that cost no request.
func (r *Reconciler) gather(ctx context.Context, p *pass) error {
	if err := r.lookupCached(ctx, p); err != nil {
		return err
	}
	p.facts.Sent = nil
	if sent, ok := r.perEntry.sent.get(p.key); ok && sent.Run == p.facts.Run.Name {
		p.facts.Sent = &sent
	}
	if p.facts.Trigger.SkipSuperseded && p.facts.Heads == nil && lifecycle.Undecided(p.entry) != nil {
		p.facts.Heads = r.heads(p.entry)
	}
	return nil
}

// lookupCached looks for the run in the cache. The cache may lag, so that a run which it
// does not have was not looked for. What the API server said of the same run stays.
func (r *Reconciler) lookupCached(ctx context.Context, p *pass) error {
	name := runName(p.entry)
	run, err := tekton.GetRun(ctx, r.cached, types.NamespacedName{Namespace: p.key.Namespace, Name: name})
	switch {
	case err == nil:
		r.found(p, name, run)
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("reading PipelineRun %q: %w", name, err)
	case p.facts.Run.Name != name:
		p.facts.Run = lifecycle.RunObservation{Name: name}
	}
	return nil
}

// lookupLive asks the API server whether the run exists.
func (r *Reconciler) lookupLive(ctx context.Context, p *pass) error {
	name := runName(p.entry)
	run, err := tekton.GetRun(ctx, r.live, types.NamespacedName{Namespace: p.key.Namespace, Name: name})
	switch {
	case err == nil:
		r.found(p, name, run)
	case apierrors.IsNotFound(err):
		p.facts.Run = lifecycle.RunObservation{Name: name, Lookup: lifecycle.Absent}
	default:
		return fmt.Errorf("looking for PipelineRun %q: %w", name, err)
	}
	return nil
}

func (r *Reconciler) found(p *pass, name string, run lifecycle.PipelineRun) {
	seen := lifecycle.RunObservation{Name: name, Lookup: lifecycle.Found, Run: run}
	if p.facts.Run.Name == name {
		seen.Pods, seen.StartFailure = p.facts.Run.Pods, p.facts.Run.StartFailure
		seen.Compared, seen.Differs = p.facts.Run.Compared, p.facts.Run.Differs
	}
	if started, ok := r.perEntry.podsStarted.get(p.key); ok && started == name {
		seen.Pods = lifecycle.PodsStarted
	}
	p.facts.Run = seen
}

// lookupByLabel asks the API server for a PipelineRun that has the run's label under
// another name.
func (r *Reconciler) lookupByLabel(ctx context.Context, p *pass) error {
	name := p.facts.Run.Name
	found, err := tekton.ListRuns(ctx, r.live, p.key.Namespace, name)
	if err != nil {
		return fmt.Errorf("looking for PipelineRuns with the label of run %q: %w", name, err)
	}
	p.facts.Run.LabelChecked = true
	for i := range found {
		if found[i].Name != name {
			p.facts.Run.OtherName = found[i].Name
			return nil
		}
	}
	return nil
}

// compareRun compares the PipelineRun with what the trigger's listener makes of the request for the
// run. The cache has no specs, so that it asks the API server.
func (r *Reconciler) compareRun(ctx context.Context, p *pass) error {
	name, uid := p.facts.Run.Name, p.facts.Run.Run.UID
	if r.compare == nil || p.trigger == nil {
		p.facts.Run.Compared, p.facts.Run.Differs = uid, ""
		return nil
	}
	var pr pipelinev1.PipelineRun
	err := r.live.Get(ctx, types.NamespacedName{Namespace: p.key.Namespace, Name: name}, &pr)
	switch {
	case apierrors.IsNotFound(err):
		p.facts.Run = lifecycle.RunObservation{Name: name, Lookup: lifecycle.Absent}
		return nil
	case err != nil:
		return fmt.Errorf("reading PipelineRun %q: %w", name, err)
	}
	differs, err := r.compare(ctx, p.trigger, p.entry, r.requested(p), &pr)
	if err != nil {
		return fmt.Errorf("comparing PipelineRun %q with its template: %w", name, err)
	}
	r.found(p, name, tekton.RunFrom(&pr))
	p.facts.Run.Compared, p.facts.Run.Differs = string(pr.UID), differs
	if differs != "" {
		p.log.Warn("a PipelineRun is not what the listener makes", zap.String("run", name), zap.String("field", differs))
	}
	return nil
}

// requested returns the run that was asked for, which may not be recorded yet.
func (r *Reconciler) requested(p *pass) *v1alpha1.RunStatus {
	if run := p.entry.Status.CurrentRun(); run != nil {
		return run
	}
	run := v1alpha1.RunStatus{Name: p.facts.Run.Name}
	if sent := p.facts.Sent; sent != nil {
		run = lifecycle.NewRun(sent.Run, sent.Cause, sent.Trigger.Generation, sent.Routing)
	}
	return &run
}

// askSlot asks for one of the trigger's maxConcurrent slots, and of all triggers'.
func (r *Reconciler) askSlot(p *pass, cause v1alpha1.Cause) {
	w := slotRequest{
		key:     p.key,
		uid:     p.entry.Spec.Trigger.UID,
		trigger: types.NamespacedName{Namespace: p.key.Namespace, Name: p.entry.Spec.Trigger.Name},
		most:    p.facts.Trigger.MaxConcurrent,
	}
	// Where a slot is free its place in the queue does not matter, unless its rank is low.
	granted := !lifecycle.Renewal(cause) && r.runQueue.tryNow(w)
	if !granted {
		w.rank, w.since = lifecycle.RankOf(p.entry, cause, r.heads(p.entry)), r.now()
		if push := lifecycle.Undecided(p.entry); push != nil {
			w.since = push.ObservedAt.Time
		}
		granted = r.runQueue.ask(w)
	}
	p.facts.Slot = lifecycle.Slot{State: lifecycle.SlotGranted}
	if !granted {
		p.facts.Slot = r.runQueue.holdup(p.key)
	}
}

// heads returns what the tags of an entry show now.
func (r *Reconciler) heads(e *v1alpha1.ImageVerification) []lifecycle.Head {
	return lifecycle.Heads(e, func(tag string) lifecycle.Head { return r.ledger.Head(e, tag) })
}

// enrich reads the image, and evaluates the trigger's filter for it.
func (r *Reconciler) enrich(ctx context.Context, p *pass) {
	f, err := r.filters.get(p.key.Namespace, p.trigger.Spec.Filter)
	if err != nil {
		p.facts.Image = lifecycle.Image{Filter: lifecycle.FilterResult{State: lifecycle.FilterDoesNotCompile, Message: err.Error()}}
		return
	}
	img := r.read(ctx, p, f.Labels())
	if img.State == lifecycle.ImageRead && img.Recomputed {
		img.Filter = evaluate(f, p.entry, img.Facts)
	} else if p.trigger.Spec.Filter != "" {
		p.log.Warn("whether the trigger's filter matches is not known; without a registry that can be read, the image runs")
	}
	p.facts.Image = img
}

func evaluate(f *filter.Filter, e *v1alpha1.ImageVerification, facts *v1alpha1.ImageFacts) lifecycle.FilterResult {
	result, err := f.Evaluate(e, facts)
	switch {
	case err != nil:
		return lifecycle.FilterResult{State: lifecycle.FilterFails, Message: err.Error()}
	case !result.Matches:
		return lifecycle.FilterResult{State: lifecycle.FilterRefuses, Message: result.Message}
	default:
		return lifecycle.FilterResult{State: lifecycle.FilterMatches}
	}
}

func (r *Reconciler) read(ctx context.Context, p *pass, labels []string) lifecycle.Image {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	img, err := r.facts.Read(ctx, p.trigger, p.entry, labels)
	switch {
	case err == nil:
		r.perEntry.unreadable.drop(p.key)
		return lifecycle.Image{State: lifecycle.ImageRead, Facts: &img.Facts, Content: img.Content, Recomputed: img.Recomputed}
	case errors.Is(err, ErrNoFacts):
		r.perEntry.unreadable.drop(p.key)
		return lifecycle.Image{State: lifecycle.ImageMissing}
	default:
		p.log.Warn("reading the image", zap.Error(err))
		since := r.perEntry.unreadable.first(p.key, r.now())
		return lifecycle.Image{State: lifecycle.ImageUnreadable, UnreadableSince: since, Error: err.Error(),
			NotAllowed: source.ReasonOf(err) == source.NotAllowed}
	}
}

// route decides where the next run executes.
func (r *Reconciler) route(ctx context.Context, p *pass) {
	route, err := r.routeOf(ctx, p)
	if err != nil {
		p.log.Warn("deciding where the run executes", zap.Error(err))
		p.facts.Routing = lifecycle.Routing{State: lifecycle.RoutingFailed, Error: err.Error()}
		return
	}
	p.facts.Routing = lifecycle.Routing{State: lifecycle.RoutingDecided, Route: route}
}

func (r *Reconciler) routeOf(ctx context.Context, p *pass) (sandbox.Route, error) {
	var key []byte
	if p.trigger != nil && sandbox.Weighted(p.trigger.Spec.Sandbox) {
		if r.key == nil {
			return sandbox.Route{}, sandbox.ErrNoKey
		}
		var err error
		if key, err = r.key(ctx); err != nil {
			return sandbox.Route{}, err
		}
	}
	return lifecycle.RouteOf(p.entry, p.trigger, key)
}

// loadTrigger reads the entry's trigger. That it is gone is believed only of the API
// server: the caches of entries and triggers are not in step, and an entry that ended
// because its trigger was deleted stays ended.
func (r *Reconciler) loadTrigger(ctx context.Context, p *pass) error {
	name := types.NamespacedName{Namespace: p.key.Namespace, Name: p.entry.Spec.Trigger.Name}
	for _, reader := range []client.Reader{r.cached, r.live} {
		var t v1alpha1.ImageTrigger
		err := reader.Get(ctx, name, &t)
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("reading the trigger %q: %w", name, err)
		}
		if err == nil && string(t.UID) == p.entry.Spec.Trigger.UID {
			p.trigger = &t
			break
		}
		if !open(p.entry) {
			break // nothing depends on it
		}
	}
	p.facts.Trigger = lifecycle.TriggerOf(p.trigger)
	p.facts.LongestRun = r.runQueue.longest
	p.facts.Trigger.RetryFactor = r.failing.factor(p.key.Namespace, 0, r.now())
	p.facts.Trigger.PausedUntil = r.sinkBackoff.of(types.UID(p.entry.Spec.Trigger.UID), r.now())
	return nil
}
