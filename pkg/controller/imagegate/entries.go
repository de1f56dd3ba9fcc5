package imagegate

import (
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
)

// entries finds what the ledger says of a digest. It indexes only entries of triggers that
// some gate trusts, and of these only what a gate judges by, which it shares with the cache.
type entries struct {
	mu sync.RWMutex
	// trusted are the triggers that some gate trusts.
	trusted map[v1alpha1.TrustedTrigger]bool
	// triggers are those that exist, with their UIDs.
	triggers map[v1alpha1.TrustedTrigger]types.UID
	byKey    map[types.NamespacedName]*entryRecord
	// byDigest has the digests as 64 hexadecimal digits.
	byDigest map[string][]reference
}

// entryRecord is what gates judge an entry by.
type entryRecord struct {
	key        types.NamespacedName
	trigger    v1alpha1.TrustedTrigger
	triggerUID types.UID
	digest     string
	// says is what it says of its own digest, as far as it tells by itself.
	says     gate.Evidence
	children []v1alpha1.ChildImage

	// repository and pushes say what tags stand for.
	repository v1alpha1.RepositoryReference
	firstPush  v1alpha1.PushRecord
	tags       []v1alpha1.TagStatus
	moreTags   *v1alpha1.MoreTags
	noImage    bool
}

func newRecord(e *v1alpha1.ImageVerification) *entryRecord {
	return &entryRecord{
		key: client.ObjectKeyFromObject(e), trigger: triggerOf(e), triggerUID: types.UID(e.Spec.Trigger.UID),
		digest: e.Spec.Digest, says: gate.EvidenceBy(e), children: gate.ChildrenOf(e),
		repository: e.Spec.Repository, firstPush: e.Spec.FirstPush, tags: e.Status.Tags, moreTags: e.Status.MoreTags,
		noImage: e.IsNoImage(),
	}
}

// same reports whether two states of an entry say the same to every gate.
func (r *entryRecord) same(o *entryRecord) bool {
	return r.trigger == o.trigger && r.triggerUID == o.triggerUID && r.digest == o.digest &&
		slices.Equal(r.children, o.children) && equality.Semantic.DeepEqual(r.says, o.says) &&
		equality.Semantic.DeepEqual(r.tags, o.tags) &&
		equality.Semantic.DeepEqual(r.moreTags, o.moreTags) && r.noImage == o.noImage
}

// reference is a place in which an entry speaks of a digest.
type reference struct {
	*entryRecord
	// child is nil for the entry's own digest.
	child *v1alpha1.ChildImage
}

func newEntries() *entries {
	return &entries{
		trusted:  map[v1alpha1.TrustedTrigger]bool{},
		triggers: map[v1alpha1.TrustedTrigger]types.UID{},
		byKey:    map[types.NamespacedName]*entryRecord{},
		byDigest: map[string][]reference{},
	}
}

func triggerOf(e *v1alpha1.ImageVerification) v1alpha1.TrustedTrigger {
	return v1alpha1.TrustedTrigger{Namespace: e.Namespace, Trigger: e.Spec.Trigger.Name}
}

// hexOf returns the 64 hexadecimal digits of a digest, or "" for what is none.
func hexOf(digest string) string {
	hex, ok := strings.CutPrefix(digest, "sha256:")
	if !ok || len(hex) != 64 {
		return ""
	}
	return hex
}

// trust sets which triggers are trusted, and reads the entries of the ledger if there are
// new ones.
func (x *entries) trust(trusted map[v1alpha1.TrustedTrigger]bool, list func() ([]v1alpha1.ImageVerification, error)) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	more := false
	for t := range trusted {
		more = more || !x.trusted[t]
	}
	if !more {
		return nil
	}
	all, err := list()
	if err != nil {
		return err
	}
	x.trusted = trusted
	clear(x.byKey)
	clear(x.byDigest)
	for i := range all {
		if trusted[triggerOf(&all[i])] {
			x.add(newRecord(&all[i]))
		}
	}
	return nil
}

// forgetAll empties the index, as this process leads no gate any more.
func (x *entries) forgetAll() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.trusted = map[v1alpha1.TrustedTrigger]bool{}
	x.byKey = map[types.NamespacedName]*entryRecord{}
	x.byDigest = map[string][]reference{}
}

// set notes an entry, and returns the digests of which it says something else now. Gone is
// true if the entry was deleted.
func (x *entries) set(e *v1alpha1.ImageVerification, gone bool) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.trusted[triggerOf(e)] {
		return nil
	}
	r := newRecord(e)
	before := x.byKey[r.key]
	var touched []string
	if before != nil {
		touched = x.remove(before)
	}
	if !gone {
		touched = append(touched, x.add(r)...)
	}
	if before != nil && !gone && before.same(r) {
		return nil
	}
	return touched
}

func (x *entries) add(r *entryRecord) []string {
	x.byKey[r.key] = r
	var touched []string
	put := func(digest string, child *v1alpha1.ChildImage) {
		if hex := hexOf(digest); hex != "" {
			x.byDigest[hex] = append(x.byDigest[hex], reference{r, child})
			touched = append(touched, hex)
		}
	}
	put(r.digest, nil)
	for i := range r.children {
		put(r.children[i].Digest, &r.children[i])
	}
	return touched
}

func (x *entries) remove(r *entryRecord) []string {
	delete(x.byKey, r.key)
	var touched []string
	drop := func(digest string) {
		hex := hexOf(digest)
		if hex == "" {
			return
		}
		touched = append(touched, hex)
		kept := slices.DeleteFunc(slices.Clone(x.byDigest[hex]), func(o reference) bool { return o.entryRecord == r })
		if len(kept) == 0 {
			delete(x.byDigest, hex)
		} else {
			x.byDigest[hex] = kept
		}
	}
	drop(r.digest)
	for i := range r.children {
		drop(r.children[i].Digest)
	}
	return touched
}

// evidence returns what the entries say of a digest.
func (x *entries) evidence(hex string) []gate.Evidence {
	x.mu.RLock()
	defer x.mu.RUnlock()
	references := x.byDigest[hex]
	all := make([]gate.Evidence, 0, len(references))
	for _, r := range references {
		said := r.says
		said.Earlier, said.Child = x.triggers[r.trigger] != r.triggerUID, r.child
		all = append(all, said)
	}
	return all
}

// pushes returns what the entries of triggers that the rules trust say of tags.
func (x *entries) pushes(rules gate.Rules) []gate.TagPush {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var all []gate.TagPush
	for _, r := range x.byKey {
		e := v1alpha1.ImageVerification{
			Spec: v1alpha1.ImageVerificationSpec{
				Trigger:    v1alpha1.TriggerReference{Name: r.trigger.Trigger, UID: string(r.triggerUID)},
				Repository: r.repository, Digest: r.digest, FirstPush: r.firstPush,
			},
			Status: v1alpha1.ImageVerificationStatus{Phase: r.says.Phase, Tags: r.tags, MoreTags: r.moreTags},
		}
		e.Namespace, e.Name = r.key.Namespace, r.key.Name
		if r.noImage {
			e.Status.Reason = v1alpha1.ReasonNotAnImage
		}
		all = append(all, rules.TagPushes(&e)...)
	}
	return all
}

// digests returns all digests that the entries speak of.
func (x *entries) digests() []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	all := make([]string, 0, len(x.byDigest))
	for hex := range x.byDigest {
		all = append(all, hex)
	}
	return all
}

// setTrigger notes a trigger, and reports whether it is another one now.
func (x *entries) setTrigger(t *v1alpha1.ImageTrigger, gone bool) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	key := v1alpha1.TrustedTrigger{Namespace: t.Namespace, Trigger: t.Name}
	before := x.triggers[key]
	if gone {
		delete(x.triggers, key)
		return before != ""
	}
	x.triggers[key] = t.UID
	return before != t.UID
}

// exists reports whether a trigger exists.
func (x *entries) exists(t v1alpha1.TrustedTrigger) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.triggers[t] != ""
}
