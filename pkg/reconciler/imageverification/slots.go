package imageverification

import (
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// slots bounds the runs of a trigger that are under way at once, oldest push
// first. The ledger tells which are; what was granted and is not in the ledger's
// cache yet is remembered here. With several leaders each counts its own grants,
// so that the bound may be exceeded by what they grant at the same moment.
type slots struct {
	wake func(types.NamespacedName)

	mu       sync.Mutex
	triggers map[string]*triggerSlots // by trigger UID
	of       map[types.NamespacedName]string
}

type triggerSlots struct {
	granted map[types.NamespacedName]bool
	waiting []waiter // the oldest push first
}

type waiter struct {
	pushed time.Time
	key    types.NamespacedName
}

func (w waiter) compare(other waiter) int {
	if c := w.pushed.Compare(other.pushed); c != 0 {
		return c
	}
	return strings.Compare(w.key.String(), other.key.String())
}

func newSlots(wake func(types.NamespacedName)) *slots {
	return &slots{wake: wake, triggers: map[string]*triggerSlots{}, of: map[types.NamespacedName]string{}}
}

// take grants key a slot if there is one left after the waiters with older
// pushes. underway are the entries of the trigger that the ledger shows as such.
func (s *slots) take(trigger string, key types.NamespacedName, pushed time.Time, most int, underway []types.NamespacedName) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.triggers[trigger]
	if t == nil {
		t = &triggerSlots{granted: map[types.NamespacedName]bool{}}
		s.triggers[trigger] = t
	}
	s.of[key] = trigger
	if t.granted[key] {
		return true
	}
	used := len(t.granted)
	for _, k := range underway {
		if !t.granted[k] && k != key {
			used++
		}
	}
	w := waiter{pushed, key}
	i, found := slices.BinarySearchFunc(t.waiting, w, waiter.compare)
	if used+i >= most {
		if !found {
			t.waiting = slices.Insert(t.waiting, i, w)
		}
		return false
	}
	if found {
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
	t.granted[key] = true
	return true
}

// free gives back what key holds or waits for, and wakes the next waiter. The
// trigger may be empty if it is not known any more.
func (s *slots) free(trigger string, key types.NamespacedName) {
	if next, ok := s.remove(trigger, key); ok {
		s.wake(next)
	}
}

func (s *slots) remove(trigger string, key types.NamespacedName) (types.NamespacedName, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if trigger == "" {
		trigger = s.of[key]
	}
	delete(s.of, key)
	t := s.triggers[trigger]
	if t == nil {
		return types.NamespacedName{}, false
	}
	delete(t.granted, key)
	t.waiting = slices.DeleteFunc(t.waiting, func(w waiter) bool { return w.key == key })
	if len(t.waiting) > 0 {
		return t.waiting[0].key, true
	}
	if len(t.granted) == 0 {
		delete(s.triggers, trigger)
	}
	return types.NamespacedName{}, false
}

// freed wakes the next waiter, as the ledger shows that an entry of the trigger
// has no run any more, whoever worked on it.
func (s *slots) freed(trigger string) {
	s.mu.Lock()
	t := s.triggers[trigger]
	if t == nil || len(t.waiting) == 0 {
		s.mu.Unlock()
		return
	}
	next := t.waiting[0].key
	s.mu.Unlock()
	s.wake(next)
}

// clear is for when leadership changes: who waits asks again.
func (s *slots) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.triggers)
	clear(s.of)
}
