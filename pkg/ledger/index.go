package ledger

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/tools/cache"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/push"
)

// ownWriteTrust is how long a write of this process counts before the watch has
// shown it. It outlasts a watch that lags, and bounds how long an entry that
// was deleted before the watch ever showed it covers anything.
const ownWriteTrust = time.Minute

// Index is what the ledger covers, by trigger and repository. It keeps a few
// hundred bytes of an entry and nothing of the object. It is safe for
// concurrent use.
type Index struct {
	now func() time.Time

	mu      sync.RWMutex
	synced  bool
	entries map[indexKey][]record // by digest
}

type indexKey struct {
	triggerUID string
	repository push.Repository
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

// Handler feeds the index; add it to an informer of ImageVerifications, where
// there is one. Until its registration has synced the index is incomplete.
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
		x.put(keyOf(entry), newRecord(entry))
	}
}

// ownWrite makes a write count before the watch shows it.
func (x *Index) ownWrite(entry *v1alpha1.ImageVerification) {
	r := newRecord(entry)
	r.written = x.now().UnixNano()
	x.put(keyOf(entry), r)
}

func keyOf(entry *v1alpha1.ImageVerification) indexKey {
	return indexKey{triggerUID: entry.Spec.Trigger.UID, repository: RepositoryOf(entry)}
}

// put replaces an older state of the same entry. The slice is copied, so that a
// snapshot can be read without the lock.
func (x *Index) put(key indexKey, r record) {
	x.mu.Lock()
	defer x.mu.Unlock()
	records, known := x.entries[key]
	if !known {
		key = key.compact()
	}
	i, found := slices.BinarySearchFunc(records, r.digest, byDigest)
	if !found {
		x.entries[key] = slices.Insert(slices.Clip(records), i, r)
		return
	}
	if have := records[i]; have.outlives(r) {
		return
	}
	records = slices.Clone(records)
	records[i] = r
	x.entries[key] = records
}

// outlives reports whether what is known of an entry stays when told comes.
//
// An own write stays until the watch has caught up with it. What the watch has
// shown stays too when the reply to the own write comes after it, as it mostly
// does, or the own write is of an incarnation that is gone: it would else count
// as unconfirmed, and nothing would come to confirm it.
func (r record) outlives(told record) bool {
	if told.written == 0 {
		return r.uid == told.uid && newer(r.version, told.version)
	}
	return newer(r.version, told.version) ||
		(r.written == 0 && r.uid == told.uid && !newer(told.version, r.version))
}

// newer reports whether a is a later resourceVersion than b of the same object.
func newer(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && order > 0
}

// forget removes an entry, but not one of the same identity that was made since.
func (x *Index) forget(entry *v1alpha1.ImageVerification) {
	key, gone := keyOf(entry), newRecord(entry)
	x.mu.Lock()
	defer x.mu.Unlock()
	records := x.entries[key]
	i, found := slices.BinarySearchFunc(records, gone.digest, byDigest)
	if !found || (gone.uid != "" && records[i].uid != gone.uid) {
		return
	}
	if len(records) == 1 {
		delete(x.entries, key)
		return
	}
	x.entries[key] = slices.Delete(slices.Clone(records), i, i+1)
}

// repositories returns those of a trigger, in no order.
func (x *Index) repositories(triggerUID string) []push.Repository {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var all []push.Repository
	for key := range x.entries {
		if key.triggerUID == triggerUID {
			all = append(all, key.repository)
		}
	}
	return all
}

// known returns a snapshot of what covers a trigger and repository.
func (x *Index) known(triggerUID string, r push.Repository) known {
	x.mu.RLock()
	records := x.entries[indexKey{triggerUID, r}]
	x.mu.RUnlock()
	for i := range records {
		if x.expired(records[i]) {
			records = slices.DeleteFunc(slices.Clone(records), x.expired)
			break
		}
	}
	return known{kind: r.Kind, records: records}
}

func (x *Index) expired(r record) bool {
	return r.written != 0 && x.now().Sub(time.Unix(0, r.written)) > ownWriteTrust
}

// Store feeds the index from a reflector, without an informer and its store of
// whole objects. It is what the receiver uses.
func (x *Index) Store() cache.TransformingStore { return indexStore{x} }

// Synced reports whether a reflector has listed all that there was.
func (x *Index) Synced() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.synced
}

type indexStore struct{ x *Index }

func (s indexStore) Add(obj any) error    { s.x.observe(obj); return nil }
func (s indexStore) Update(obj any) error { s.x.observe(obj); return nil }
func (s indexStore) Resync() error        { return nil }

func (s indexStore) Delete(obj any) error {
	s.x.Handler().OnDelete(obj)
	return nil
}

// Replace takes a whole list: after a gap in the watch, what is not in it is
// gone, except what this process wrote just now.
func (s indexStore) Replace(list []any, _ string) error {
	fresh := NewIndex(s.x.now)
	for _, obj := range list {
		if _, ok := obj.(*v1alpha1.ImageVerification); !ok {
			return fmt.Errorf("the ledger's index was given a %T", obj)
		}
		fresh.observe(obj)
	}
	s.x.mu.Lock()
	defer s.x.mu.Unlock()
	for key, records := range s.x.entries {
		for _, r := range records {
			if r.written != 0 && !s.x.expired(r) {
				fresh.put(key, r)
			}
		}
	}
	s.x.entries, s.x.synced = fresh.entries, true
	return nil
}

// Transformer makes what a list holds before Replace small.
func (s indexStore) Transformer() cache.TransformFunc { return trim }

// trim drops what the index does not read.
func trim(obj any) (any, error) {
	entry, ok := obj.(*v1alpha1.ImageVerification)
	if !ok {
		return obj, nil
	}
	entry.ManagedFields, entry.Labels, entry.Annotations = nil, nil, nil
	entry.Status = v1alpha1.ImageVerificationStatus{Tags: entry.Status.Tags}
	return entry, nil
}
