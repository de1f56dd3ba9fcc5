//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

const (
	// gateName is the gate that the controller keeps, and its namespace.
	gateName = "bench"
	// verdictPatience is how long an answer is awaited that follows a verdict.
	verdictPatience = 2 * time.Minute
	// mostDenied is the goal of a digest that failed: never admitted later than that.
	mostDenied = 30.0 // s
)

// effects are how long verdicts took to be seen in the API server's answers.
type effects struct {
	admitted, denied times
	// asked counts the questions, and asking is how long the answers took.
	asked  int
	asking time.Duration
	// never counts the verdicts that were not seen within verdictPatience.
	never int
}

// errNever: the answer did not come.
var errNever = errors.New("not seen in time")

// follow asks until the API server's answer follows a verdict, and notes how long that took.
func (b *bed) follow(ctx context.Context, v verdict, pause time.Duration, into *effects) error {
	want := v.outcome == v1alpha1.OutcomePass
	tick := time.NewTimer(0)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		began := time.Now()
		admitted, _, err := b.answer(ctx, gateName, v.image())
		now := time.Now()
		into.asked++
		into.asking += now.Sub(began)
		switch {
		case err != nil:
			return err
		case admitted == want && want:
			into.admitted = append(into.admitted, now.Sub(v.asked))
			return nil
		case admitted == want:
			into.denied = append(into.denied, now.Sub(v.asked))
			return nil
		case now.Sub(v.asked) > verdictPatience:
			into.never++
			return errNever
		}
		tick.Reset(pause)
	}
}

// measureGate has the real controller keep a gate, and measures it idle and under load.
func (b *bed) measureGate(ctx context.Context) error {
	o := b.options
	b.say("\n== latency, growth: recording %d digests that passed", o.base)
	l, err := b.newLedger(ctx)
	if err != nil {
		return err
	}
	if err := l.fill(ctx, o.base); err != nil {
		return err
	}
	if err := b.make(ctx, namespaceOf(gateName)); err != nil {
		return err
	}
	if !o.gated {
		b.say("there is no gate: what grows is the ledger's doing")
		if err := b.startController(ctx); err != nil {
			return err
		}
		return b.measureLoad(ctx, l)
	}
	if err := b.make(ctx, newGate(gateName)); err != nil {
		return err
	}
	if err := b.startController(ctx); err != nil {
		return err
	}
	began := time.Now()
	if err := b.awaitGate(ctx, o.base); err != nil {
		return err
	}
	b.say("the gate is in force with %d digests, %s after the controller was ready", o.base, time.Since(began).Round(100*time.Millisecond))
	if o.parts[partLatency] {
		if err := b.measureIdle(ctx, l); err != nil {
			return err
		}
	}
	return b.measureLoad(ctx, l)
}

func (b *bed) gate(ctx context.Context) (*v1alpha1.ImageGate, error) {
	var g v1alpha1.ImageGate
	err := b.admin.Get(ctx, client.ObjectKey{Name: gateName}, &g)
	return &g, err
}

// awaitGate waits until the gate is in force and holds so many digests.
func (b *bed) awaitGate(ctx context.Context, digests int) error {
	return await(ctx, "the gate is in force", func(ctx context.Context) error {
		g, err := b.gate(ctx)
		if err != nil {
			return err
		}
		ready := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil || ready.Status != metav1.ConditionTrue || ready.Reason != v1alpha1.ReasonEnforced || g.Status.Digests != int64(digests) {
			return fmt.Errorf("it says %+v, of %d digests", ready, g.Status.Digests)
		}
		admitted, _, err := b.answer(ctx, gateName, unknownTag)
		if err == nil && admitted {
			err = errors.New("an unknown image is admitted")
		}
		return err
	})
}

// measureIdle lets one digest after another pass and fail, while nothing else happens.
func (b *bed) measureIdle(ctx context.Context, l *ledger) error {
	began := time.Now()
	b.say("idle: %d verdicts that pass and %d that fail, one at a time", b.options.samples, b.options.samples)
	var all effects
	for range b.options.samples {
		v, err := l.pass(ctx)
		if err != nil {
			return err
		}
		err = b.follow(ctx, v, b.options.poll, &all)
		if err == nil {
			if v, err = l.conclude(ctx, v.entry, v1alpha1.OutcomeFail); err == nil {
				err = b.follow(ctx, v, b.options.poll, &all)
			}
		}
		if err != nil && !errors.Is(err, errNever) {
			return err
		}
	}
	b.sayEffects("idle", all, b.options.poll)
	b.say("idle took %s", time.Since(began).Round(time.Second))
	return nil
}

// sayEffects prints how long verdicts took, and judges what there is a goal for.
func (b *bed) sayEffects(when string, e effects, pause time.Duration) {
	mean := time.Duration(0)
	if e.asked > 0 {
		mean = e.asking / time.Duration(e.asked)
	}
	b.say("%s: a Pod is tried in dry-run %s after each answer, which took %s ms in the mean: the times are exact to the sum", when, pause, ms(mean))
	t := &table{}
	t.row(when+", ms", "verdicts", "p50", "p99", "most")
	t.row("verdict written to Pod admitted", len(e.admitted), ms(e.admitted.p(50)), ms(e.admitted.p(99)), ms(e.admitted.p(100)))
	t.row("verdict Failed written to Pod denied", len(e.denied), ms(e.denied.p(50)), ms(e.denied.p(99)), ms(e.denied.p(100)))
	b.say("%s", t)
	most := measuredSeconds(e.denied)
	b.judge(when+": from a verdict Failed to a Pod denied, at most", " s", mostDenied, most, fmt.Sprintf("%d verdicts", len(e.denied)))
	b.judge(when+fmt.Sprintf(": verdicts that no answer followed within %s", verdictPatience), "", 0, float64(e.never))
}
