package imageverification

import (
	"fmt"
	"testing"
	"time"
)

// Property: where run after run fails, what follows waits longer, within bounds; one verdict, or
// time, ends that, and another namespace's failures do not matter.
func TestRepetitionsOfANamespaceThatFailsBecomeRarer(t *testing.T) {
	f := newFailing()
	want := map[int]int{0: 1, 8: 1, 9: 2, 18: 2, 19: 4, 38: 4, 39: 8, 79: 8, 999: 8}
	for n := range 1000 {
		if factor, known := want[n]; known && f.factor("broken", 1, noon) != factor {
			t.Errorf("after %d failures the next waits %d times longer, want %d", n, f.factor("broken", 1, noon), factor)
		}
		f.ended("broken", true, noon)
	}
	if got := f.factor("other", 1, noon); got != 1 {
		t.Errorf("another namespace waits %d times longer", got)
	}
	if got := f.factor("broken", 0, noon.Add(failingFor+time.Second)); got != 1 {
		t.Errorf("long after the last failure it waits %d times longer", got)
	}
	f.ended("broken", false, noon)
	if got := f.factor("broken", 1, noon); got != 1 || len(f.spell) != 0 {
		t.Errorf("after a verdict it waits %d times longer, and %d namespaces are kept", got, len(f.spell))
	}
}

// What is kept is bounded, and making room costs one namespace its count, not all of them.
func TestWhatIsKeptOfFailuresIsBounded(t *testing.T) {
	f := newFailing()
	f.ended("over", true, noon)
	for n := range maxFailing + 10 {
		f.ended(fmt.Sprint("n", n), true, noon.Add(failingFor+time.Second))
	}
	if len(f.spell) != maxFailing {
		t.Errorf("%d namespaces are kept, want %d", len(f.spell), maxFailing)
	}
	if _, kept := f.spell["over"]; kept {
		t.Error("a spell that is over is kept, and another one was not")
	}
	f.clear()
	if len(f.spell) != 0 {
		t.Errorf("%d are left", len(f.spell))
	}
}
