package imageverification

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/controller"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/sandbox"
)

const (
	// queuedRetry is how often an entry asks again for a slot, besides being woken.
	queuedRetry = 30 * time.Second
	// queuedNote is how long an entry waits before that is written down: a queue
	// that moves must not cost a write an entry.
	queuedNote = 5 * time.Second
	// firedBefore is the age from which run 1 of an entry may have been fired by
	// an earlier process. Below it a second request costs less than a look.
	firedBefore = 2 * time.Second
	// unrecorded is how long a request for run 1 may have been sent before that is
	// written down without the run having been seen.
	unrecorded = 50 * time.Millisecond
	// keyRetry is how often the key of the sandbox's weight is asked for again.
	keyRetry = 5 * time.Second
	// maxRouteMessage is the bound of v1alpha1.SandboxStatus.
	maxRouteMessage = 512
	// factsTimeout bounds what reading an image may cost a worker and a slot.
	factsTimeout = 10 * time.Second
	// factsPatience is how long it is tried to read an image before it is run without.
	factsPatience = 2 * time.Minute
)

// start decides on a run and fires it.
func (r *Reconciler) start(ctx context.Context, p *pass, d lifecycle.Decision) (bool, error) {
	if done, ok := r.memory.wasSent(sightName(p.entry)); ok {
		return r.recordFirst(ctx, p, d, done)
	}
	if p.seen.Sight == lifecycle.Found {
		// Fired by an earlier process, and not recorded: only that is left to do.
		route, err := r.route(ctx, p)
		if err != nil {
			return false, r.unrouted(ctx, p, err)
		}
		return true, r.write(ctx, p, r.begin(p, d, nil, route, r.now()))
	}
	if given, err := r.superseded(ctx, p, d.Cause); given || err != nil {
		return true, err
	}
	if !r.slot(p, d.Cause) {
		return false, r.queued(ctx, p)
	}
	facts, refusal, err := r.enrich(ctx, p, d)
	if err != nil {
		return false, r.unreadable(ctx, p, err)
	}
	switch refusal.Action {
	case lifecycle.Start:
	case lifecycle.Skip:
		phase := v1alpha1.PhaseSkipped
		if refusal.Reason == lifecycle.FilterFailed {
			phase = v1alpha1.PhaseError // a skip would hide that nothing was decided
		}
		return true, r.skip(ctx, p, phase, refusal)
	default:
		return r.wait(ctx, p, refusal)
	}
	route, err := r.route(ctx, p)
	if err != nil {
		return false, r.unrouted(ctx, p, err)
	}
	if p.entry.Status.RunCount == 0 && d.Cause.Type == v1alpha1.CausePush && p.facts.Confirmable {
		return r.fireFirst(ctx, p, d, facts, route)
	}
	return r.recordThenSend(ctx, p, r.begin(p, d, facts, route, r.now()))
}

// fireFirst fires run 1, whose intent is the entry's creation, and leaves the
// recording for when the run is seen, which is one write for both. A crash
// before that repeats the request; its PipelineRun exists then, and stays alone.
func (r *Reconciler) fireFirst(ctx context.Context, p *pass, d lifecycle.Decision, facts *v1alpha1.ImageFacts, route sandbox.Route) (bool, error) {
	if p.seen.Sight == lifecycle.NotLooked && r.now().Sub(p.entry.CreationTimestamp.Time) > firedBefore {
		return true, r.look(ctx, p)
	}
	draft := p.entry.DeepCopy()
	draft.Status.Tags = draft.Tags()
	r.begin(p, d, facts, route, r.now())(&draft.Status)
	held, release, leads := r.lease.Hold(ctx, p.key)
	if !leads {
		return false, r.lost(p)
	}
	defer release()
	run := draft.Status.CurrentRun()
	done := r.send(held, p, draft, run)
	done.facts, done.route = facts, route
	r.memory.didSend(run.Name, done)
	return true, nil
}

// recordFirst records run 1, which was fired: with the run itself if it appears
// within the time of a blink, or without it. Until then the entry is Pending.
func (r *Reconciler) recordFirst(ctx context.Context, p *pass, d lifecycle.Decision, done sent) (bool, error) {
	name := sightName(p.entry)
	since := r.now().Sub(done.at)
	if p.seen.Sight != lifecycle.Found && done.err == nil && since < unrecorded {
		return false, later(unrecorded - since)
	}
	ours := p.seen.Sight == lifecycle.Found && lifecycle.Foreign(p.entry, name, p.seen.Run) == ""
	now, seen, begin := r.now(), p.seen.Run, r.begin(p, d, done.facts, done.route, done.at)
	err := r.write(ctx, p, func(s *v1alpha1.ImageVerificationStatus) {
		begin(s)
		lifecycle.Attempt(s, done.trigger, done.at)
		r.refused(s, done.trigger, done)
		if ours {
			lifecycle.Confirm(s, seen, now)
		}
	})
	if err != nil {
		return false, err
	}
	r.memory.recordedSend(name)
	failpoint.Hit("verification.intent")
	if ours {
		r.metrics.confirmed(ctx, p.entry, now)
		failpoint.Hit("verification.confirmed")
	}
	return true, nil
}

// begin returns the change of status that begins a run which was decided at a time.
func (r *Reconciler) begin(p *pass, d lifecycle.Decision, facts *v1alpha1.ImageFacts, route sandbox.Route, decided time.Time) func(*v1alpha1.ImageVerificationStatus) {
	run := v1alpha1.RunStatus{
		Name:              ledger.RunName(p.entry, p.entry.Status.RunCount+1),
		Cause:             d.Cause,
		TriggerGeneration: p.facts.Generation,
		Sandbox:           v1alpha1.SandboxStatus{Requested: route.RuntimeClassName, Route: route.Around, RouteMessage: image.Cut(route.Message, maxRouteMessage)},
	}
	return func(s *v1alpha1.ImageVerificationStatus) {
		if facts != nil {
			s.Image = facts
		}
		lifecycle.Begin(s, run, decided)
	}
}

// route decides where the next run executes.
func (r *Reconciler) route(ctx context.Context, p *pass) (sandbox.Route, error) {
	if p.trigger == nil {
		return sandbox.Route{}, nil // it was deleted, and what it asked for is not known
	}
	var key []byte
	if s := p.trigger.Spec.Sandbox; sandbox.Weighted(s) {
		if r.key == nil {
			return sandbox.Route{}, sandbox.ErrNoKey
		}
		var err error
		if key, err = r.key(ctx); err != nil {
			return sandbox.Route{}, err
		}
	}
	digest, err := image.ParseDigest(p.entry.Spec.Digest)
	if err != nil {
		return sandbox.Route{}, fmt.Errorf("entry %q: %w", p.key, err)
	}
	img := sandbox.Image{Digest: digest, Repository: p.entry.Spec.Repository.Name}
	for _, t := range p.entry.Tags() {
		img.Tags = append(img.Tags, t.Tag)
	}
	missing := p.trigger.IsSandboxMissing()
	why := ""
	if n := len(p.entry.Status.Runs); n > 0 && !missing && lifecycle.Reason(p.entry.Status.Runs[n-1].Reason) == lifecycle.SandboxUnavailable {
		why = p.entry.Status.Runs[n-1].Message
	}
	return sandbox.Decide(p.trigger.Spec.Sandbox, key, img, missing, why)
}

// unrouted ends the pass of an entry of which it cannot be decided where it runs.
func (r *Reconciler) unrouted(ctx context.Context, p *pass, cause error) error {
	r.slots.free(p.key)
	p.log.Warn("deciding where the run executes", zap.Error(cause))
	if err := r.hold(ctx, p, lifecycle.Decision{Reason: lifecycle.SandboxUndecided, Message: cause.Error()}); err != nil {
		return err
	}
	return controller.NewRequeueAfter(keyRetry)
}

// slot asks for one of the trigger's maxConcurrent slots, and of all triggers'.
func (r *Reconciler) slot(p *pass, cause v1alpha1.Cause) bool {
	w := want{
		key:     p.key,
		uid:     p.entry.Spec.Trigger.UID,
		trigger: types.NamespacedName{Namespace: p.key.Namespace, Name: p.entry.Spec.Trigger.Name},
		most:    maxConcurrent(p.trigger),
	}
	if r.slots.quick(w) {
		return true // what its place in the queue would be does not matter
	}
	w.rank, w.since = lifecycle.RankOf(p.entry, cause, r.heads(p.entry)), r.now()
	if push := lifecycle.Undecided(p.entry); push != nil {
		w.since = push.ObservedAt.Time
	}
	return r.slots.ask(w)
}

// heads returns what the tags of an entry show by now.
func (r *Reconciler) heads(e *v1alpha1.ImageVerification) []lifecycle.Head {
	return lifecycle.Heads(e, func(tag string) lifecycle.Head { return r.ledger.Head(e, tag) })
}

// superseded gives a push up for newer ones, if the trigger says so. It reports
// false if the push is to be run.
func (r *Reconciler) superseded(ctx context.Context, p *pass, cause v1alpha1.Cause) (bool, error) {
	if !p.facts.SkipSuperseded || cause.Type != v1alpha1.CausePush {
		return false, nil
	}
	switch d, given := lifecycle.Supersede(p.entry, p.facts, p.seen, r.heads(p.entry)); {
	case !given:
		return false, nil
	case d.Action == lifecycle.Look:
		return true, r.look(ctx, p)
	default:
		return true, r.skip(ctx, p, v1alpha1.PhaseSkipped, d)
	}
}

// defaultMaxConcurrent holds where the API server did not fill the field in.
const defaultMaxConcurrent = 10

func maxConcurrent(t *v1alpha1.ImageTrigger) int {
	if t == nil || t.Spec.MaxConcurrent <= 0 {
		return defaultMaxConcurrent
	}
	return int(t.Spec.MaxConcurrent)
}

// queued ends the pass of an entry that has to wait for a slot.
func (r *Reconciler) queued(ctx context.Context, p *pass) error {
	newest := p.entry.Spec.FirstPush.ObservedAt.Time
	for _, t := range p.entry.Status.Tags {
		if t.ObservedAt.After(newest) {
			newest = t.ObservedAt.Time
		}
	}
	if r.now().Sub(newest) < queuedNote {
		return r.emit(ctx, p, queuedRetry)
	}
	message := fmt.Sprintf("the trigger's maxConcurrent of %d runs is reached", maxConcurrent(p.trigger))
	if r.slots.full() {
		message = fmt.Sprintf("the bound of %d runs of all triggers is reached; the controller's --max-concurrent sets it", r.slots.most)
	}
	if err := r.hold(ctx, p, lifecycle.Decision{Reason: lifecycle.Queued, Message: message}); err != nil {
		return err
	}
	return r.emit(ctx, p, queuedRetry)
}

// enrich reads what is known of the digest and decides whether the push is one
// to verify. The decision is Start, Skip or Wait. What somebody asked for by
// hand, or what was decided before, is not filtered again.
func (r *Reconciler) enrich(ctx context.Context, p *pass, d lifecycle.Decision) (*v1alpha1.ImageFacts, lifecycle.Decision, error) {
	f, err := r.filters.get(p.trigger.Spec.Filter)
	if err != nil {
		return nil, lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.FilterInvalid, Message: err.Error(), Hold: true}, nil //nolint:nilerr // the decision tells it
	}
	if p.entry.Spec.Image != nil && p.trigger.Spec.Filter == "" {
		// Whoever recorded the pushes was shown an image that runs.
		return nil, lifecycle.Decision{Action: lifecycle.Start}, nil
	}
	img, err := r.read(ctx, p, f.Labels())
	if err != nil {
		return nil, lifecycle.Decision{}, err
	}
	if d.Cause.Type != v1alpha1.CausePush || lifecycle.Undecided(p.entry) == nil {
		return factsOf(img), lifecycle.Decision{Action: lifecycle.Start}, nil
	}
	if img == nil || !img.Recomputed {
		if p.trigger.Spec.Filter != "" {
			p.log.Warn("it is not known whether the trigger's filter admits the image; it is run")
		}
		return factsOf(img), lifecycle.Decision{Action: lifecycle.Start}, nil
	}
	if !img.Content.Runnable() {
		return nil, lifecycle.Decision{Action: lifecycle.Skip, Reason: lifecycle.NotAnImage, Message: img.Content.Why()}, nil
	}
	result, err := f.Evaluate(p.entry, factsOf(img))
	switch {
	case err != nil:
		message := err.Error() + "; mend the trigger's filter and replay the entry"
		return nil, lifecycle.Decision{Action: lifecycle.Skip, Reason: lifecycle.FilterFailed, Message: message}, nil //nolint:nilerr // the decision tells it
	case !result.Matches:
		return nil, lifecycle.Decision{Action: lifecycle.Skip, Reason: lifecycle.FilteredOut, Message: result.Message}, nil
	default:
		return factsOf(img), lifecycle.Decision{Action: lifecycle.Start}, nil
	}
}

// read reads what is known of the digest; nil is nothing. A run can do without: it
// pulls by digest, and fails if there is nothing. So only for a while is it waited for
// a registry that does not answer.
func (r *Reconciler) read(ctx context.Context, p *pass, labels []string) (*Image, error) {
	reading, cancel := context.WithTimeout(ctx, factsTimeout)
	defer cancel()
	img, err := r.facts.Read(reading, p.trigger, p.entry, labels)
	switch {
	case err == nil, errors.Is(err, ErrNoFacts):
		r.memory.wasRead(p.key)
	case r.now().Sub(r.memory.unreadableSince(p.key, r.now())) < factsPatience:
		return nil, err
	default:
		p.log.Warn("what is known of the image cannot be read; it is run without", zap.Error(err))
	}
	if err != nil {
		return nil, nil
	}
	return img, nil
}

// unreadable ends the pass of an entry whose facts cannot be read now. The slot
// is given back: a registry that is down must not stop the other entries.
func (r *Reconciler) unreadable(ctx context.Context, p *pass, cause error) error {
	r.slots.free(p.key)
	p.log.Warn("reading what is known of the image", zap.Error(cause))
	err := r.hold(ctx, p, lifecycle.Decision{Reason: lifecycle.FactsUnreadable, Message: cause.Error()})
	if err != nil {
		return err
	}
	return controller.NewRequeueAfter(lifecycle.FactsRetry(p.entry, r.now()))
}

func factsOf(img *Image) *v1alpha1.ImageFacts {
	if img == nil {
		return nil
	}
	return &img.Facts
}
