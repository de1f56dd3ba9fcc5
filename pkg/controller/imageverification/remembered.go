package imageverification

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/lifecycle"
)

// What a process remembers between two passes. All of it may be lost: it saves requests,
// and nothing is right only because of it. It holds at most one value for each entry or
// trigger, and forgets those that are deleted.

// remembered keeps one value for each entry.
type remembered[V any] struct {
	mu     sync.Mutex
	values map[types.NamespacedName]V
}

func newRemembered[V any]() *remembered[V] {
	return &remembered[V]{values: map[types.NamespacedName]V{}}
}

func (r *remembered[V]) get(key types.NamespacedName) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.values[key]
	return v, ok
}

func (r *remembered[V]) set(key types.NamespacedName, v V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.values[key] = v
}

// first returns what is remembered of an entry, which is v if there was nothing.
func (r *remembered[V]) first(key types.NamespacedName, v V) V {
	r.mu.Lock()
	defer r.mu.Unlock()
	if had, ok := r.values[key]; ok {
		return had
	}
	r.values[key] = v
	return v
}

func (r *remembered[V]) drop(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.values, key)
}

func (r *remembered[V]) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.values)
}

func (r *remembered[V]) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.values)
}

// perEntry is what is remembered of each entry.
type perEntry struct {
	// sent are requests that were sent and are not recorded. Without them the same
	// requests would be sent again, for nothing.
	sent *remembered[lifecycle.Sent]
	// podsStarted are runs whose Pods were inspected, and had started.
	podsStarted *remembered[string]
	// unreadable is the time since when an entry's image cannot be read.
	unreadable *remembered[time.Time]
}

func newPerEntry() perEntry {
	return perEntry{sent: newRemembered[lifecycle.Sent](), podsStarted: newRemembered[string](), unreadable: newRemembered[time.Time]()}
}

// drop forgets an entry that is gone, was skipped, or whose run has ended.
func (p perEntry) drop(key types.NamespacedName) {
	p.sent.drop(key)
	p.podsStarted.drop(key)
	p.unreadable.drop(key)
}

// clear forgets all: after a change of leadership, what another leader wrote is newer.
func (p perEntry) clear() {
	p.sent.clear()
	p.podsStarted.clear()
	p.unreadable.clear()
}

// sinkBackoff keeps until when the sink of a trigger asked for no requests, by the
// trigger's UID.
type sinkBackoff struct {
	mu    sync.Mutex
	until map[types.UID]time.Time
}

func newSinkBackoff() *sinkBackoff { return &sinkBackoff{until: map[types.UID]time.Time{}} }

// extend leaves a sink alone until the latest time that it asked for.
func (b *sinkBackoff) extend(trigger types.UID, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if until.After(b.until[trigger]) {
		b.until[trigger] = until
	}
}

// of returns until when a trigger's sink is left alone, or zero if it is not.
func (b *sinkBackoff) of(trigger types.UID, now time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	until, ok := b.until[trigger]
	if ok && !now.Before(until) {
		delete(b.until, trigger)
		return time.Time{}
	}
	return until
}

func (b *sinkBackoff) drop(trigger types.UID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.until, trigger)
}

func (b *sinkBackoff) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.until)
}

func (b *sinkBackoff) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.until)
}

// maxDeletions bounds how many deleted entries are remembered.
const maxDeletions = 4096

// deletions keeps the UIDs of the latest entries that this process saw deleted, by their
// name. A name says which trigger, repository and digest the entry was of, so that a new
// entry of that name is the same push recorded again. A process that starts later does
// not know, and takes it for a push.
type deletions struct {
	mu   sync.Mutex
	uids map[types.NamespacedName]types.UID
	// order is a ring of their names, oldest at next once it is full.
	order []types.NamespacedName
	next  int
}

func newDeletions() *deletions { return &deletions{uids: map[types.NamespacedName]types.UID{}} }

func (d *deletions) add(key types.NamespacedName, uid types.UID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, known := d.uids[key]
	d.uids[key] = uid
	switch {
	case known:
	case len(d.order) < maxDeletions:
		d.order = append(d.order, key)
	default:
		delete(d.uids, d.order[d.next])
		d.order[d.next] = key
		d.next = (d.next + 1) % maxDeletions
	}
}

// before returns the UID of the deleted entry that another one of its name replaces, or ""
// if none is known.
func (d *deletions) before(key types.NamespacedName, uid types.UID) types.UID {
	d.mu.Lock()
	defer d.mu.Unlock()
	if was := d.uids[key]; was != uid {
		return was
	}
	return ""
}
