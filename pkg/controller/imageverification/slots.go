package imageverification

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// slots bounds the runs that are under way at once, of each trigger and of all.
// The ledger tells which are: each change of an entry that this process sees or
// makes is noted, so that nothing is counted anew for each entry. What was
// granted and is not in the ledger yet is remembered here, and so is who waits.
// All of it may be lost: who waits asks again.
//
// A slot goes to the trigger with the fewest runs under way, and among those with
// as few to the one that has waited longest for its turn, so that none starves;
// within a trigger by lifecycle.Rank. With several leaders each counts its own
// grants, so that a bound may be exceeded by what they grant at the same moment.
// That of all triggers may also be by runs that appear late.
type slots struct {
	wake func(types.NamespacedName)
	most int // of all triggers

	mu       sync.Mutex
	used     int // of the bound of all triggers
	turns    int
	triggers map[string]*line // by trigger UID
	entries  map[types.NamespacedName]*seat
}

// line is what there is of one trigger.
type line struct {
	uid     string
	name    types.NamespacedName
	most    int
	used    int
	turn    int
	waiting []*seat // by rank
}

// seat is what is known of one entry.
type seat struct {
	key  types.NamespacedName
	line *line
	// underway is what the ledger says, in its version.
	underway bool
	stuck    bool
	version  string
	granted  bool
	waiting  bool
	rank     lifecycle.Rank
	since    time.Time
}

func (s *seat) used() bool { return s.underway || s.granted }

// held is what the entry holds of the bound of all triggers. A run that does not
// appear gives that to others, as a listener that is broken must not stop all
// triggers; it keeps its place in its own, or all that waits there would follow it.
func (s *seat) held() int {
	if s.granted || (s.underway && !s.stuck) {
		return 1
	}
	return 0
}

func compareSeats(a, b *seat) int {
	return cmp.Or(a.rank.Compare(b.rank), a.since.Compare(b.since),
		strings.Compare(a.key.Namespace, b.key.Namespace), strings.Compare(a.key.Name, b.key.Name))
}

// want is what an entry asks for.
type want struct {
	key     types.NamespacedName
	uid     string // of the trigger
	trigger types.NamespacedName
	most    int // of the trigger
	since   time.Time
	rank    lifecycle.Rank
}

func newSlots(most int, wake func(types.NamespacedName)) *slots {
	return &slots{wake: wake, most: most, triggers: map[string]*line{}, entries: map[types.NamespacedName]*seat{}}
}

// note takes in what the ledger says of an entry. An older state than the one
// that is known is left alone: the watch lags behind what this process writes.
func (s *slots) note(e *v1alpha1.ImageVerification) {
	key, busy := keyOf(e), underway(e)
	s.mu.Lock()
	at := s.entries[key]
	if at == nil && !busy {
		s.mu.Unlock()
		return
	}
	if at == nil {
		at = s.seat(key, e.Spec.Trigger.UID, types.NamespacedName{Namespace: e.Namespace, Name: e.Spec.Trigger.Name})
	}
	if order, err := resourceversion.CompareResourceVersion(e.ResourceVersion, at.version); err == nil && order < 0 {
		s.mu.Unlock()
		return
	}
	at.version = e.ResourceVersion
	s.change(at, func() {
		at.underway, at.stuck = busy, busy && stuck(e)
		if busy {
			at.granted = false // it is in the ledger now
		}
	})
	s.settle(types.NamespacedName{})
}

// quick grants a slot if nobody has to go first; otherwise ask decides.
func (s *slots) quick(w want) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.seat(w.key, w.uid, w.trigger)
	at.line.most = w.most
	if at.used() {
		return true
	}
	if s.used < s.most && at.line.used < w.most && !s.anybodyWaits() {
		s.grant(at)
		return true
	}
	s.drop(at)
	return false
}

// ask grants a slot, or lets the entry wait until it is woken.
func (s *slots) ask(w want) bool {
	s.mu.Lock()
	at := s.seat(w.key, w.uid, w.trigger)
	at.line.most = w.most
	if !at.used() && (!at.waiting || at.rank != w.rank) {
		s.leave(at)
		s.join(at, w.rank, w.since)
	}
	s.settle(w.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return at.used()
}

// free gives back what an entry was granted, or waits for.
func (s *slots) free(key types.NamespacedName) {
	s.mu.Lock()
	at := s.entries[key]
	if at == nil {
		s.mu.Unlock()
		return
	}
	s.leave(at)
	s.change(at, func() { at.granted = false })
	s.settle(types.NamespacedName{})
}

// gone forgets an entry that the ledger does not have any more.
func (s *slots) gone(key types.NamespacedName) {
	s.mu.Lock()
	at := s.entries[key]
	if at == nil {
		s.mu.Unlock()
		return
	}
	s.leave(at)
	s.change(at, func() { at.granted, at.underway = false, false })
	s.settle(types.NamespacedName{})
}

// clear is for when leadership changes: who waits, or was granted, asks again.
func (s *slots) clear() {
	s.mu.Lock()
	var all []types.NamespacedName
	for key, at := range s.entries {
		if at.waiting || at.granted {
			all = append(all, key)
		}
		s.leave(at)
		s.change(at, func() { at.granted = false })
	}
	s.mu.Unlock()
	for _, key := range all {
		s.wake(key)
	}
}

// depth is how many entries of a trigger wait, and since when the oldest does.
type depth struct {
	trigger  types.NamespacedName
	underway int
	waiting  int
	since    time.Time
}

func (s *slots) depths() []depth {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]depth, 0, len(s.triggers))
	for _, l := range s.triggers {
		d := depth{trigger: l.name, underway: l.used, waiting: len(l.waiting)}
		for _, at := range l.waiting {
			if d.since.IsZero() || at.since.Before(d.since) {
				d.since = at.since
			}
		}
		all = append(all, d)
	}
	return all
}

// full reports whether the bound of all triggers is what an entry waits for.
func (s *slots) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used >= s.most
}

// settle grants what can be granted, unlocks, and wakes who was granted a slot,
// but for who asks.
func (s *slots) settle(asking types.NamespacedName) {
	var woken []types.NamespacedName
	for s.used < s.most {
		l := s.next()
		if l == nil {
			break
		}
		at := l.waiting[0]
		s.leave(at)
		s.grant(at)
		if at.key != asking {
			woken = append(woken, at.key)
		}
	}
	s.mu.Unlock()
	for _, key := range woken {
		s.wake(key)
	}
}

// next returns the line whose turn it is.
func (s *slots) next() *line {
	var best *line
	for _, l := range s.triggers {
		if len(l.waiting) == 0 || l.used >= l.most {
			continue
		}
		if best == nil || l.used < best.used || (l.used == best.used && l.turn < best.turn) {
			best = l
		}
	}
	return best
}

// anybodyWaits reports whether an entry waits that could be granted a slot.
func (s *slots) anybodyWaits() bool { return s.next() != nil }

func (s *slots) grant(at *seat) {
	s.change(at, func() { at.granted = true })
	s.turn(at.line)
}

// turn puts a line behind all others with as few runs.
func (s *slots) turn(l *line) {
	s.turns++
	l.turn = s.turns
}

func (s *slots) join(at *seat, rank lifecycle.Rank, since time.Time) {
	if len(at.line.waiting) == 0 {
		s.turn(at.line)
	}
	at.rank, at.since, at.waiting = rank, since, true
	i, _ := slices.BinarySearchFunc(at.line.waiting, at, compareSeats)
	at.line.waiting = slices.Insert(at.line.waiting, i, at)
}

func (s *slots) leave(at *seat) {
	if !at.waiting {
		return
	}
	if i, found := slices.BinarySearchFunc(at.line.waiting, at, compareSeats); found {
		at.line.waiting = slices.Delete(at.line.waiting, i, i+1)
	}
	at.waiting = false
}

// seat returns what is known of an entry, which may be nothing yet.
func (s *slots) seat(key types.NamespacedName, uid string, trigger types.NamespacedName) *seat {
	at := s.entries[key]
	if at != nil && at.line.uid == uid {
		return at
	}
	if at != nil {
		// An entry's trigger never changes: this is another entry of that name.
		s.leave(at)
		s.change(at, func() { at.granted, at.underway = false, false })
	}
	l := s.triggers[uid]
	if l == nil {
		l = &line{uid: uid, name: trigger} // whoever waits says how many it may have
		s.triggers[uid] = l
	}
	at = &seat{key: key, line: l}
	s.entries[key] = at
	return at
}

// change changes what an entry uses, and counts it.
func (s *slots) change(at *seat, do func()) {
	before, held := at.used(), at.held()
	do()
	s.used += at.held() - held
	switch after := at.used(); {
	case after && !before:
		at.line.used++
	case before && !after:
		at.line.used--
	}
	s.drop(at)
}

// drop forgets an entry, and a line, of which nothing is to be known any more.
func (s *slots) drop(at *seat) {
	if at.used() || at.waiting {
		return
	}
	if s.entries[at.key] == at {
		delete(s.entries, at.key)
	}
	if at.line.used == 0 && len(at.line.waiting) == 0 {
		delete(s.triggers, at.line.uid)
	}
}
