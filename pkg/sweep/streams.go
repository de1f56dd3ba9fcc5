package sweep

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/selector"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

const partStreams = "streams"

// maxHiddenAsked bounds how many hidden ImageStreams a sweep looks for that show nothing new.
// The first one makes the trigger's coverage not known; more only tell where.
const maxHiddenAsked = 3

// sweepStreams compares the ImageStreams that any of the targets selects. It returns the
// targets, in their order, with what it saw.
func (s *Sweeper) sweepStreams(ctx context.Context, waiting []*target) []*target {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	targets := make([]*target, 0, len(waiting))
	for _, t := range waiting {
		targets = append(targets, t.begin(s.Now()))
	}
	if err := s.passStreams(ctx, targets); err != nil {
		for _, t := range targets {
			if errors.Is(err, openshift.ErrNoStreams) {
				t.tally.fail(NoImageStreams, err, false)
				continue
			}
			t.tally.failed(err)
		}
	}
	return targets
}

func (s *Sweeper) passStreams(ctx context.Context, targets []*target) error {
	namespaces, all := scope(targets)
	var labels map[string]map[string]string
	if all {
		var err error
		if labels, err = s.Cluster.Namespaces(ctx); err != nil {
			return err
		}
		namespaces = []string{""}
	}
	shares := s.sharesOf(targets)
	if err := s.listStreams(ctx, shares, namespaces, labels); err != nil {
		return err
	}
	for _, one := range shares {
		one.each(ctx, s.askWithoutStreams)
	}
	return nil
}

// listStreams compares each stream of the namespaces; labels are those of all namespaces,
// nil where no target needs them.
func (s *Sweeper) listStreams(ctx context.Context, shares []*share, namespaces []string, labels map[string]map[string]string) error {
	pool := newPool(s.options.Concurrency)
	defer pool.wait()
	for _, namespace := range namespaces {
		err := s.Cluster.EachStream(ctx, namespace, func(state *openshift.StreamState) {
			of, read := labels[state.Namespace]
			pool.do(func() { s.compareStream(ctx, shares, of, read || labels == nil, state) })
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// askWithoutStreams asks whether the account sees the trigger's own namespace, if that is
// selected and nothing was: an account that sees nothing would miss the first push.
func (s *Sweeper) askWithoutStreams(ctx context.Context, t *target) (places int) {
	names, own := ownNames(t.trigger)
	if !own || !t.tally.sawNone() {
		return 0
	}
	allowed, err := s.access.mayGetAny(ctx, t.account, t.trigger.Namespace, names)
	switch {
	case err != nil:
		t.tally.failed(err)
	case !allowed:
		t.tally.hide(t.trigger.Namespace + "/")
	}
	return 0
}

// ownNames returns the stream names without wildcards that the trigger selects in its own
// namespace, and whether it selects any stream there.
func ownNames(trigger *v1alpha1.ImageTrigger) (names []string, own bool) {
	for i := range trigger.Spec.Images {
		streams := trigger.Spec.Images[i].ImageStreams
		if streams == nil || streams.NamespaceSelector != nil {
			continue
		}
		own = true
		for _, n := range streams.Names {
			if !strings.ContainsAny(n, "*?") {
				names = append(names, n)
			}
		}
	}
	return names, own
}

// scope returns the namespaces to list, or that all are needed.
func scope(targets []*target) (namespaces []string, all bool) {
	seen := map[string]bool{}
	for _, t := range targets {
		if _, others := t.selector.SelectsStreams(); others {
			return nil, true
		}
		if !seen[t.trigger.Namespace] {
			seen[t.trigger.Namespace] = true
			namespaces = append(namespaces, t.trigger.Namespace)
		}
	}
	return namespaces, false
}

// compareStream records, for each target that selects it, what a stream shows and the
// ledger does not cover. Labels are those of its namespace, if they were read.
func (s *Sweeper) compareStream(ctx context.Context, shares []*share, labels map[string]string, read bool, state *openshift.StreamState) {
	for _, one := range shares {
		one.each(ctx, func(ctx context.Context, t *target) (places int) {
			if _, others := t.selector.SelectsStreams(); others && !read && state.Namespace != t.trigger.Namespace {
				// Without its labels nobody knows whether the namespace is selected.
				t.tally.fail(NamespaceNotRead, fmt.Errorf("namespace %q appeared during the sweep", state.Namespace), true)
				return 0
			}
			return s.compare(ctx, t, labels, state)
		})
	}
}

// compare records what a stream shows for one target. It returns how many places that takes.
func (s *Sweeper) compare(ctx context.Context, t *target, labels map[string]string, state *openshift.StreamState) (places int) {
	tags := t.selector.Stream(state.Namespace, labels, state.Name, state.Labels)
	if tags.Empty() {
		return 0
	}
	t.tally.saw(state.Stream.Repository.Name)
	covered, found := s.detect(t, state.Stream, tags)
	seen := shown{pushes: covered}
	seen.add(s.recordStream(ctx, t, state, found))
	if seen != (shown{}) {
		t.tally.show(state.Stream.Repository.Name, seen)
	}
	return 1 + len(found.Pushes)
}

// detect finds the pushes that the ledger does not cover, and counts those that it
// does. It costs no request.
func (s *Sweeper) detect(t *target, stream push.Stream, tags selector.Tags) (covered int32, found push.Result) {
	counted := &counting{Known: s.Ledger.Known(t.trigger, stream.Repository)}
	known := ledger.WithinScope(counted, t.trigger, t.selector.AdmitTime)
	found = push.Detect(stream.Only(tags.Admit), known, s.recorder)
	return counted.covered, found
}

// counting counts what is covered, of what the trigger answers for.
type counting struct {
	push.Known
	covered int32
}

// Covers implements push.Known.
func (c *counting) Covers(o push.Observation) bool {
	if !c.Known.Covers(o) {
		return false
	}
	c.covered++
	return true
}

// recordStream records what is new in a stream, and counts what is exempt, if the trigger
// may see it. Where nothing is new it asks all the same, as an account that sees nothing
// would miss the next push.
func (s *Sweeper) recordStream(ctx context.Context, t *target, state *openshift.StreamState, found push.Result) (seen shown) {
	artefacts, unread := exempted(found.Skips), possible(t, found.Skips)
	news := len(found.Pushes)+len(artefacts)+len(unread) > 0
	if !news && t.tally.hides() >= maxHiddenAsked {
		return shown{}
	}
	allowed, err := s.access.mayGet(ctx, t.account, state.Namespace, state.Name)
	if err != nil {
		t.tally.failed(err)
		return notRead(len(found.Pushes))
	}
	if !allowed { // it records only what its account may get
		t.tally.hide(state.Namespace + "/" + state.Name)
		return shown{}
	}
	for _, a := range artefacts {
		seen.add(s.exempted(t, Artefact{Repository: a.Repository, Tag: a.Tag, Digest: a.Digest, Why: s.recorder.Why(a.Digest)}))
	}
	for _, skip := range unread {
		t.tally.skipped(skip)
	}
	for _, p := range found.Pushes {
		seen.add(s.recordStreamPush(ctx, t, p))
	}
	return seen
}

// possible returns those of the skips that may be pushes the trigger answers for, if only
// Revet could read them.
func possible(t *target, skips []push.Skip) []push.Skip {
	var all []push.Skip
	for _, skip := range skips {
		switch skip.Reason {
		case push.InvalidDigest, push.DigestUnsupported, push.InvalidTime:
			if skip.Created.IsZero() || t.selector.AdmitTime(skip.Created, skip.Head) {
				all = append(all, skip)
			}
		default: // no push, whatever it is
		}
	}
	return all
}

// pool bounds how many functions run at once.
type pool struct {
	slots chan struct{}
	group sync.WaitGroup
}

func newPool(size int) *pool { return &pool{slots: make(chan struct{}, size)} }

// do runs f beside its caller; it waits for a free slot.
func (p *pool) do(f func()) {
	p.slots <- struct{}{}
	p.group.Go(func() {
		defer func() { <-p.slots }()
		f()
	})
}

func (p *pool) wait() { p.group.Wait() }
