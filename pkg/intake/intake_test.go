package intake

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The zero result asks the sender to come again: nothing is lost by a mistake.
func TestCombineAnswersTheWorst(t *testing.T) {
	recorded := Result{Status: Done, Reason: Recorded, Recorded: 1}
	nothing := Handled(KindStream, NothingNew)
	refused := Result{Status: Refused, Reason: Undecodable}
	for _, test := range []struct {
		name string
		a, b Result
		want Result
	}{
		{"recorded outranks nothing new", nothing, recorded, recorded},
		{"a refusal outranks what was recorded, which still counts", recorded, refused, Result{Status: Refused, Reason: Undecodable, Recorded: 1}},
		{"again outranks a refusal", again("", nil), refused, again("", nil)},
		{"the zero value is again", Result{}, refused, Result{}},
		{"an unknown status is treated as again", Result{Status: 99}, refused, Result{Status: 99}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Combine(test.a, test.b)); diff != "" {
				t.Errorf("combine (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, Combine(test.b, test.a)); diff != "" {
				t.Errorf("combine, the other way round (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	r := newRecent[int](10)
	for n := range 1000 {
		if !r.first(n) {
			t.Errorf("%d is not new", n)
		}
		if r.first(n) {
			t.Errorf("%d is new twice", n)
		}
		if got := r.add(-1); got != n+1 {
			t.Fatalf("what is counted again and again was counted %d times, want %d", got, n+1)
		}
	}
	if size := len(r.young) + len(r.old); size > 10 {
		t.Errorf("%d are kept, want at most 10", size)
	}
	if !r.first(500) {
		t.Error("what is long past is kept")
	}
	r.forget(-1)
	if !r.first(-1) {
		t.Error("what was forgotten is kept")
	}
}

func TestLocksAdmitOneAtATime(t *testing.T) {
	var l locks
	var wg sync.WaitGroup
	var inside, most int
	var mu sync.Mutex
	for range 50 {
		wg.Go(func() {
			unlock, err := l.lock(t.Context(), "name")
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			inside++
			most = max(most, inside)
			mu.Unlock()
			mu.Lock()
			inside--
			mu.Unlock()
			unlock()
		})
	}
	wg.Wait()
	if most != 1 {
		t.Errorf("%d were inside at once", most)
	}
	if len(l.held) != 0 {
		t.Errorf("%d names are still held", len(l.held))
	}
}

// Nobody waits for another name, or longer than its context.
func TestLockIsOfItsNameAndEndsWithItsContext(t *testing.T) {
	var l locks
	unlock, err := l.lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if other, err := l.lock(t.Context(), "b"); err != nil {
		t.Error(err)
	} else {
		other()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.lock(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; want the context's", err)
	}
	unlock()
	if len(l.held) != 0 {
		t.Errorf("%d names are still held", len(l.held))
	}
}
