package gate

import (
	"testing"
	"time"
)

// Property: over any time no more is written than the rate allows and the bucket held, and
// what has to go out goes before what is added.
func TestBudget(t *testing.T) {
	const rate, mega = 100_000, 1_000_000
	b := NewBudget(rate, 100*time.Second, noon) // holds 10 MB, and starts with 5
	spend := func(u Urgency, now time.Time) bool { _, ok := b.Spend(u, mega, now); return ok }
	count := func(u Urgency, now time.Time) int {
		for n := 0; ; n++ {
			if !spend(u, now) {
				return n
			}
		}
	}
	// Additions leave 2.5 MB, removals the rest to nothing, and revocations borrow 10 MB.
	if n := count(Addition, noon); n != 2 {
		t.Errorf("%d additions, want 2", n)
	}
	if n := count(Removal, noon); n != 3 {
		t.Errorf("%d removals after them, want 3", n)
	}
	if n := count(Expiry, noon); n != 0 {
		t.Errorf("%d expiries after them, want 0", n)
	}
	if n := count(Revocation, noon); n != 10 {
		t.Errorf("%d revocations after them, want 10", n)
	}
	// Now -10 MB. What was borrowed is paid back before anything else is written.
	wait, ok := b.Spend(Addition, mega, noon)
	if want := 135 * time.Second; ok || wait < want || wait > want+time.Second {
		t.Errorf("an addition is to wait %v, want about %v", wait, want)
	}
	if spend(Addition, noon.Add(wait-time.Second)) {
		t.Error("an addition did not wait")
	}
	if !spend(Addition, noon.Add(wait)) {
		t.Error("an addition waits longer than it was told")
	}
}

// A clock that is set back or forward gives nothing away.
func TestBudgetAndClocks(t *testing.T) {
	b := NewBudget(1000, 10*time.Second, noon)
	if _, ok := b.Spend(Removal, 5000, noon); !ok {
		t.Fatal("half of the bucket is there at first")
	}
	if _, ok := b.Spend(Removal, 1000, noon.Add(-time.Hour)); ok {
		t.Error("a clock that was set back brought something")
	}
	if _, ok := b.Spend(Revocation, 5000, noon.Add(-time.Hour)); !ok {
		t.Error("a clock that was set back took something away")
	}
	if _, ok := b.Spend(Revocation, 20_000, noon.Add(time.Hour)); !ok {
		t.Error("a full bucket and what can be borrowed is there after an hour")
	}
	if _, ok := b.Spend(Revocation, 1, noon.Add(time.Hour)); ok {
		t.Error("an hour brought more than the bucket holds")
	}
}

// An object that is larger than the whole bucket is written once the bucket is full.
func TestBudgetSmallerThanAnObject(t *testing.T) {
	b := NewBudget(1000, 10*time.Second, noon)
	wait, ok := b.Spend(Addition, 1_000_000, noon)
	if ok || wait > 6*time.Second {
		t.Fatalf("%v, %v", wait, ok)
	}
	if _, ok := b.Spend(Addition, 1_000_000, noon.Add(wait)); !ok {
		t.Error("it is never written")
	}
}

// The larger an object is, and the less of the rate it may have, the longer it rests.
func TestBudgetRest(t *testing.T) {
	b := NewBudget(1000, 10*time.Second, noon)
	if got, want := b.Rest(500, 1), 500*time.Millisecond; got != want {
		t.Errorf("with all of the rate it rests %s, want %s", got, want)
	}
	if got, want := b.Rest(1000, 0.25), 4*time.Second; got != want {
		t.Errorf("with a quarter it rests %s, want %s", got, want)
	}
}
