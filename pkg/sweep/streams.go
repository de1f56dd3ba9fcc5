package sweep

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/selector"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

const partStreams = "streams"

// sweepStreams compares the ImageStreams that any of the targets selects. What is
// returned are the targets, in their order, with what was seen.
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
				t.tally.fail(NoImageStreams, fmt.Errorf("%w; select repositories of a registry with spec.images[].repository", err), false)
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
	// What only registries can tell, which are asked slowly, keeps nothing else waiting.
	defer s.resolveDoubts(ctx, targets)
	pool := newPool(s.options.Concurrency)
	defer pool.wait()
	for _, namespace := range namespaces {
		err := s.Cluster.EachStream(ctx, namespace, func(state *openshift.StreamState) {
			pool.do(func() { s.compareStream(ctx, targets, labels[state.Namespace], state) })
		})
		if err != nil {
			return err
		}
	}
	return nil
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

// compareStream records, for each target that selects it, what a stream shows
// and the ledger does not cover.
func (s *Sweeper) compareStream(ctx context.Context, targets []*target, labels map[string]string, state *openshift.StreamState) {
	for _, t := range targets {
		tags := t.selector.Stream(state.Namespace, labels, state.Name, state.Labels)
		if tags.Empty() {
			continue
		}
		t.tally.saw(state.Stream.Repository.Name)
		covered, found := s.detect(t, state.Stream, tags)
		seen := shown{pushes: covered}
		if artefacts := exempted(found.Skips); len(found.Pushes)+len(artefacts) > 0 {
			seen.add(s.recordStream(ctx, t, state, found.Pushes, artefacts))
		}
		if seen != (shown{}) {
			t.tally.show(state.Stream.Repository.Name, seen)
		}
	}
}

// detect finds the pushes that the ledger does not cover, and counts those that it
// does. It costs no request.
func (s *Sweeper) detect(t *target, stream push.Stream, tags selector.Tags) (covered int32, found push.Result) {
	counted := &counting{Known: s.Ledger.Known(t.trigger, stream.Repository)}
	known := ledger.WithinScope(counted, t.trigger, t.selector.AdmitTime)
	found = push.Detect(stream.Only(tags.Admit), known, s.exempt)
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

// recordStream records what is new in a stream, and counts what is exempt, if the
// trigger may see it.
func (s *Sweeper) recordStream(ctx context.Context, t *target, state *openshift.StreamState, found []push.Push, artefacts []push.Skip) (seen shown) {
	allowed, err := s.access.mayGet(ctx, t.account, state.Namespace, state.Name)
	if err != nil {
		t.tally.failed(err)
		return shown{pushes: count(len(found)), gap: count(len(found))}
	}
	if !allowed {
		return shown{} // it sees only what its account may get
	}
	for _, a := range artefacts {
		seen.add(s.exempted(t, a.Repository, a.Tag, a.Digest))
	}
	for _, p := range found {
		seen.add(s.recordStreamPush(ctx, t, p))
	}
	return seen
}

// recordStreamPush records what an Image object shows to run. What it does not is
// left until the streams were read.
func (s *Sweeper) recordStreamPush(ctx context.Context, t *target, p push.Push) shown {
	img, err := s.Images.Image(ctx, p.Digest)
	switch {
	case err != nil:
		t.tally.failed(err)
		return shown{pushes: 1, gap: 1}
	case !img.Runs:
		t.doubtful.add(p)
		return shown{}
	default:
		return s.recorded(ctx, t, p, v1alpha1.SourceSweep)
	}
}

// recorded records a push, and says what is shown by it.
func (s *Sweeper) recorded(ctx context.Context, t *target, p push.Push, source v1alpha1.PushSource) shown {
	if !s.record(ctx, t, p, source) {
		return shown{pushes: 1, gap: 1}
	}
	return shown{pushes: 1}
}

func (s *shown) add(more shown) {
	s.pushes += more.pushes
	s.gap += more.gap
	s.artefacts += more.artefacts
}

// count is a number of pushes as the status holds it.
func count(n int) int32 { return int32(min(n, 1<<30)) } //nolint:gosec // bounded in the same expression

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
