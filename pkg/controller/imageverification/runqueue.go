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
// The class of a run's cause goes first, across all namespaces (lifecycle.Rank); within it
// the namespace with the fewest runs under way, and of those with as few the one that has
// waited longest for its round; within a namespace the trigger, by the same rule; within a
// trigger all of lifecycle.Rank. So no namespace and no trigger starves among causes of one
// class. A lower class does while others' steady pushes take all slots: a retry, or what
// somebody asked for, then waits for a gap, in its own namespace too. Each of several leaders counts its own
// grants, so that they can exceed a bound by what they grant at the same moment. Runs that
// appear late can exceed the bound of all triggers too.
//
// Runs of a low rank get a slot only if nothing else waits that could have it, and never
// more than half of a bound, or one, so that what comes next finds a free one.
type runQueue struct {
	wake func(types.NamespacedName)
	now  func() time.Time
	runLimits

	mu      sync.Mutex
	used    int // of the bound of all triggers
	usedLow int // of these, by runs of a low rank
	rounds  int
	// expires is when the next run may have taken too long; zero is never.
	expires time.Time
	spaces  map[string]*space  // by namespace
	tenants map[string]*tenant // by trigger UID
	tickets map[types.NamespacedName]*ticket
	owners  owners
}

// tenant is a trigger's share of the queue.
type tenant struct {
	uid     string
	name    types.NamespacedName
	space   *space
	most    int
	used    int
	usedLow int // of these, by runs of a low rank
	overdue int // of these, by runs that have taken too long
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
	// until is how long the run that is under way holds a slot of the bound of all
	// triggers, and overdue that it has been under way for longer.
	until   time.Time
	overdue bool
	version string
	granted bool
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
// triggers. So does a run that takes longer than the operator's limit.
func (t *ticket) held() int {
	if t.granted || (t.underway && !t.stuck && !t.overdue) {
		return 1
	}
	return 0
}

// heldLow is what of that a run of a low rank holds.
func (t *ticket) heldLow() int {
	if t.low {
		return t.held()
	}
	return 0
}

func (t *ticket) isOverdue() int {
	if t.underway && t.overdue {
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

func newRunQueue(limits runLimits, now func() time.Time, wake func(types.NamespacedName)) *runQueue {
	return &runQueue{
		wake: wake, now: now, runLimits: limits, spaces: map[string]*space{}, tenants: map[string]*tenant{},
		tickets: map[types.NamespacedName]*ticket{}, owners: newOwners(),
	}
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
	q.expire()
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
				run := e.Status.CurrentRun()
				t.granted = false // the ledger has it now
				t.low = lifecycle.Renewal(run.Cause)
				q.follow(t, run.RequestedAt.Time)
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
	q.expire()
	t := q.ticket(r.key, r.uid, r.trigger)
	t.tenant.most = r.most
	if t.used() {
		return true
	}
	if q.used < q.most && t.tenant.used < r.most && q.hasRoom(t.tenant.space) && q.next() == nil {
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
	overdue  int
	waiting  int
	since    time.Time
}

func (q *runQueue) depths() []depth {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.expire()
	all := make([]depth, 0, len(q.tenants))
	for _, tenant := range q.tenants {
		d := depth{trigger: tenant.name, underway: tenant.used, overdue: tenant.overdue, waiting: len(tenant.waiting)}
		for _, t := range tenant.waiting {
			if d.since.IsZero() || t.since.Before(d.since) {
				d.since = t.since
			}
		}
		all = append(all, d)
	}
	return all
}

func (q *runQueue) grant(t *ticket) {
	q.change(t, func() { t.granted, t.low = true, t.rank.Low() })
	t.tenant.round, t.tenant.space.round = q.nextRound(), q.nextRound()
}

func (q *runQueue) join(t *ticket, rank lifecycle.Rank, since time.Time) {
	if len(t.tenant.waiting) == 0 {
		t.tenant.round = q.nextRound()
	}
	if t.tenant.space.waiting == 0 {
		t.tenant.space.round = q.nextRound()
	}
	t.tenant.space.waiting++
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
	t.tenant.space.waiting--
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
		owner = &tenant{uid: uid, name: trigger, space: q.space(key.Namespace)} // a request says how many runs it may have
		owner.space.tenants[owner] = struct{}{}
		q.tenants[uid] = owner
	}
	t = &ticket{key: key, tenant: owner}
	q.tickets[key] = t
	return t
}

// change changes what an entry uses, and counts it.
func (q *runQueue) change(t *ticket, do func()) {
	tenant, space := t.tenant, t.tenant.space
	before, held, low, heldLow, overdue := t.used(), t.held(), t.usedLow(), t.heldLow(), t.isOverdue()
	do()
	q.used += t.held() - held
	space.held += t.held() - held
	q.usedLow += t.heldLow() - heldLow
	space.heldLow += t.heldLow() - heldLow
	tenant.usedLow += t.usedLow() - low
	tenant.overdue += t.isOverdue() - overdue
	switch after := t.used(); {
	case after && !before:
		tenant.used++
		space.used++
	case before && !after:
		tenant.used--
		space.used--
	}
	q.drop(t)
}

// drop forgets a ticket, a tenant and a namespace that say nothing any more.
func (q *runQueue) drop(t *ticket) {
	if t.used() || t.waiting {
		return
	}
	if q.tickets[t.key] == t {
		delete(q.tickets, t.key)
	}
	if t.tenant.used == 0 && len(t.tenant.waiting) == 0 {
		delete(q.tenants, t.tenant.uid)
		delete(t.tenant.space.tenants, t.tenant)
		if len(t.tenant.space.tenants) == 0 {
			delete(q.spaces, t.tenant.space.name)
		}
	}
}
