package intake

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/recorder"
	"github.com/revet-dev/revet/pkg/selector"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// stream handles an ImageStream that was added or updated. One re-read serves all events of the
// stream that wait for it.
func (i *Intake) stream(ctx context.Context, from string, obs openshift.Observation) Result {
	if r, ok := i.admit(ctx, from, obs); !ok {
		return r
	}
	if _, news, r := i.hasNews(ctx, obs); !news {
		return r
	}
	object := obs.Object
	r, served, err := i.flights.do(ctx, object.Namespace+"/"+object.Name, func(ctx context.Context) (Result, bool) { return i.reread(ctx, from, obs) })
	if err != nil {
		return again(KindStream, fmt.Errorf("waiting for another event of ImageStream %q in namespace %q: %w", object.Name, object.Namespace, err))
	}
	if !served {
		return r
	}
	if _, news, mine := i.hasNews(ctx, obs); !news {
		return mine
	}
	if r.Recorded = 0; r.Status == Done && r.Reason == Recorded {
		r.Reason = NothingNew // of what this event claims the API server shows nothing
	}
	return r
}

// admit refuses an event of a namespace that only the API server could tell about, if its sender
// made the receiver ask in vain too often. Such a namespace is new, or does not exist.
func (i *Intake) admit(ctx context.Context, from string, obs openshift.Observation) (Result, bool) {
	if obs.Stream == nil || i.IsKnown == nil || !i.Triggers.selectOthers() || i.IsKnown(ctx, obs.Object.Namespace) || i.senders.ask(from) {
		return Result{}, true
	}
	return limited(from), false
}

// limited asks a sender to come again later.
func limited(from string) Result {
	return Result{Status: Again, Reason: SenderLimited, Kind: KindStream,
		Err: fmt.Errorf("events from %q made the receiver ask the API server in vain too often", from)}
}

// reread reads a stream again and records what is new. It returns false if it did not read,
// because another delivery has recorded the same pushes since, or because the sender made it read
// in vain too often: those that wait are served by their own.
func (i *Intake) reread(ctx context.Context, from string, obs openshift.Observation) (r Result, did bool) {
	claimed, news, nothing := i.hasNews(ctx, obs)
	if !news {
		return nothing, false
	}
	spent := 0
	more := func() bool {
		if !i.senders.ask(from) {
			return false
		}
		spent++
		return true
	}
	if !more() {
		return limited(from), false
	}
	defer func() {
		if r.Recorded > 0 {
			i.senders.giveBack(from, spent)
		}
	}()
	object := obs.Object
	i.Metrics.reread(ctx, v1alpha1.SourceEvent)
	asked := newPrefetch(i.Cluster, object)
	asked.start(ctx, claimed, func(t *Trigger) bool {
		return t.Namespace == object.Namespace || (!i.knows(t.account(), object) && i.budgets.ask(t.Namespace))
	}, more)
	state, err := i.Cluster.Stream(ctx, object.Namespace, object.Name)
	if err != nil {
		return again(KindStream, err), true
	}
	failpoint.Hit("intake.read")
	if state == nil {
		return Handled(KindStream, Gone), true
	}
	return i.act(ctx, object, state, asked), true
}

// hasNews compares what the event claims with the ledger, from caches. An event in
// Reference mode claims nothing, so the stream must be read.
func (i *Intake) hasNews(ctx context.Context, obs openshift.Observation) ([]finding, bool, Result) {
	if obs.Stream == nil {
		if !i.Triggers.selectStreams() {
			return nil, false, Handled(KindStream, NotSelected)
		}
		return nil, true, Result{}
	}
	state := &openshift.StreamState{Namespace: obs.Object.Namespace, Name: obs.Object.Name, Labels: obs.Labels, Stream: *obs.Stream}
	found, err := i.find(ctx, obs.Object, state)
	if err != nil {
		return nil, false, again(KindStream, err)
	}
	if claimed := i.claims(ctx, state, found.own); len(claimed) > 0 {
		return claimed, true, Result{} // the others are looked at once these are served
	}
	others, hidden := found.others()
	switch {
	case len(found.own)+len(others) == 0 && len(hidden) > 0:
		return nil, false, Handled(KindStream, NotVisible)
	case len(found.own)+len(others) == 0:
		return nil, false, Handled(KindStream, NotSelected)
	}
	if claimed := i.claims(ctx, state, others); len(claimed) > 0 {
		return claimed, true, Result{}
	}
	return nil, false, Handled(KindStream, NothingNew)
}

// claims returns what a claimed stream has that is new to triggers.
func (i *Intake) claims(ctx context.Context, state *openshift.StreamState, of []selected) []finding {
	var claimed []finding
	for _, one := range of {
		f := i.compare(one.trigger, state.Stream, one.tags)
		if len(f.Pushes) == 0 {
			i.reportSkips(ctx, f.Skips)
			continue
		}
		// No more is asked about, and an event may claim anything.
		f.Pushes, f.Skips = slices.Clone(f.Pushes[:min(len(f.Pushes), maxPrefetch)]), nil
		claimed = append(claimed, f)
	}
	return claimed
}

// act records what the API server showed, for each trigger that may see it: those of the stream's
// own namespace first. The others wait for nobody but triggers of their own namespace, and hold
// up nobody: what they cost is bounded, and what does not fit is put off.
func (i *Intake) act(ctx context.Context, object openshift.Object, state *openshift.StreamState, asked *prefetch) Result {
	found, err := i.find(ctx, object, state)
	if err != nil {
		return again(KindStream, err)
	}
	c := tally{kind: KindStream}
	// What is new to all of them at once would take too much memory.
	own := slices.DeleteFunc(found.own, func(one selected) bool {
		f := i.compare(one.trigger, state.Stream, one.tags)
		i.reportSkips(ctx, f.Skips)
		return len(f.Pushes) == 0
	})
	if len(own) > 0 {
		c.foundNews()
	}
	i.serveOwn(ctx, object, state, own, asked, &c)
	others, hidden := found.others()
	for _, t := range hidden {
		i.reportHidden(ctx, t, object, state.Stream.Repository)
	}
	i.serveOthers(ctx, object, state, others, asked, &c)
	if !c.news {
		return Handled(KindStream, NothingNew)
	}
	return c.result()
}

// ownAhead is how many accounts of the stream's own namespace are asked about at once. An event
// holds up those that come after it from the same source, whosever they are.
const ownAhead = 16

// serveOwn records for the triggers of the stream's own namespace to which something is new.
func (i *Intake) serveOwn(ctx context.Context, object openshift.Object, state *openshift.StreamState, own []selected, asked *prefetch, c *tally) {
	for n, one := range own {
		for _, next := range own[n:min(n+ownAhead, len(own))] {
			asked.right(ctx, next.trigger.account())
		}
		allowed, err := asked.right(ctx, one.trigger.account()).get()
		if err != nil {
			c.fail(err)
			continue
		}
		f := i.compare(one.trigger, state.Stream, one.tags)
		switch {
		case len(f.Pushes) == 0: // recorded meanwhile
		case !allowed:
			i.deny(ctx, f, object, c)
		default:
			i.record(ctx, f, func(p push.Push) recorder.Candidate { return i.streamCandidate(f.trigger, p, asked) }, c)
		}
	}
}

// deny tells of a trigger whose account may not get the stream.
func (i *Intake) deny(ctx context.Context, f finding, object openshift.Object, c *tally) {
	c.deny()
	i.reportHidden(ctx, f.trigger, object, f.Pushes[0].Repository)
}

func (i *Intake) reportHidden(ctx context.Context, t *Trigger, object openshift.Object, r push.Repository) {
	i.reportTrigger(ctx, t, r, string(NotVisible), "trigger's account may not get the ImageStream", grant(t.account(), object))
}

// grant says how to let an account see a stream.
func grant(a source.Account, object openshift.Object) error {
	return fmt.Errorf("service account %q of namespace %q may not get ImageStream %q in namespace %q; to let it see the namespace's streams: %s",
		a.Name, a.Namespace, object.Name, object.Namespace, a.GrantImageStreams(object.Namespace))
}

// streamCandidate says how to find out what a push to an ImageStream is.
func (i *Intake) streamCandidate(t *Trigger, p push.Push, asked *prefetch) recorder.Candidate {
	return recorder.Candidate{
		Trigger: t.ImageTrigger, Push: p, Source: v1alpha1.SourceEvent,
		Image: func(ctx context.Context) (openshift.ImageState, error) { return asked.image(ctx, p.Digest).get() },
		Content: func(ctx context.Context) (image.Content, error) {
			host := p.Pull.Host()
			if err := asked.isAway(host); err != nil {
				return image.Content{}, err
			}
			ctx, cancel := context.WithTimeout(ctx, i.RegistryTimeout)
			defer cancel()
			content, err := i.Registry.Content(ctx, p.Pull.At(p.Digest), t.account())
			if err != nil && source.ReasonOf(err) == "" {
				asked.setAway(host, err)
			}
			return content, err
		},
	}
}

// finding is what one repository shows that is new to one trigger.
type finding struct {
	trigger *Trigger
	push.Result
}

// selected is a trigger that selects a stream, and the tags that it admits.
type selected struct {
	trigger *Trigger
	tags    selector.Tags
}

// selection is the triggers that select a stream.
type selection struct {
	own []selected // of the stream's namespace
	// others looks for those of other namespaces. It is called once the own ones are served, as
	// many triggers of large selectors take longer than a record. Hidden are those whose accounts
	// are known not to see the stream: they cost no comparison.
	others func() (others []selected, hidden []*Trigger)
}

// find returns the triggers that select the stream. What is new to each is for the caller to
// compare, one after another: a stream may have thousands of items, and hundreds of triggers.
func (i *Intake) find(ctx context.Context, object openshift.Object, state *openshift.StreamState) (found selection, err error) {
	var labels map[string]string
	if i.Triggers.selectOthers() {
		if labels, err = i.Namespaces.Labels(ctx, object.Namespace); err != nil {
			return found, err
		}
	}
	own, others := i.Triggers.ofStreams(object.Namespace, labels)
	look := func(to []selected, t *Trigger) []selected {
		tags := t.selector.Stream(object.Namespace, labels, object.Name, state.Labels)
		if tags.Empty() {
			return to
		}
		return append(to, selected{t, tags})
	}
	for _, t := range own {
		found.own = look(found.own, t)
	}
	found.others = func() (to []selected, hidden []*Trigger) {
		for _, t := range others {
			if i.hides(t.account(), object) {
				hidden = append(hidden, t)
				continue
			}
			to = look(to, t)
		}
		return to, hidden
	}
	return found, nil
}

// compare detects the pushes that a repository shows and that the ledger does not cover
// for one trigger. It uses caches only.
func (i *Intake) compare(t *Trigger, s push.Stream, tags selector.Tags) finding {
	known := ledger.WithinScope(i.Ledger.Known(t.ImageTrigger, s.Repository), t.ImageTrigger, t.selector.AdmitTime)
	return finding{trigger: t, Result: push.Detect(s.Only(tags.Admit), known, i.recorder)}
}

// maxPrefetch bounds how many Images, and how many rights, one event makes the receiver ask
// about before the re-read. Anybody may send an event that claims many new digests.
const maxPrefetch = 4

// prefetch asks the API server about digests and accounts, for one event and each question
// once. It asks what the event's claims make likely while the stream is read again. The
// answers count only for what that re-read shows.
type prefetch struct {
	cluster Cluster
	object  openshift.Object

	mu     sync.Mutex
	images map[image.Digest]*answer[openshift.ImageState]
	rights map[source.Account]*answer[bool]
	// away are the registries that did not answer. They are not asked again.
	away map[string]error
}

func newPrefetch(c Cluster, object openshift.Object) *prefetch {
	return &prefetch{
		cluster: c, object: object,
		images: map[image.Digest]*answer[openshift.ImageState]{},
		rights: map[source.Account]*answer[bool]{},
		away:   map[string]error{},
	}
}

// answer is set when done is closed.
type answer[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// ask asks a question in another goroutine.
func ask[T any](question func() (T, error)) *answer[T] {
	a := &answer[T]{done: make(chan struct{})}
	go func() {
		defer close(a.done)
		defer caught(func(err error) { a.err = err })
		a.value, a.err = question()
	}()
	return a
}

// caught turns a panic into an error. Goroutines defer it that run beside a request's own:
// net/http does not recover their panics, which would end the process.
func caught(fail func(error)) {
	if p := recover(); p != nil {
		fail(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
	}
}

func (a *answer[T]) get() (T, error) {
	<-a.done // the question's context ends it
	return a.value, a.err
}

// within waits for the answer no longer than a context lasts, which may end before the question's.
func (a *answer[T]) within(ctx context.Context) (value T, err error) {
	select {
	case <-a.done:
		return a.value, a.err
	case <-ctx.Done():
		return value, ctx.Err()
	}
}

// start asks what act will need if the re-read shows what the event claims. May says whether to
// ask about a trigger's account, and more whether to ask about one more Image: what is not asked
// now, act asks if the re-read shows it.
func (p *prefetch) start(ctx context.Context, claimed []finding, may func(*Trigger) bool, more func() bool) {
	for _, f := range claimed {
		if len(f.Pushes) == 0 || len(p.rights) == maxPrefetch {
			continue
		}
		if account := f.trigger.account(); !p.has(account) && may(f.trigger) {
			p.right(ctx, account)
		}
		for _, pushed := range f.Pushes {
			if p.images[pushed.Digest] != nil {
				continue
			}
			if len(p.images) == maxPrefetch || !more() {
				break
			}
			p.image(ctx, pushed.Digest)
		}
	}
}

func (p *prefetch) image(ctx context.Context, d image.Digest) *answer[openshift.ImageState] {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.images[d]
	if a == nil {
		a = ask(func() (openshift.ImageState, error) { return p.cluster.Image(ctx, d) })
		p.images[d] = a
	}
	return a
}

// has reports whether an account was asked about.
func (p *prefetch) has(account source.Account) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rights[account] != nil
}

func (p *prefetch) right(ctx context.Context, account source.Account) *answer[bool] {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.rights[account]
	if a == nil {
		a = ask(func() (bool, error) { return p.cluster.MayGet(ctx, account, p.object.Namespace, p.object.Name) })
		p.rights[account] = a
	}
	return a
}

// isAway returns why a registry did not answer before, for this event.
func (p *prefetch) isAway(host string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.away[host]; err != nil {
		return fmt.Errorf("registry %q did not answer for another push of the same event: %w", host, err)
	}
	return nil
}

func (p *prefetch) setAway(host string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away[host] = err
}
