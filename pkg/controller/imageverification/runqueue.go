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

// runQueue bounds the runs that are under way at once, of each trigger and of all. The
// ledger says which are: the queue takes in each change of an entry that this process
// sees or makes. Slots that were granted and are not in the ledger yet are kept here, and
// so are the entries that wait. All of it may be lost: an entry that waits asks again.
//
// The trigger with the fewest runs under way goes first, and of those with as few the one
// that has waited longest for its round, so that none starves; within a trigger,
// lifecycle.Rank decides. Each of several leaders counts its own grants, so that they can
// exceed a bound by what they grant at the same moment. Runs that appear late can exceed
// the bound of all triggers too.
//
// Runs of a low rank get a slot only if nothing else waits that could have it, and never
// more than half of a bound, or one, so that what comes next finds a free one.
type runQueue struct {
	wake func(types.NamespacedName)
	most int // of all triggers

	mu      sync.Mutex
	used    int // of the bound of all triggers
	usedLow int // of these, by runs of a low rank
	rounds  int
	tenants map[string]*tenant // by trigger UID
	tickets map[types.NamespacedName]*ticket
}

// tenant is a trigger's share of the queue.
type tenant struct {
	uid     string
	name    types.NamespacedName
	most    int
	used    int
	usedLow int // of these, by runs of a low rank
	round   int
	waiting []*ticket // by rank
}

// ticket is an entry's place.
type ticket struct {
	key    types.NamespacedName
	tenant *tenant
	// underway and stuck are what the ledger says, in its version.
	underway bool
	stuck    bool
	version  string
	granted  bool
	// low is true if the run that uses a slot has a low rank.
	low     bool
	waiting bool
	rank    lifecycle.Rank
	since   time.Time
}

func (t *ticket) used() bool { return t.underway || t.granted }

func (t *ticket) usedLow() int {
	if t.used() && t.low {
		return 1
	}
	return 0
}

// held is what the entry holds of the bound of all triggers. A stuck run releases its
// global slot but keeps its trigger's, so that one broken listener cannot block other
// triggers.
func (t *ticket) held() int {
	if t.granted || (t.underway && !t.stuck) {
		return 1
	}
	return 0
}

func compareTickets(a, b *ticket) int {
	return cmp.Or(a.rank.Compare(b.rank), a.since.Compare(b.since),
		strings.Compare(a.key.Namespace, b.key.Namespace), strings.Compare(a.key.Name, b.key.Name))
}

// slotRequest is what an entry asks for.
type slotRequest struct {
	key     types.NamespacedName
	uid     string // of the trigger
	trigger types.NamespacedName
	most    int // of the trigger
	since   time.Time
	rank    lifecycle.Rank
}

func newRunQueue(most int, wake func(types.NamespacedName)) *runQueue {
	return &runQueue{wake: wake, most: most, tenants: map[string]*tenant{}, tickets: map[types.NamespacedName]*ticket{}}
}

// update changes the queue, grants what can be granted, and wakes the entries that were
// granted a slot, but for the one that asks.
func (q *runQueue) update(asking types.NamespacedName, change func()) {
	for _, key := range q.changeAndGrant(asking, change) {
		q.wake(key)
	}
}

func (q *runQueue) changeAndGrant(asking types.NamespacedName, change func()) []types.NamespacedName {
	q.mu.Lock()
	defer q.mu.Unlock()
	change()
	var woken []types.NamespacedName
	for q.used < q.most {
		next := q.next()
		if next == nil {
			break
		}
		t := next.waiting[0]
		q.leave(t)
		q.grant(t)
		if t.key != asking {
			woken = append(woken, t.key)
		}
	}
	return woken
}

// note takes in what the ledger says of an entry. It leaves an older state than the known
// one alone: the watch lags behind what this process writes.
func (q *runQueue) note(e *v1alpha1.ImageVerification) {
	q.update(types.NamespacedName{}, func() {
		key, busy := keyOf(e), underway(e)
		t := q.tickets[key]
		if t == nil && !busy {
			return
		}
		if t == nil {
			t = q.ticket(key, e.Spec.Trigger.UID, types.NamespacedName{Namespace: e.Namespace, Name: e.Spec.Trigger.Name})
		}
		if order, err := resourceversion.CompareResourceVersion(e.ResourceVersion, t.version); err == nil && order < 0 {
			return
		}
		t.version = e.ResourceVersion
		q.change(t, func() {
			t.underway, t.stuck = busy, busy && stuck(e)
			if busy {
				t.granted = false // the ledger has it now
				t.low = lifecycle.Renewal(e.Status.CurrentRun().Cause)
			}
		})
	})
}

// tryNow grants a slot if no other entry goes first. It is not for a run of a low rank.
// Otherwise ask decides, which needs
// the entry's rank.
func (q *runQueue) tryNow(r slotRequest) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.ticket(r.key, r.uid, r.trigger)
	t.tenant.most = r.most
	if t.used() {
		return true
	}
	if q.used < q.most && t.tenant.used < r.most && q.next() == nil {
		q.leave(t) // it may wait for a run of a low rank
		t.rank = r.rank
		q.grant(t)
		return true
	}
	q.drop(t)
	return false
}

// ask grants a slot, or lets the entry wait until it is woken.
func (q *runQueue) ask(r slotRequest) bool {
	granted := false
	q.update(r.key, func() {
		t := q.ticket(r.key, r.uid, r.trigger)
		t.tenant.most = r.most
		if !t.used() && (!t.waiting || t.rank != r.rank) {
			q.leave(t)
			q.join(t, r.rank, r.since)
		}
	})
	q.mu.Lock()
	defer q.mu.Unlock()
	if t := q.tickets[r.key]; t != nil {
		granted = t.used()
	}
	return granted
}

// free gives back what an entry was granted, or waits for.
func (q *runQueue) free(key types.NamespacedName) {
	q.update(types.NamespacedName{}, func() {
		if t := q.tickets[key]; t != nil {
			q.leave(t)
			q.change(t, func() { t.granted = false })
		}
	})
}

// gone forgets an entry that was deleted.
func (q *runQueue) gone(key types.NamespacedName) {
	q.update(types.NamespacedName{}, func() {
		if t := q.tickets[key]; t != nil {
			q.leave(t)
			q.change(t, func() { t.granted, t.underway = false, false })
		}
	})
}

// clear is for a change of leadership: entries that wait, or were granted a slot, ask again.
func (q *runQueue) clear() {
	for _, key := range q.dropGrants() {
		q.wake(key)
	}
}

func (q *runQueue) dropGrants() []types.NamespacedName {
	q.mu.Lock()
	defer q.mu.Unlock()
	var all []types.NamespacedName
	for key, t := range q.tickets {
		if t.waiting || t.granted {
			all = append(all, key)
		}
		q.leave(t)
		q.change(t, func() { t.granted = false })
	}
	return all
}

// depth is how many entries of a trigger wait, and since when the oldest does.
type depth struct {
	trigger  types.NamespacedName
	underway int
	waiting  int
	since    time.Time
}

func (q *runQueue) depths() []depth {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := make([]depth, 0, len(q.tenants))
	for _, tenant := range q.tenants {
		d := depth{trigger: tenant.name, underway: tenant.used, waiting: len(tenant.waiting)}
		for _, t := range tenant.waiting {
			if d.since.IsZero() || t.since.Before(d.since) {
				d.since = t.since
			}
		}
		all = append(all, d)
	}
	return all
}

// full reports whether the bound of all triggers is reached.
func (q *runQueue) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.used >= q.most
}

// next returns the tenant whose round it is, or nil if no entry that waits could be
// granted a slot.
func (q *runQueue) next() *tenant {
	var best *tenant
	for _, t := range q.tenants {
		if len(t.waiting) == 0 || t.used >= t.most || (t.nextIsLow() && !q.roomForLow(t)) {
			continue
		}
		if best == nil || t.before(best) {
			best = t
		}
	}
	return best
}

// before reports whether a tenant's round comes before that of another.
func (t *tenant) before(other *tenant) bool {
	switch {
	case t.nextIsLow() != other.nextIsLow():
		return other.nextIsLow()
	case t.used != other.used:
		return t.used < other.used
	default:
		return t.round < other.round
	}
}

// nextIsLow reports whether all that waits has a low rank: the highest rank waits first.
func (t *tenant) nextIsLow() bool { return t.waiting[0].rank.Low() }

// roomForLow reports whether a tenant may have one more run of a low rank.
func (q *runQueue) roomForLow(t *tenant) bool {
	return t.usedLow < max(t.most/2, 1) && q.usedLow < max(q.most/2, 1)
}

func (q *runQueue) grant(t *ticket) {
	q.change(t, func() { t.granted, t.low = true, t.rank.Low() })
	q.nextRound(t.tenant)
}

// nextRound puts a tenant behind all others with as few runs.
func (q *runQueue) nextRound(t *tenant) {
	q.rounds++
	t.round = q.rounds
}

func (q *runQueue) join(t *ticket, rank lifecycle.Rank, since time.Time) {
	if len(t.tenant.waiting) == 0 {
		q.nextRound(t.tenant)
	}
	t.rank, t.since, t.waiting = rank, since, true
	i, _ := slices.BinarySearchFunc(t.tenant.waiting, t, compareTickets)
	t.tenant.waiting = slices.Insert(t.tenant.waiting, i, t)
}

func (q *runQueue) leave(t *ticket) {
	if !t.waiting {
		return
	}
	if i, found := slices.BinarySearchFunc(t.tenant.waiting, t, compareTickets); found {
		t.tenant.waiting = slices.Delete(t.tenant.waiting, i, i+1)
	}
	t.waiting = false
}

// ticket returns the ticket of an entry, which may be new.
func (q *runQueue) ticket(key types.NamespacedName, uid string, trigger types.NamespacedName) *ticket {
	t := q.tickets[key]
	if t != nil && t.tenant.uid == uid {
		return t
	}
	if t != nil {
		// An entry's trigger never changes: this is another entry of that name.
		q.leave(t)
		q.change(t, func() { t.granted, t.underway = false, false })
	}
	owner := q.tenants[uid]
	if owner == nil {
		owner = &tenant{uid: uid, name: trigger} // a request says how many runs it may have
		q.tenants[uid] = owner
	}
	t = &ticket{key: key, tenant: owner}
	q.tickets[key] = t
	return t
}

// change changes what an entry uses, and counts it.
func (q *runQueue) change(t *ticket, do func()) {
	before, held, low := t.used(), t.held(), t.usedLow()
	do()
	q.used += t.held() - held
	q.usedLow += t.usedLow() - low
	t.tenant.usedLow += t.usedLow() - low
	switch after := t.used(); {
	case after && !before:
		t.tenant.used++
	case before && !after:
		t.tenant.used--
	}
	q.drop(t)
}

// drop forgets a ticket, and a tenant, that say nothing any more.
func (q *runQueue) drop(t *ticket) {
	if t.used() || t.waiting {
		return
	}
	if q.tickets[t.key] == t {
		delete(q.tickets, t.key)
	}
	if t.tenant.used == 0 && len(t.tenant.waiting) == 0 {
		delete(q.tenants, t.tenant.uid)
	}
}
