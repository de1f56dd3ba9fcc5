//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The goals of creating a Pod behind a gate, against none.
const (
	mostRatio  = 1.1
	mostP99    = 5.0 // ms
	warmUps    = 50
	hexDigits  = "0123456789abcdef"
	unknownTag = repository + ":unknown"
)

// created is what the creations of one measurement took.
type created struct {
	state *state
	times times
}

// measureCreate measures creating Pods in each state, in rounds.
func (b *bed) measureCreate(ctx context.Context) (err error) {
	began := time.Now()
	b.say("\n== create: making %v verified digests by pkg/gate, written directly, in objects of at most 12,000", b.options.sizes)
	states := []*state{}
	for _, size := range append([]int{0}, b.options.sizes...) {
		s, err := b.newState(ctx, size)
		if err != nil {
			return err
		}
		states = append(states, s)
		if size > 0 {
			b.say("%s digests: %d objects that hold digests, %d policies and bindings", s, len(s.kept)-2, len(s.inForce))
		}
	}
	b.say("%d rounds of %d Pods in each state, created one at a time, each deleted before the next; ms", b.options.rounds, b.options.creates)
	var rounds [][]created
	for n := range b.options.rounds {
		round, err := b.round(ctx, states, n)
		if err != nil {
			return err
		}
		rounds = append(rounds, round)
		b.say("round %d of %d is done", n+1, b.options.rounds)
	}
	for _, s := range states {
		if err := b.remove(ctx, s.kept...); err != nil {
			return err
		}
	}
	b.say("%s", tableOf(rounds))
	b.judgeCreate(states, rounds)
	b.say("part create took %s", time.Since(began).Round(time.Second))
	return nil
}

// round measures each state once. No state is always the first.
func (b *bed) round(ctx context.Context, states []*state, n int) ([]created, error) {
	results := make([]created, len(states))
	for i := range states {
		at := (i + n) % len(states)
		s := states[at]
		if err := b.enforce(ctx, s); err != nil {
			return nil, err
		}
		measured, err := b.create(ctx, s, n)
		if err != nil {
			return nil, err
		}
		results[at] = created{s, measured}
		if err := b.release(ctx, s); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// create makes Pods with verified digests, and says what each took.
func (b *bed) create(ctx context.Context, s *state, round int) (times, error) {
	var all times
	for i := range warmUps + b.options.creates {
		pod := podOf(s.name, byDigest(hexOf(s.name, (round*b.options.creates+i)%max(s.size, 1))))
		began := time.Now()
		err := b.admin.Create(ctx, pod)
		took := time.Since(began)
		if err != nil {
			return nil, fmt.Errorf("creating a Pod with a verified digest: %w", err)
		}
		if i >= warmUps {
			all = append(all, took)
		}
		if err := b.admin.Delete(ctx, pod, client.GracePeriodSeconds(0)); err != nil {
			return nil, fmt.Errorf("deleting a Pod: %w", err)
		}
	}
	return all, nil
}

// enforce puts the policies of a state into force, and returns once they are.
func (b *bed) enforce(ctx context.Context, s *state) error {
	for _, o := range s.inForce {
		if err := b.admin.Create(ctx, o.DeepCopyObject().(client.Object)); err != nil {
			return fmt.Errorf("creating %s: %w", o.GetName(), err)
		}
	}
	if s.size == 0 {
		return nil
	}
	for _, image := range unknown() {
		if err := b.awaitAnswer(ctx, s, image, false); err != nil {
			return err
		}
	}
	for i := range min(s.size, 64) {
		if err := b.awaitAnswer(ctx, s, byDigest(hexOf(s.name, i)), true); err != nil {
			return err
		}
	}
	return b.awaitPins(ctx, s, true)
}

// release takes the policies of a state out of force, and returns once they are.
func (b *bed) release(ctx context.Context, s *state) error {
	for _, o := range slices.Backward(s.inForce) {
		if err := b.remove(ctx, o); err != nil {
			return err
		}
	}
	if s.size == 0 {
		return nil
	}
	for _, image := range unknown() {
		if err := b.awaitAnswer(ctx, s, image, true); err != nil {
			return err
		}
	}
	return b.awaitPins(ctx, s, false)
}

// unknown are images that each of a gate's policies has to refuse.
func unknown() []string {
	all := []string{unknownTag}
	for _, d := range hexDigits {
		all = append(all, byDigest(strings.Repeat(string(d), 64)))
	}
	return all
}

// awaitAnswer waits until the API server admits a Pod with an image, or refuses it.
func (b *bed) awaitAnswer(ctx context.Context, s *state, image string, want bool) error {
	return await(ctx, fmt.Sprintf("a Pod with %s is admitted: %v", image, want), func(ctx context.Context) error {
		admitted, _, err := b.answer(ctx, s.name, image)
		if err == nil && admitted != want {
			err = fmt.Errorf("it is admitted: %v", admitted)
		}
		return err
	})
}

// awaitPins waits until a known tag is pinned to its digest, or is not any more.
func (b *bed) awaitPins(ctx context.Context, s *state, want bool) error {
	if !b.options.mutating {
		return nil
	}
	return await(ctx, fmt.Sprintf("a tag is pinned: %v", want), func(ctx context.Context) error {
		admitted, as, err := b.answer(ctx, s.name, byTag(0))
		if pinned := strings.HasSuffix(as, "@sha256:"+hexOf(s.name, 0)); err == nil && (!admitted || pinned != want) {
			err = fmt.Errorf("it is admitted: %v, as %q", admitted, as)
		}
		return err
	})
}

// tableOf shows every round. A state is compared with none of the same round.
func tableOf(rounds [][]created) *table {
	t := &table{}
	t.row("round", "digests", "p50", "p99", "most", "p50 against none", "p99 more")
	for n, round := range rounds {
		for _, c := range round {
			ratio, more := "", ""
			if c.state.size > 0 {
				r, m := compare(round[0].times, c.times)
				ratio, more = fmt.Sprintf("%.3f", r), fmt.Sprintf("%+.2f", m)
			}
			t.row(n+1, c.state, ms(c.times.p(50)), ms(c.times.p(99)), ms(c.times.p(100)), ratio, more)
		}
	}
	return t
}

// compare returns how many times as large the p50 is, and by how many milliseconds the p99 is larger.
func compare(none, gated times) (ratio, more float64) {
	return float64(gated.p(50)) / float64(none.p(50)), float64(gated.p(99)-none.p(99)) / float64(time.Millisecond)
}

// judgeCreate judges each size by the median of the rounds.
func (b *bed) judgeCreate(states []*state, rounds [][]created) {
	for i, s := range states {
		if s.size == 0 {
			continue
		}
		var ratios, mores []float64
		for _, round := range rounds {
			ratio, more := compare(round[0].times, round[i].times)
			ratios, mores = append(ratios, ratio), append(mores, more)
		}
		note := fmt.Sprintf("median of %d rounds", len(rounds))
		b.judge(fmt.Sprintf("creating a Pod with %s digests against none, p50", s), "", mostRatio, median(ratios),
			note, fmt.Sprintf(", worst %.3f", slices.Max(ratios)))
		b.judge(fmt.Sprintf("creating a Pod with %s digests, p99 more than with none", s), " ms", mostP99, median(mores),
			note, fmt.Sprintf(", worst %.2f", slices.Max(mores)))
	}
}
