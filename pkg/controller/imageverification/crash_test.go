package imageverification_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imageverification"
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

// lifetime is how long the tests of crashes follow an entry. What falls due later belongs to
// an entry that has its verdict.
const lifetime = time.Hour

// live takes the entry to its verdict with a crash at one place, and reports
// where that was, or "" if there are fewer places.
func (w *world) live(key types.NamespacedName) string {
	w.t.Helper()
	where, until := "", w.clock().Add(lifetime)
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
		case after > 0 && w.clock().Add(after).Before(until):
			w.pass(after)
		case w.finishNext(key):
		default:
			return where
		}
		w.finishNext(key)
	}
	e := w.entry(key)
	w.t.Fatalf("after a crash %q the entry took 200 passes and is %s/%s with %d runs: something in it is always due",
		where, e.Status.Phase, e.Status.Reason, e.Status.RunCount)
	return ""
}

// finishNext ends the run that the entry follows, if there is one.
func (w *world) finishNext(key types.NamespacedName) bool {
	w.t.Helper()
	e := w.entry(key)
	if e.Status.Phase != v1alpha1.PhaseRunning {
		return false
	}
	name := e.Status.Runs[len(e.Status.Runs)-1].Name
	for _, pr := range w.runs() {
		if pr.Name == name && pr.Status.CompletionTime == nil {
			w.finish(name, "pass", digest, "kata")
			return true
		}
	}
	return false
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

// Property: the same holds for a further run of the entry, which is recorded
// before it is fired.
func TestACrashAtAnyPointOfAFurtherRunGivesOneMore(t *testing.T) {
	for _, after := range []bool{false, true} {
		for n := 0; ; n++ {
			where := ""
			t.Run(fmt.Sprintf("after=%v,n=%d", after, n), func(t *testing.T) {
				w := newWorld(t, func(tr *v1alpha1.ImageTrigger) { tr.Spec.Freshness = &metav1.Duration{} })
				w.live(w.push("v1", pushed))
				w.push("v1", w.clock().Truncate(time.Second))
				where = w.crashAt(n, after)
				e := w.entry(w.push("v1", pushed))
				if e.Status.Phase != v1alpha1.PhasePassed || e.Status.RunCount != 2 || len(w.runs()) != 2 {
					t.Errorf("after a crash %s: %s/%s, %d runs, %d PipelineRuns; want Passed with two",
						where, e.Status.Phase, e.Status.Reason, e.Status.RunCount, len(w.runs()))
				}
			})
			if where == "" {
				break
			}
		}
	}
}

// Property: what cannot be confirmed is never requested twice, even where a
// crash leaves it open whether the first request was sent. The sink here names
// its runs itself, so that nothing else keeps a second one from being made.
func TestACrashNeverAsksASinkThatCannotBeLookedIntoTwice(t *testing.T) {
	for _, after := range []bool{false, true} {
		for n := 0; ; n++ {
			where := ""
			t.Run(fmt.Sprintf("after=%v,n=%d", after, n), func(t *testing.T) {
				w := newWorld(t, unconfirmable)
				w.listener.set(http.StatusAccepted, func(run, entryUID, digest string) *pipelinev1.PipelineRun {
					return templated(fmt.Sprintf("generated-%d", len(w.runs())), entryUID, digest)
				})
				where = w.crashAt(n, after)
				e := w.entry(w.push("v1", pushed))
				if e.Status.Phase != v1alpha1.PhaseError || e.Status.Reason != "Unconfirmed" || len(w.runs()) > 1 {
					t.Errorf("after a crash %s: %s/%s, %d PipelineRuns; want Unconfirmed with at most one",
						where, e.Status.Phase, e.Status.Reason, len(w.runs()))
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
	return w.live(w.push("v1", pushed))
}

// racingLedger lets another writer be faster, once, before the n-th write.
type racingLedger struct {
	imageverification.Ledger
	race func()
}

func (l *racingLedger) UpdateStatus(ctx context.Context, e *v1alpha1.ImageVerification, mutate func(*v1alpha1.ImageVerificationStatus)) (*v1alpha1.ImageVerification, error) {
	if race := l.race; race != nil {
		l.race = nil
		race()
	}
	return l.Ledger.UpdateStatus(ctx, e, mutate)
}

// Property: a receiver that writes the entry between request and record costs
// neither its own push nor a second request.
func TestAnotherWriterIsNeverOverwrittenAndCostsNoSecondRequest(t *testing.T) {
	w := newWorld(t)
	racing := &racingLedger{}
	w.interpose = func(o *imageverification.Options) { racing.Ledger, o.Ledger = o.Ledger, racing }
	w.restart()
	key := w.push("v1", pushed)
	racing.race = func() { w.push("v2", pushed.Add(time.Second)) }
	w.work(key, time.Second)
	w.wantStory(key, story{v1alpha1.PhaseRunning, "Running", map[string]int32{"v1": 1, "v2": 1}, []chapter{{v1alpha1.CausePush, 1, "", ""}}})
	if got := w.listener.asked(); len(got) != 1 {
		t.Errorf("%d requests, want 1", len(got))
	}
}
