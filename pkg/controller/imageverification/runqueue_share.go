package imageverification

import (
	"cmp"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/lifecycle"
)

// What keeps a namespace from taking what others need: its share of the bound of all
// triggers, its round, and the time after which a run holds no slot of that bound.

// runLimits are the operator's.
type runLimits struct {
	// most is the bound of all triggers.
	most int
	// reserve is how many of these slots no single namespace can take.
	reserve int
	// longest is how long a run may take and hold its slot; 0 is as long as it takes.
	longest time.Duration
}

// space is a namespace's share of the queue.
type space struct {
	name    string
	used    int // runs under way, and granted slots
	held    int // of the bound of all triggers
	heldLow int // of these, by runs of a low rank
	round   int
	waiting int
	tenants map[*tenant]struct{}
}

func (q *runQueue) space(namespace string) *space {
	s := q.spaces[namespace]
	if s == nil {
		s = &space{name: namespace, tenants: map[*tenant]struct{}{}}
		q.spaces[namespace] = s
	}
	return s
}

// next returns the tenant whose round it is, or nil if no entry that waits could be
// granted a slot. What waits in a namespace that has its share costs it nothing.
func (q *runQueue) next() *tenant {
	var best *tenant
	for _, s := range q.spaces {
		if s.waiting == 0 || !q.hasRoom(s) {
			continue
		}
		for t := range s.tenants {
			if len(t.waiting) == 0 || t.used >= t.most || (t.nextIsLow() && !q.roomForLow(t)) {
				continue
			}
			if best == nil || t.before(best) {
				best = t
			}
		}
	}
	return best
}

// before reports whether a tenant's round comes before that of another.
func (t *tenant) before(other *tenant) bool {
	return cmp.Or(
		cmp.Compare(t.waiting[0].rank.Class, other.waiting[0].rank.Class),
		cmp.Compare(t.space.used, other.space.used),
		cmp.Compare(t.space.round, other.space.round),
		cmp.Compare(t.used, other.used),
		cmp.Compare(t.round, other.round),
	) < 0
}

// nextIsLow reports whether all that waits has a low rank: the highest rank waits first.
func (t *tenant) nextIsLow() bool { return t.waiting[0].rank.Low() }

// hasRoom reports whether a namespace may hold one more slot of the bound of all triggers.
func (q *runQueue) hasRoom(s *space) bool { return s.held < q.share(q.most, s.name) }

// roomForLow reports whether a tenant may have one more run of a low rank.
func (q *runQueue) roomForLow(t *tenant) bool {
	low := max(q.most/2, 1)
	return t.usedLow < max(t.most/2, 1) && q.usedLow < low && t.space.heldLow < q.share(low, t.space.name)
}

// share returns how much of a bound one namespace may have: all but the reserve, while
// another namespace has a trigger.
func (q *runQueue) share(bound int, namespace string) int {
	if q.reserve == 0 || !q.owners.othersThan(namespace) {
		return bound
	}
	return max(bound-max(bound*q.reserve/q.most, 1), 1)
}

// nextRound is behind all earlier ones.
func (q *runQueue) nextRound() int {
	q.rounds++
	return q.rounds
}

// holdup says what an entry waits for that was not granted a slot.
func (q *runQueue) holdup(key types.NamespacedName) lifecycle.Slot {
	q.mu.Lock()
	defer q.mu.Unlock()
	slot := lifecycle.Slot{State: lifecycle.SlotQueued}
	t := q.tickets[key]
	// The narrowest bound is told: it changes most rarely, and each change costs a write.
	switch {
	case t != nil && t.tenant.used >= t.tenant.most:
	case t != nil && !q.hasRoom(t.tenant.space) && q.share(q.most, key.Namespace) < q.most:
		slot.Share = q.share(q.most, key.Namespace)
	case q.used >= q.most:
		slot.Bound = q.most
	}
	return slot
}

// follow sets how long the run of a ticket, which was requested at a time, holds its slot.
func (q *runQueue) follow(t *ticket, requested time.Time) {
	if q.longest <= 0 {
		return
	}
	t.until = requested.Add(q.longest)
	t.overdue = !q.now().Before(t.until)
	if !t.overdue && (q.expires.IsZero() || t.until.Before(q.expires)) {
		q.expires = t.until
	}
}

// expire takes the slots of runs that have taken too long. Entries that wait ask again every
// now and then, and the entry of such a run is visited then, so that this needs no timer.
func (q *runQueue) expire() {
	now := q.now()
	if q.expires.IsZero() || now.Before(q.expires) {
		return
	}
	q.expires = time.Time{}
	for _, t := range q.tickets {
		switch {
		case !t.underway || t.overdue:
		case !now.Before(t.until):
			q.change(t, func() { t.overdue = true })
		case q.expires.IsZero() || t.until.Before(q.expires):
			q.expires = t.until
		}
	}
}

// owners knows which namespaces have triggers.
type owners struct {
	triggers map[types.UID]string // their namespaces
	of       map[string]int       // how many triggers a namespace has
}

func newOwners() owners { return owners{triggers: map[types.UID]string{}, of: map[string]int{}} }

// othersThan reports whether a namespace other than this one has a trigger.
func (o *owners) othersThan(namespace string) bool {
	return len(o.of) > 1 || (len(o.of) == 1 && o.of[namespace] == 0)
}

// triggerSeen notes that a namespace has a trigger.
func (q *runQueue) triggerSeen(uid types.UID, namespace string) {
	q.update(types.NamespacedName{}, func() {
		if _, known := q.owners.triggers[uid]; !known {
			q.owners.triggers[uid] = namespace
			q.owners.of[namespace]++
		}
	})
}

// triggerGone notes that a trigger was deleted, which may leave one namespace alone.
func (q *runQueue) triggerGone(uid types.UID) {
	q.update(types.NamespacedName{}, func() {
		namespace, known := q.owners.triggers[uid]
		if !known {
			return
		}
		delete(q.owners.triggers, uid)
		if q.owners.of[namespace]--; q.owners.of[namespace] == 0 {
			delete(q.owners.of, namespace)
		}
	})
}
