package intake

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/revet-dev/revet/pkg/source/openshift"
)

// until waits until a condition holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for !holds() {
		if t.Context().Err() != nil {
			t.Fatalf("waited in vain until %s", what)
		}
		runtime.Gosched()
	}
}

// All that wait are served by one handling, which begins after they came.
func TestOneHandlingServesAllThatWait(t *testing.T) {
	var f flights
	begun, release := make(chan struct{}), make(chan struct{})
	runs := 0
	var all sync.WaitGroup
	all.Go(func() {
		_, served, err := f.do(t.Context(), "a", func(context.Context) (Result, bool) { close(begun); <-release; return Handled(KindStream, Gone), true })
		if served || err != nil {
			t.Errorf("the first was served by another: %t, %v", served, err)
		}
	})
	<-begun
	var mu sync.Mutex
	alone := 0
	for range 99 {
		all.Go(func() {
			r, served, err := f.do(t.Context(), "a", func(context.Context) (Result, bool) { runs++; return Handled(KindStream, Recorded), true })
			if err != nil || r.Reason != Recorded {
				t.Errorf("result %+v, %v", r, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if !served {
				alone++
			}
		})
	}
	until(t, "all wait", func() bool { return f.users("a") == 99 })
	// Nobody waits for another name.
	if _, served, err := f.do(t.Context(), "b", func(context.Context) (Result, bool) { return Result{}, true }); served || err != nil {
		t.Errorf("another name: %t, %v", served, err)
	}
	close(release)
	all.Wait()
	if runs != 1 || alone != 1 {
		t.Errorf("%d handlings for 99 that waited, of which %d ran one; want one", runs, alone)
	}
	if len(f.at) != 0 {
		t.Errorf("%d names are still held", len(f.at))
	}
}

// One that has nothing to do leaves the handling to another that waits, and serves nobody.
func TestOneWithNothingToDoServesNobody(t *testing.T) {
	var f flights
	begun, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		_, _, _ = f.do(t.Context(), "a", func(context.Context) (Result, bool) { close(begun); <-release; return Result{}, true })
	})
	<-begun
	var mu sync.Mutex
	did, idle := 0, 0
	for n := range 20 {
		all.Go(func() {
			r, _, err := f.do(t.Context(), "a", func(context.Context) (Result, bool) {
				mu.Lock()
				defer mu.Unlock()
				if n < 10 {
					idle++
					return Handled(KindStream, NothingNew), false
				}
				did++
				return Handled(KindStream, Recorded), true
			})
			if err != nil || (n >= 10 && r.Reason != Recorded) {
				t.Errorf("result %+v, %v", r, err)
			}
		})
	}
	until(t, "all wait", func() bool { return f.users("a") == 20 })
	close(release)
	all.Wait()
	if did != 1 || idle > 10 || len(f.at) != 0 {
		t.Errorf("%d handlings, %d with nothing to do, %d names held; want one handling", did, idle, len(f.at))
	}
}

// Who waits no longer keeps no other from being served, nor does one that panics, nor one whose
// request ends.
func TestWhoLeavesHoldsUpNobody(t *testing.T) {
	var f flights
	begun, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	ended, end := context.WithCancel(t.Context())
	all.Go(func() {
		defer func() { _ = recover() }()
		_, _, _ = f.do(ended, "a", func(ctx context.Context) (Result, bool) {
			close(begun)
			<-release
			if ctx.Err() != nil {
				t.Error("a handling ended with the request that it ran for")
			}
			panic("a bug")
		})
	})
	<-begun
	gone, leave := context.WithCancel(t.Context())
	var left, stayed error
	all.Go(func() {
		_, _, left = f.do(gone, "a", func(context.Context) (Result, bool) { return Result{}, true })
	})
	until(t, "it waits", func() bool { return f.users("a") == 1 })
	all.Go(func() {
		_, _, stayed = f.do(t.Context(), "a", func(context.Context) (Result, bool) { return Result{}, true })
	})
	until(t, "both wait", func() bool { return f.users("a") == 2 })
	end()
	leave()
	until(t, "one has left", func() bool { return f.users("a") == 1 })
	close(release)
	all.Wait()
	if !errors.Is(left, context.Canceled) || stayed != nil {
		t.Errorf("who left got %v, who stayed %v; want the context's error and none", left, stayed)
	}
	if _, served, err := f.do(t.Context(), "a", func(context.Context) (Result, bool) { return Result{}, true }); served || err != nil || len(f.at) != 0 {
		t.Errorf("afterwards: served %t, %v, %d names held", served, err, len(f.at))
	}
}

// Forged events of a stream, each with another digest, wait together with the real one: all are
// served by one re-read.
func TestForgedEventsDelayTheRealOneByOneReread(t *testing.T) {
	f := newFixture(t, streamsOf("shop"))
	f.image = openshift.ImageState{Runs: true}
	real := shows(digestOf(t, "aa").String())
	f.stream = real
	release := make(chan struct{})
	reads := func() int { f.mu.Lock(); defer f.mu.Unlock(); return f.reads }
	f.reading = func() {
		first := reads() == 1
		if first {
			<-release
		}
	}
	event := func(state *openshift.StreamState) Result {
		return f.intake.stream(t.Context(), "10.0.0.1", openshift.Observation{
			Verb: openshift.Update, Object: openshift.Object{Kind: openshift.ImageStream, Namespace: "shop", Name: "app"}, Stream: &state.Stream,
		})
	}
	var all sync.WaitGroup
	all.Go(func() { event(shows(digestOf(t, "f0").String())) })
	until(t, "the first re-read runs", func() bool { return reads() == 1 })
	for n := range 20 {
		forged := shows(digestOf(t, "f"+string(rune('a'+n%6))+string(rune('0'+n/6))).String())
		all.Go(func() {
			if r := event(forged); r.Reason != NothingNew {
				t.Errorf("a forged event: %+v, want NothingNew", r)
			}
		})
	}
	var got Result
	all.Go(func() { got = event(real) })
	until(t, "all wait", func() bool { return f.intake.flights.users("shop/app") == 21 })
	close(release)
	all.Wait()
	if got.Status != Done || (got.Reason != NothingNew && got.Reason != Recorded) || len(f.ledger()) != 1 {
		t.Errorf("the real event: %+v, ledger %v", got, f.ledger())
	}
	if f.reads > 2 {
		t.Errorf("22 events cost %d re-reads, want two", f.reads)
	}
}

// The last that waits may leave at the moment when its turn comes: nobody has to wait for it.
func TestTheLastThatWaitsLeavesAsItsTurnComes(t *testing.T) {
	var f flights
	mine := newFlight()
	mine.baton <- struct{}{}
	l := &line{current: mine}
	f.at = map[string]*line{"a": l}
	f.leave("a", l, mine)
	if len(f.at) != 0 {
		t.Error("the name is still held, and nobody is there to run")
	}
}

// users returns how many wait for the next handling of a name.
func (f *flights) users(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l := f.at[name]; l != nil && l.next != nil {
		return l.next.waiting
	}
	return 0
}
