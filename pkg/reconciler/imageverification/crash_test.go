package imageverification_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/reconciler/imageverification"
)

// crash ends a process in the middle of a pass, as kill -9 would: nothing that
// comes after it is done, and nothing that was remembered is kept.
type crash struct{ where string }

// crasher crashes before or after the n-th effect.
type crasher struct {
	n     int
	after bool
	seen  []string
}

func (c *crasher) effect(what string, do func()) {
	here := len(c.seen) == c.n
	c.seen = append(c.seen, what)
	if here && !c.after {
		panic(crash{"before " + what})
	}
	do()
	if here && c.after {
		panic(crash{"after " + what})
	}
}

type crashingLedger struct {
	imageverification.Ledger
	*crasher
}

func (l crashingLedger) UpdateStatus(ctx context.Context, e *v1alpha1.ImageVerification, mutate func(*v1alpha1.ImageVerificationStatus)) (next *v1alpha1.ImageVerification, err error) {
	l.effect("write", func() { next, err = l.Ledger.UpdateStatus(ctx, e, mutate) })
	return next, err
}

type crashingSink struct {
	imageverification.Sink
	*crasher
}

func (s crashingSink) Send(ctx context.Context, t *v1alpha1.ImageTrigger, e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus) (err error) {
	s.effect("request", func() { err = s.Sink.Send(ctx, t, e, run) })
	return err
}

type crashingEmitter struct {
	imageverification.Emitter
	*crasher
}

func (s crashingEmitter) Emit(ctx context.Context, e *v1alpha1.ImageVerification) (keys []string, err error) {
	s.effect("event", func() { keys, err = s.Emitter.Emit(ctx, e) })
	return keys, err
}

// tryPass makes one pass and reports where it crashed, if it did.
func (w *world) tryPass(key types.NamespacedName) (after time.Duration, crashed string, err error) {
	defer func() {
		if v := recover(); v != nil {
			c, ok := v.(crash)
			if !ok {
				panic(v)
			}
			crashed = c.where
		}
	}()
	after, err = w.step(key)
	return after, "", err
}

// live takes the entry to its verdict with a crash at one place, and reports
// where that was, or "" if there are fewer places.
func (w *world) live(key types.NamespacedName, c *crasher) string {
	w.t.Helper()
	where, finished := "", false
	for range 200 {
		after, crashed, err := w.tryPass(key)
		switch {
		case crashed != "":
			where = crashed
			w.restart()
			w.pass(time.Second)
		case apierrors.IsConflict(err):
		case err != nil:
			w.t.Fatal(err)
		case after > 0:
			w.pass(after)
		case finished:
			return where
		}
		if e := w.entry(key); !finished && e.Status.Phase == v1alpha1.PhaseRunning && e.Status.Runs[len(e.Status.Runs)-1].ConfirmedAt != nil {
			finished = true
			w.finish(e.Status.Runs[len(e.Status.Runs)-1].Name, "pass", digest, "kata")
		}
		if e := w.entry(key); e.Status.Phase == v1alpha1.PhaseError {
			finished = true
		}
	}
	w.t.Fatalf("the entry did not come to rest after a crash %s", where)
	return ""
}

// Property: a process that ends before or after any effect of the flow costs
// neither the verdict nor a second run.
func TestACrashAtAnyPointGivesOneRunAndItsVerdict(t *testing.T) {
	for _, after := range []bool{false, true} {
		for n := 0; ; n++ {
			where := ""
			t.Run(fmt.Sprintf("after=%v,n=%d", after, n), func(t *testing.T) {
				w := newWorld(t)
				where = w.crashAt(n, after)
				e := w.entry(w.push("v1", pushed))
				if e.Status.Phase != v1alpha1.PhasePassed || e.Status.RunCount != 1 || len(w.runs()) != 1 {
					t.Errorf("after a crash %s: %s/%s, %d runs, %d PipelineRuns; want Passed with one of each",
						where, e.Status.Phase, e.Status.Reason, e.Status.RunCount, len(w.runs()))
				}
			})
			if where == "" {
				if n < 6 {
					t.Errorf("only %d effects were crashed at: the test looks in the wrong place", n)
				}
				break
			}
		}
	}
}

// Property: what cannot be confirmed is never requested twice, even where a
// crash leaves it open whether the first request was sent.
func TestACrashNeverAsksASinkThatCannotBeLookedIntoTwice(t *testing.T) {
	for _, after := range []bool{false, true} {
		for n := 0; ; n++ {
			where := ""
			t.Run(fmt.Sprintf("after=%v,n=%d", after, n), func(t *testing.T) {
				w := newWorld(t, unconfirmable)
				where = w.crashAt(n, after)
				e := w.entry(w.push("v1", pushed))
				ended := e.Status.Phase == v1alpha1.PhasePassed || (e.Status.Phase == v1alpha1.PhaseError && e.Status.Reason == "Unconfirmed")
				if !ended || len(w.listener.asked()) > 1 || len(w.runs()) > 1 {
					t.Errorf("after a crash %s: %s/%s, %d requests, %d PipelineRuns; want Passed or Unconfirmed with at most one",
						where, e.Status.Phase, e.Status.Reason, len(w.listener.asked()), len(w.runs()))
				}
			})
			if where == "" {
				break
			}
		}
	}
}

func (w *world) crashAt(n int, after bool) string {
	w.t.Helper()
	c := &crasher{n: n, after: after}
	w.interpose = func(o *imageverification.Options) {
		o.Ledger = crashingLedger{o.Ledger, c}
		o.Sink = crashingSink{o.Sink, c}
		o.Emitter = crashingEmitter{o.Emitter, c}
	}
	w.restart()
	return w.live(w.push("v1", pushed), c)
}
