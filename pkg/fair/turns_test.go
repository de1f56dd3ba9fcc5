package fair

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

type turnsEnv struct {
	*Turns[string]
	at    time.Time
	woken []string
}

func newTurnsEnv(limits Limits) *turnsEnv {
	e := &turnsEnv{at: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)}
	e.Turns = NewTurns(limits, func() time.Time { return e.at }, func(key string) { e.woken = append(e.woken, key) })
	return e
}

// begin asks for keys "namespace/name", and returns how many may begin.
func (e *turnsEnv) begin(keys ...string) (n int) {
	for _, key := range keys {
		namespace, _, _ := strings.Cut(key, "/")
		if e.Begin(namespace, key) {
			n++
		}
	}
	return n
}

func numbered(namespace string, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s/%d", namespace, i)
	}
	return keys
}

func (e *turnsEnv) wantWoken(t *testing.T, want ...string) {
	t.Helper()
	if strings.Join(e.woken, " ") != strings.Join(want, " ") {
		t.Errorf("woken: %v, want %v", e.woken, want)
	}
	e.woken = nil
}

var limits = Limits{All: 6, Slow: 2, After: time.Second}

// Property: of a namespace whose work hangs a few are at work, and another one's begins at once.
func TestSlowWorkOfANamespaceLeavesRoom(t *testing.T) {
	e := newTurnsEnv(limits)
	if got := e.begin(numbered("hostile", 100)...); got != 2 {
		t.Errorf("%d began of a namespace of which nothing is known, want 2", got)
	}
	if got := e.begin(numbered("victim", 2)...); got != 2 {
		t.Errorf("%d of another namespace's began, want 2", got)
	}
	e.at = e.at.Add(3 * time.Second)
	e.End("hostile/0")
	e.wantWoken(t, "hostile/2")
	if e.begin("hostile/3") != 0 || e.begin("hostile/2") != 1 || e.begin("hostile/2") != 1 {
		t.Error("what was not woken began, or what was did not")
	}
	e.at = e.at.Add(slowFor - time.Millisecond)
	e.End("hostile/1")
	e.End("hostile/2")
	e.begin("hostile/3", "hostile/4")
	e.End("hostile/3") // quick for once
	e.woken = nil
	if e.begin("hostile/97") != 0 || len(e.atWork) != 4 {
		t.Errorf("%d are at work of a namespace that was slow just now, and of another's 2", len(e.atWork))
	}
}

// A namespace whose work is quick may have all that nobody else waits for, until it is not.
func TestQuickWorkIsNotHeldUp(t *testing.T) {
	e := newTurnsEnv(limits)
	e.begin(numbered("a", 20)...)
	e.End("a/0")
	e.wantWoken(t, "a/2", "a/3", "a/4", "a/5", "a/6")
	e.begin(numbered("a", 7)[1:]...)
	e.begin("b/0")
	e.End("a/1")
	e.wantWoken(t, "b/0") // the one with less at work
	e.at = e.at.Add(2 * time.Second)
	e.End("a/2") // it was slow
	e.wantWoken(t)
	if e.begin("b/1") != 1 {
		t.Error("another namespace has no room")
	}
}

// Work that goes on for long tells of the namespace before it ends.
func TestWorkThatHangsTellsBeforeItEnds(t *testing.T) {
	e := newTurnsEnv(limits)
	e.begin("a/0", "a/1")
	e.End("a/0") // its work is quick
	e.begin("a/2")
	e.at = e.at.Add(2 * time.Second)
	if e.begin("a/3") != 0 {
		t.Error("a third began while two hang")
	}
}

// That a namespace was slow is known while it does nothing, for a while.
func TestANamespaceThatWasSlowIsRemembered(t *testing.T) {
	e := newTurnsEnv(limits)
	e.begin("a/0")
	e.at = e.at.Add(2 * time.Second)
	e.End("a/0")
	e.begin("a/1", "a/2", "a/3")
	e.End("a/1") // quick for once
	e.wantWoken(t, "a/3")
	if e.begin("a/4") != 0 {
		t.Error("a third began of a namespace that was slow just now")
	}
}

// Property: with room for one, namespaces take turns, whatever number each has, and within one
// the oldest goes first.
func TestNamespacesTakeTurns(t *testing.T) {
	e := newTurnsEnv(Limits{All: 1, Slow: 1, After: time.Second})
	e.begin(numbered("a", 10)...)
	e.begin(numbered("b", 2)...)
	e.begin("c/0")
	for _, step := range []struct{ ends, wakes string }{
		{"a/0", "a/1"}, {"a/1", "b/0"}, {"b/0", "c/0"}, {"c/0", "a/2"}, {"a/2", "b/1"}, {"b/1", "a/3"},
	} {
		e.End(step.ends)
		e.wantWoken(t, step.wakes)
		if e.begin(step.wakes) != 1 {
			t.Errorf("%s was woken and may not begin", step.wakes)
		}
	}
}

// Property: a key that was woken and does not come holds its place for a bounded time only.
func TestAKeyThatDoesNotComeIsPassedOver(t *testing.T) {
	e := newTurnsEnv(Limits{All: 1, Slow: 1, After: time.Second})
	e.begin("a/0", "gone/0", "b/0")
	e.End("a/0")
	e.wantWoken(t, "gone/0")
	e.at = e.at.Add(callFor)
	if e.begin("b/0") != 0 {
		t.Error("it was passed over at once")
	}
	e.at = e.at.Add(time.Millisecond)
	e.begin("c/0")
	e.End("c/0")
	e.wantWoken(t, "b/0")
	e.begin("b/0")
	e.End("b/0")
	e.End("b/0") // it has neither
	if len(e.spaces)+len(e.keys)+len(e.atWork) != 0 {
		t.Errorf("%d namespaces and %d keys are kept", len(e.spaces), e.Len())
	}
}

// A key that no longer wants to wait keeps nobody waiting, and one that waits is woken when all
// is forgotten.
func TestWhatWaitsCanLeave(t *testing.T) {
	e := newTurnsEnv(Limits{All: 1, Slow: 1, After: time.Second})
	e.begin("a/0", "a/1", "a/2", "b/0")
	e.End("a/1")
	e.wantWoken(t)
	e.Clear()
	if e.Len() != 1 {
		t.Errorf("%d are kept, want what is at work", e.Len())
	}
	if len(e.woken) != 2 {
		t.Errorf("woken: %v, want the two that wait", e.woken)
	}
}

// What is kept of namespaces that were slow is bounded.
func TestWhatIsKeptIsBounded(t *testing.T) {
	e := newTurnsEnv(limits)
	for n := range 3 * maxIdle {
		key := fmt.Sprintf("n%d/0", n)
		e.begin(key)
		e.at = e.at.Add(2 * time.Second)
		e.End(key)
		e.at = e.at.Add(-2 * time.Second)
	}
	if len(e.spaces) > maxIdle+1 {
		t.Errorf("%d namespaces are kept, want at most %d", len(e.spaces), maxIdle)
	}
}

// Property: never is more at work than allowed, whoever asks.
func TestTurnsAreSafe(t *testing.T) {
	var turns *Turns[int]
	woken := make(chan int, 1000)
	turns = NewTurns(Limits{All: 3, Slow: 2, After: time.Hour}, time.Now, func(k int) { woken <- k })
	var all sync.WaitGroup
	var done sync.WaitGroup
	done.Add(200)
	for range 8 {
		all.Go(func() {
			for k := range woken {
				if turns.Begin(fmt.Sprint(k%5), k) {
					turns.End(k)
					done.Done()
				}
			}
		})
	}
	for k := range 200 {
		woken <- k
	}
	done.Wait()
	close(woken)
	all.Wait()
	if turns.Len() != 0 {
		t.Errorf("%d are left", turns.Len())
	}
}
