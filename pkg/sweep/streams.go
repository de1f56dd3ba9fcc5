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
)

const partStreams = "streams"

// sweepStreams compares the ImageStreams that any of the targets selects.
func (s *Sweeper) sweepStreams(ctx context.Context, waiting []*target) {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	targets := make([]*target, 0, len(waiting))
	for _, t := range waiting {
		targets = append(targets, t.begin(s.Now()))
	}
	if err := s.passStreams(ctx, targets); err != nil {
		for _, t := range targets {
			if errors.Is(err, ErrNoStreams) {
				t.tally.fail(NoImageStreams, fmt.Errorf("%w; select repositories of a registry with spec.images[].repository", err), false)
				continue
			}
			t.tally.failed(err)
		}
	}
	for _, t := range targets {
		s.finish(ctx, partStreams, t)
	}
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
	pool := newPool(s.options.Concurrency)
	defer pool.wait()
	for _, namespace := range namespaces {
		err := s.Cluster.EachStream(ctx, namespace, func(state *StreamState) {
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
func (s *Sweeper) compareStream(ctx context.Context, targets []*target, labels map[string]string, state *StreamState) {
	for _, t := range targets {
		tags := t.selector.Stream(state.Namespace, labels, state.Name, state.Labels)
		if tags.Empty() {
			continue
		}
		t.tally.saw(state.Stream.Repository.Name)
		found := s.detect(t, state.Stream, tags)
		if len(found) == 0 {
			continue
		}
		allowed, err := s.access.mayGet(ctx, t.account, state.Namespace, state.Name)
		if err != nil {
			t.tally.failed(err)
			continue
		}
		if !allowed {
			continue // it sees only what its account may get
		}
		for _, p := range found {
			s.recordStreamPush(ctx, t, p)
		}
	}
}

// detect finds the pushes that the ledger does not cover. It costs no request.
func (s *Sweeper) detect(t *target, stream push.Stream, tags selector.Tags) []push.Push {
	admitted := push.Stream{Repository: stream.Repository, Pull: stream.Pull}
	for _, tag := range stream.Tags {
		if tags.Admit(tag.ClaimedName) {
			admitted.Tags = append(admitted.Tags, tag)
		}
	}
	known := ledger.Bounded(s.Ledger.Known(t.trigger, stream.Repository), t.selector.AdmitTime, t.trigger.Status.HistoryHorizon)
	return push.Detect(admitted, known, s.exempt).Pushes
}

func (s *Sweeper) recordStreamPush(ctx context.Context, t *target, p push.Push) {
	content, err := s.Images.Content(ctx, p.Digest)
	if err != nil {
		t.tally.failed(fmt.Errorf("reading Image %q: %w", p.Digest, err))
		return
	}
	if !content.Runnable(p.Tag) {
		s.exempt.add(p.Tag, p.Digest)
		return
	}
	s.record(ctx, t, p, v1alpha1.SourceSweep)
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
