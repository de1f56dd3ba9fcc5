package ledger

import (
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/tools/cache"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
)

// ownWriteTrust is how long a write of this process counts before the watch has
// shown it. It outlasts a watch that lags, and bounds how long an entry that
// was deleted before the watch ever showed it covers anything.
const ownWriteTrust = time.Minute

// Index is what the ledger holds, by trigger and repository. It is safe for
// concurrent use, and shares the objects it is given: nobody may change them.
type Index struct {
	now func() time.Time

	mu      sync.RWMutex
	entries map[indexKey][]record
}

type indexKey struct {
	triggerUID string
	repository push.Repository
}

// record is an entry; written is zero for one that the watch has shown.
type record struct {
	entry   *v1alpha1.ImageVerification
	written time.Time
}

// NewIndex returns an empty index.
func NewIndex(now func() time.Time) *Index {
	return &Index{now: now, entries: map[indexKey][]record{}}
}

// Len returns how many repositories there are, counted for each trigger.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.entries)
}

// Handler feeds the index; add it to an informer of ImageVerifications. Until
// its registration has synced the index is incomplete.
func (x *Index) Handler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { x.observe(obj) },
		UpdateFunc: func(_, obj any) { x.observe(obj) },
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			if entry, ok := obj.(*v1alpha1.ImageVerification); ok {
				x.forget(entry)
			}
		},
	}
}

func (x *Index) observe(obj any) {
	if entry, ok := obj.(*v1alpha1.ImageVerification); ok {
		x.put(record{entry: entry})
	}
}

// ownWrite makes a write count before the watch shows it.
func (x *Index) ownWrite(entry *v1alpha1.ImageVerification) {
	x.put(record{entry: slim(entry), written: x.now()})
}

func keyOf(entry *v1alpha1.ImageVerification) indexKey {
	return indexKey{triggerUID: entry.Spec.Trigger.UID, repository: RepositoryOf(entry)}
}

func byDigest(r record, digest string) int { return strings.Compare(r.entry.Spec.Digest, digest) }

// put replaces an older state of the same entry. The slice is copied, so that a
// snapshot can be read without the lock.
func (x *Index) put(r record) {
	key := keyOf(r.entry)
	x.mu.Lock()
	defer x.mu.Unlock()
	records := x.entries[key]
	i, found := slices.BinarySearchFunc(records, r.entry.Spec.Digest, byDigest)
	if !found {
		x.entries[key] = slices.Insert(slices.Clip(records), i, r)
		return
	}
	// An own write stays until the watch has caught up with it.
	if have := records[i].entry; have.UID == r.entry.UID && newer(have, r.entry) {
		return
	}
	records = slices.Clone(records)
	records[i] = r
	x.entries[key] = records
}

// newer reports whether a is a later state than b of the same object.
func newer(a, b *v1alpha1.ImageVerification) bool {
	order, err := resourceversion.CompareResourceVersion(a.ResourceVersion, b.ResourceVersion)
	return err == nil && order > 0
}

// forget removes an entry, but not one of the same identity that was made since.
func (x *Index) forget(entry *v1alpha1.ImageVerification) {
	key := keyOf(entry)
	x.mu.Lock()
	defer x.mu.Unlock()
	records := x.entries[key]
	i, found := slices.BinarySearchFunc(records, entry.Spec.Digest, byDigest)
	if !found || (entry.UID != "" && records[i].entry.UID != entry.UID) {
		return
	}
	if len(records) == 1 {
		delete(x.entries, key)
		return
	}
	x.entries[key] = slices.Delete(slices.Clone(records), i, i+1)
}

// snapshot returns the entries of a trigger and repository that count.
func (x *Index) snapshot(triggerUID string, r push.Repository) []record {
	x.mu.RLock()
	records := x.entries[indexKey{triggerUID, r}]
	x.mu.RUnlock()
	for i := range records {
		if x.expired(records[i]) {
			return slices.DeleteFunc(slices.Clone(records), x.expired)
		}
	}
	return records
}

func (x *Index) expired(r record) bool {
	return !r.written.IsZero() && x.now().Sub(r.written) > ownWriteTrust
}

func (x *Index) known(triggerUID string, r push.Repository) known {
	return known{kind: r.Kind, records: x.snapshot(triggerUID, r)}
}

func (x *Index) has(triggerUID string, r push.Repository, d image.Digest) bool {
	return x.known(triggerUID, r).entry(d.String()) != nil
}

// nextSequence returns the sequence of the next push of a tag; or the entry
// that covers the digest, which is then what the tag is known to point to.
func (x *Index) nextSequence(triggerUID string, r push.Repository, tag string, d image.Digest) (int64, *v1alpha1.ImageVerification) {
	k := x.known(triggerUID, r)
	newest, at := k.newest(tag)
	if len(at) == 1 && at[0].Spec.Digest == d.String() {
		return 0, at[0]
	}
	return newest + 1, nil
}
