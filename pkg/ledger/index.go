package ledger

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unique"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/push"
)

// ownWriteTrust is how long a write of this process counts before the watch has shown it.
// It outlasts a watch that lags, and bounds how long an entry covers a push that was
// deleted before the watch showed it.
const ownWriteTrust = time.Minute

// Index is what the ledger covers, by trigger and repository. It keeps a few hundred bytes
// of an entry. Of the object it keeps only what this process wrote and the watch has not
// shown. It is safe for concurrent use.
type Index struct {
	now func() time.Time

	mu     sync.Mutex
	synced bool
	// repos are by the trigger's UID, and then by repository.
	repos map[string]map[push.Repository]*repository
	// written are entries as this process wrote their status, until the watch has caught up.
	written map[types.NamespacedName]*v1alpha1.ImageVerification
}

type indexKey struct {
	triggerUID string
	repository push.Repository
}

// NewIndex returns an empty index.
func NewIndex(now func() time.Time) *Index {
	return &Index{
		now: now, repos: map[string]map[push.Repository]*repository{},
		written: map[types.NamespacedName]*v1alpha1.ImageVerification{},
	}
}

// Len returns how many repositories there are, counted for each trigger.
func (x *Index) Len() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := 0
	for _, of := range x.repos {
		n += len(of)
	}
	return n
}

// at returns what there is of a trigger and repository, or nil.
func (x *Index) at(key indexKey) *repository { return x.repos[key.triggerUID][key.repository] }

// make is at, and makes what is not there.
func (x *Index) make(key indexKey) *repository {
	if repo := x.at(key); repo != nil {
		return repo
	}
	key = key.interned()
	of := x.repos[key.triggerUID]
	if of == nil {
		of = map[push.Repository]*repository{}
		x.repos[key.triggerUID] = of
	}
	repo := &repository{}
	of[key.repository] = repo
	return repo
}

// drop removes a repository of which there are no records.
func (x *Index) drop(key indexKey) {
	of := x.repos[key.triggerUID]
	delete(of, key.repository)
	if len(of) == 0 {
		delete(x.repos, key.triggerUID)
	}
}

// Handler feeds the index from an informer of ImageVerifications. The index is incomplete
// until the registration has synced.
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
	entry, ok := obj.(*v1alpha1.ImageVerification)
	if !ok {
		return
	}
	r := newRecord(entry) // before the lock: a record of many tags holds nobody up
	x.mu.Lock()
	defer x.mu.Unlock()
	x.put(keyOf(entry), r)
	name := client.ObjectKeyFromObject(entry)
	if own := x.written[name]; own != nil && !supersedes(own, entry) {
		delete(x.written, name)
	}
}

// ownWrite makes a write count before the watch shows it.
func (x *Index) ownWrite(entry *v1alpha1.ImageVerification) {
	r := newRecord(entry)
	r.written = x.now().UnixNano()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.put(keyOf(entry), r)
}

// ownStatus is ownWrite for the controller, which decides from what it wrote last.
func (x *Index) ownStatus(entry *v1alpha1.ImageVerification) {
	x.ownWrite(entry)
	x.mu.Lock()
	defer x.mu.Unlock()
	name := client.ObjectKeyFromObject(entry)
	if have := x.written[name]; have == nil || supersedes(entry, have) {
		x.written[name] = entry
	}
}

// forgetWrite drops what this process wrote of an entry, because somebody else has
// written it since.
func (x *Index) forgetWrite(entry *v1alpha1.ImageVerification) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.written, client.ObjectKeyFromObject(entry))
}

// supersedes reports whether own is a later state of the same entry than other.
func supersedes(own, other *v1alpha1.ImageVerification) bool {
	return own.UID == other.UID && newer(own.ResourceVersion, other.ResourceVersion)
}

func keyOf(entry *v1alpha1.ImageVerification) indexKey {
	return indexKey{triggerUID: entry.Spec.Trigger.UID, repository: RepositoryOf(entry)}
}

// put replaces an older state of the same entry. One without any push covers nothing, and
// whoever may create such entries must not change what the index says.
func (x *Index) put(key indexKey, r record) {
	if len(r.tags) == 0 {
		return
	}
	repo := x.make(key)
	repo.expire(x.now())
	if have := repo.find(r.digest); have == nil || !have.outlives(r) {
		repo.set(r)
	}
}

// outlives reports whether the known state of an entry stays when another one comes.
//
// An own write stays until the watch has caught up with it. What the watch has shown
// stays too when the reply to the own write comes after it, as it mostly does, or when
// the own write is of an incarnation that is gone: it would count as unconfirmed, and
// nothing would confirm it.
func (r record) outlives(other record) bool {
	if other.written == 0 {
		return r.uid == other.uid && newer(r.version, other.version)
	}
	return newer(r.version, other.version) ||
		(r.written == 0 && r.uid == other.uid && !newer(other.version, r.version))
}

// newer reports whether a is a later resourceVersion than b of the same object.
func newer(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && order > 0
}

// forget removes an entry, but not a later one of the same identity.
func (x *Index) forget(entry *v1alpha1.ImageVerification) {
	key, gone := keyOf(entry), newRecord(entry)
	x.mu.Lock()
	defer x.mu.Unlock()
	if own := x.written[client.ObjectKeyFromObject(entry)]; own != nil && (entry.UID == "" || own.UID == entry.UID) {
		delete(x.written, client.ObjectKeyFromObject(entry))
	}
	repo := x.at(key)
	if repo == nil {
		return
	}
	if have := repo.find(gone.digest); have == nil || (gone.uid != "" && have.uid != gone.uid) {
		return
	}
	repo.remove(gone.digest)
	if len(repo.records) == 0 {
		x.drop(key)
	}
}

// repositories returns those of a trigger, in no order.
func (x *Index) repositories(triggerUID string) []push.Repository {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Collect(maps.Keys(x.repos[triggerUID]))
}

// known returns what covers a trigger and repository.
func (x *Index) known(triggerUID string, r push.Repository) known {
	return known{index: x, key: indexKey{triggerUID, r}}
}

// ask runs a question about a repository. Own writes that the watch has not shown in time
// do not count.
func (x *Index) ask(key indexKey, question func(*repository)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	repo := x.at(key)
	if repo == nil {
		return
	}
	repo.expire(x.now())
	if len(repo.records) == 0 {
		x.drop(key)
		return
	}
	question(repo)
}

// Store feeds the index from a reflector, without an informer and its store of whole
// objects. The receiver uses it.
func (x *Index) Store() cache.TransformingStore { return indexStore{x} }

// Synced reports whether a reflector has listed all that there was.
func (x *Index) Synced() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
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

// Replace takes a whole list: after a gap in the watch, what is not in it is gone, except
// what this process wrote just now.
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
	for uid, of := range s.x.repos {
		for r, repo := range of {
			repo.expire(s.x.now())
			for _, own := range repo.own {
				if have := repo.find(own.digest); have != nil && have.written == own.written {
					fresh.put(indexKey{uid, r}, *have)
				}
			}
		}
	}
	s.x.repos, s.x.synced = fresh.repos, true
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
	entry.Status = v1alpha1.ImageVerificationStatus{Tags: entry.Status.Tags, MoreTags: entry.Status.MoreTags}
	return entry, nil
}

// interned gives a key strings of its own, instead of parts of an object's.
func (k indexKey) interned() indexKey {
	k.triggerUID = unique.Make(k.triggerUID).Value()
	s := join(k.repository.Name, k.repository.UID)
	k.repository.Name, k.repository.UID = s[0], s[1]
	return k
}

// join copies strings into one allocation.
func join(parts ...string) []string {
	all := strings.Join(parts, "")
	for i, p := range parts {
		parts[i], all = all[:len(p)], all[len(p):]
	}
	return parts
}
