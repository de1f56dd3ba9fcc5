//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/rig"
)

const (
	// writers write verdicts at once. A verdict is two requests.
	writers = 8
	// mostBehind is how late a verdict may be written for the rate to hold.
	mostBehind = 1.0 // s
)

// measuredSeconds is the longest of times, or no number if there are none.
func measuredSeconds(t times) float64 {
	if len(t) == 0 {
		return math.NaN()
	}
	return t.p(100).Seconds()
}

// load is verdicts at a rate.
type load struct {
	bed    *bed
	ledger *ledger

	// passes and failures are offered to whoever measures them, if somebody waits.
	passes, failures chan verdict
	written, failed  atomic.Int64
	// behind is by how much a verdict was written late, at most.
	behind atomic.Int64
}

// measureLoad writes verdicts at a rate, and measures what follows from them and how much everything grows.
func (b *bed) measureLoad(ctx context.Context, l *ledger) error {
	o := b.options
	b.say("\nload: %g verdicts a second for %s, every %s fails a digest that passed before; %s", o.rate, o.length, nth(o.failEvery), tagsOf(o.tags))
	before, err := rig.ReadRequests(ctx, b.config)
	if err != nil {
		return err
	}
	w, err := b.newGrowth(ctx)
	if err != nil {
		return err
	}
	defer w.close()
	run := &load{bed: b, ledger: l, passes: make(chan verdict), failures: make(chan verdict)}
	watched, stop := context.WithCancel(ctx)
	defer stop()
	watching := make(chan error, 1)
	go func() { watching <- w.watch(watched, &run.written) }()
	var passes, failures effects
	began := time.Now()
	err = run.all(ctx, &passes, &failures)
	took := time.Since(began)
	stop()
	if err := errors.Join(err, <-watching); err != nil {
		return err
	}
	after, err := rig.ReadRequests(ctx, b.config)
	if err != nil {
		return err
	}
	written := int(run.written.Load())
	b.say("load: %d verdicts in %s, %d of them failures; %d writes met the controller's and were repeated", written,
		took.Round(100*time.Millisecond), run.failed.Load(), l.conflicts.Load())
	if o.gated {
		g, err := b.gate(ctx)
		if err != nil {
			return err
		}
		b.say("the gate at the end: %d digests in %d objects, %d pending, %d omitted", g.Status.Digests, g.Status.Shards, g.Status.Pending, g.Status.Omitted)
		b.say("VerifiedImages written: %.2f a second", float64(after["PUT verifiedimages"].Count-before["PUT verifiedimages"].Count)/took.Seconds())
	}
	b.say("requests for each verdict, and what they took in the API server (watches and lists apart):\n%s", after.Since(before, written))
	b.judge("load: latest verdict behind its time", " s", mostBehind, time.Duration(run.behind.Load()).Seconds(), fmt.Sprintf("%.1f a second written", float64(written)/took.Seconds()))
	if o.parts[partLatency] {
		passes.denied, passes.never = failures.denied, passes.never+failures.never
		passes.asked, passes.asking = passes.asked+failures.asked, passes.asking+failures.asking
		b.sayEffects("load", passes, o.loadPoll)
	}
	w.say()
	return nil
}

func nth(every int) string {
	if every == 0 {
		return "none"
	}
	return fmt.Sprintf("%d.", every)
}

func tagsOf(tags int) string {
	if tags == 0 {
		return "each push has a tag of its own"
	}
	return fmt.Sprintf("the pushes go round %d tags", tags)
}

// all writes the verdicts, and measures some of them until the last is written.
func (l *load) all(ctx context.Context, passes, failures *effects) error {
	o := l.bed.options
	var measuring errgroup.Group
	done := make(chan struct{})
	if o.parts[partLatency] {
		measuring.Go(func() error { return l.measure(ctx, done, l.passes, passes) })
		measuring.Go(func() error { return l.measure(ctx, done, l.failures, failures) })
	}
	err := l.write(ctx, int(o.rate*o.length.Seconds()))
	close(done)
	return errors.Join(err, measuring.Wait())
}

// measure follows one verdict after another.
func (l *load) measure(ctx context.Context, done <-chan struct{}, offered <-chan verdict, into *effects) error {
	for {
		select {
		case <-done:
			return nil
		case v := <-offered:
			if err := l.bed.follow(ctx, v, l.bed.options.loadPoll, into); err != nil && !errors.Is(err, errNever) {
				return err
			}
		}
	}
}

// write writes verdicts at their times. One that is late is written as soon as there is somebody to write it.
func (l *load) write(ctx context.Context, number int) error {
	group, ctx := errgroup.WithContext(ctx)
	numbers := make(chan int)
	began := time.Now()
	due := func(n int) time.Time {
		return began.Add(time.Duration(float64(n) / l.bed.options.rate * float64(time.Second)))
	}
	group.Go(func() error {
		defer close(numbers)
		timer := time.NewTimer(0)
		defer timer.Stop()
		for n := range number {
			timer.Reset(time.Until(due(n)))
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-timer.C:
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case numbers <- n:
			}
		}
		return nil
	})
	for range writers {
		group.Go(func() error {
			for n := range numbers {
				l.late(time.Since(due(n)))
				if err := l.one(ctx, n); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func (l *load) late(by time.Duration) {
	for {
		most := l.behind.Load()
		if int64(by) <= most || l.behind.CompareAndSwap(most, int64(by)) {
			return
		}
	}
}

// one writes a verdict and offers it.
func (l *load) one(ctx context.Context, n int) error {
	if every := l.bed.options.failEvery; every > 0 && n%every == every-1 {
		if e, ok := l.ledger.oldest(); ok {
			v, err := l.ledger.conclude(ctx, e, v1alpha1.OutcomeFail)
			if err != nil {
				return err
			}
			l.written.Add(1)
			l.failed.Add(1)
			offer(l.failures, v)
			return nil
		}
	}
	v, err := l.ledger.pass(ctx)
	if err != nil {
		return err
	}
	l.written.Add(1)
	l.ledger.keep(v.entry)
	offer(l.passes, v)
	return nil
}

// offer gives a verdict to whoever waits for one.
func offer(to chan<- verdict, v verdict) {
	select {
	case to <- v:
	default:
	}
}
