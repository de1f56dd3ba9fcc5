package fair

import (
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	// slowFor is how long a namespace counts as slow whose work was.
	slowFor = time.Minute
	// callFor is how long a key that was woken may take to begin, before another one may.
	callFor = 30 * time.Second
	// maxIdle bounds how many namespaces are kept that are idle, and were slow.
	maxIdle = 1024
)

// Limits bound what Turns lets begin.
type Limits struct {
	// All is how much may be at work at once.
	All int
	// Slow is how much of that may be of one namespace, unless its work is known to be quick:
	// then it may have all that nobody else waits for. Work is slow that takes longer than
	// After.
	Slow  int
	After time.Duration
}

// Turns lets keys begin slow work. Of those that wait, a key of the namespace with the least at
// work goes next, and of those with as little one of that which waited longest for its round.
// Within a namespace the oldest goes first.
type Turns[K comparable] struct {
	limits Limits
	now    func() time.Time
	wake   func(K)

	mu     sync.Mutex
	rounds int
	spaces map[string]*space[K]
	keys   map[K]*turn[K]
	atWork map[*turn[K]]struct{}
}

type space[K comparable] struct {
	name    string
	atWork  int
	round   int
	waiting []*turn[K]
	// slow is until when the namespace counts as slow, and quick that some work was not.
	slow  time.Time
	quick bool
}

// turn is where a key stands: it waits, or is at work since a time.
type turn[K comparable] struct {
	key    K
	space  *space[K]
	atWork bool
	// called is true if the key was woken and has not begun.
	called bool
	since  time.Time
}

// NewTurns returns Turns that wake the keys whose turn it is. Wake must not call back.
func NewTurns[K comparable](limits Limits, now func() time.Time, wake func(K)) *Turns[K] {
	return &Turns[K]{
		limits: limits, now: now, wake: wake,
		spaces: map[string]*space[K]{}, keys: map[K]*turn[K]{}, atWork: map[*turn[K]]struct{}{},
	}
}

// Begin reports whether a key of a namespace may begin. The caller then calls End. Otherwise the
// key waits until it is woken, and asks again.
func (t *Turns[K]) Begin(namespace string, key K) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reclaim()
	have := t.keys[key]
	if have == nil {
		s := t.spaces[namespace]
		if s == nil {
			s = &space[K]{name: namespace}
			t.spaces[namespace] = s
		}
		have = &turn[K]{key: key, space: s}
		t.keys[key] = have
		if len(s.waiting) == 0 {
			t.rounds++
			s.round = t.rounds
		}
		s.waiting = append(s.waiting, have)
		t.admit(key)
	}
	if !have.atWork {
		return false
	}
	if have.called {
		have.called, have.since = false, t.now()
	}
	return true
}

// End ends the work of a key, or its waiting. A key that has neither is no error.
func (t *Turns[K]) End(key K) {
	t.mu.Lock()
	var woken []K
	if have := t.keys[key]; have != nil {
		t.remove(have)
		woken = t.admitAll()
	}
	t.mu.Unlock()
	for _, k := range woken {
		t.wake(k)
	}
}

// Clear forgets all, and wakes the keys that wait.
func (t *Turns[K]) Clear() {
	t.mu.Lock()
	woken := make([]K, 0, len(t.keys))
	for key, have := range t.keys {
		if !have.atWork || have.called {
			woken = append(woken, key)
			t.remove(have)
		}
	}
	t.mu.Unlock()
	for _, k := range woken {
		t.wake(k)
	}
}

// Len returns how many keys wait or are at work.
func (t *Turns[K]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.keys)
}

func (t *Turns[K]) remove(have *turn[K]) {
	s := have.space
	delete(t.keys, have.key)
	if have.atWork {
		t.ended(have)
	} else {
		s.waiting = slices.DeleteFunc(s.waiting, func(w *turn[K]) bool { return w == have })
	}
	if s.idle() && !t.now().Before(s.slow) {
		delete(t.spaces, s.name)
	}
	if len(t.spaces) > len(t.keys)+maxIdle {
		maps.DeleteFunc(t.spaces, func(_ string, s *space[K]) bool { return s.idle() })
	}
}

func (t *Turns[K]) ended(have *turn[K]) {
	s := have.space
	delete(t.atWork, have)
	s.atWork--
	switch {
	case have.called: // it did no work
	case t.now().Sub(have.since) > t.limits.After:
		s.slow = t.now().Add(slowFor)
	default:
		s.quick = true
	}
}

func (s *space[K]) idle() bool { return s.atWork == 0 && len(s.waiting) == 0 }

// reclaim takes back what was given to keys that did not begin: nobody may want them any more.
func (t *Turns[K]) reclaim() {
	for have := range t.atWork {
		if have.called && t.now().Sub(have.since) > callFor {
			t.remove(have)
		}
	}
}

// admitAll lets all begin that may, and returns their keys.
func (t *Turns[K]) admitAll() []K {
	var woken []K
	for next := t.next(); next != nil; next = t.next() {
		woken = append(woken, next.key)
		t.start(next)
		next.called = true
	}
	return woken
}

// admit lets a key begin that has just come, if its turn is now.
func (t *Turns[K]) admit(key K) {
	if next := t.next(); next != nil && next.key == key {
		t.start(next)
	}
}

func (t *Turns[K]) next() *turn[K] {
	if len(t.atWork) >= t.limits.All {
		return nil
	}
	var best *space[K]
	for _, s := range t.spaces {
		if len(s.waiting) == 0 || (s.atWork >= t.limits.Slow && !t.isQuick(s)) {
			continue
		}
		if best == nil || s.atWork < best.atWork || (s.atWork == best.atWork && s.round < best.round) {
			best = s
		}
	}
	if best == nil {
		return nil
	}
	return best.waiting[0]
}

// isQuick reports whether the work of a namespace is known to be quick.
func (t *Turns[K]) isQuick(s *space[K]) bool {
	now := t.now()
	if !s.quick || now.Before(s.slow) {
		return false
	}
	for have := range t.atWork {
		if have.space == s && !have.called && now.Sub(have.since) > t.limits.After {
			return false
		}
	}
	return true
}

func (t *Turns[K]) start(next *turn[K]) {
	s := next.space
	s.waiting = s.waiting[1:]
	t.rounds++
	s.round = t.rounds
	s.atWork++
	t.atWork[next] = struct{}{}
	next.atWork, next.since = true, t.now()
}
