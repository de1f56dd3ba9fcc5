package model_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/ledger"
)

var (
	entryResource = schema.GroupResource{Group: "revet.dev", Resource: "imageverifications"}
	errAway       = errors.New("the API server does not answer")
)

// fault is how the storage treats a write.
type fault int

const (
	noFault   fault = iota
	refused         // it is not done
	replyLost       // it is done, and nobody learns of it
)

// storage is what the API server keeps of the ledger, for one namespace. The
// fake client of controller-runtime does this too, and would take minutes for
// ten thousand histories.
type storage struct {
	client.Client // nil: a request that is not below is a mistake

	entries map[string]*v1alpha1.ImageVerification
	version int
	uids    int
	watches []*watch
	// writes counts what was asked, faults what was treated badly.
	writes, faults int
	// next is how the next write is treated.
	next fault
	// intruder runs once, before the next write.
	intruder func()
	// fast watches show a write before its reply arrives, as the real ones mostly do.
	fast bool
	// violation is the first write that undid what was recorded, or "".
	violation string
	// careless storage takes a write against an old version.
	careless bool
	// bounds are those of all who write.
	bounds ledger.Bounds
}

func newStorage(b ledger.Bounds) *storage {
	return &storage{entries: map[string]*v1alpha1.ImageVerification{}, bounds: b}
}

// names are the entries' in order.
func (s *storage) names() []string { return slices.Sorted(maps.Keys(s.entries)) }

// write counts a write and tells what becomes of it.
func (s *storage) write() fault {
	if intruder := s.intruder; intruder != nil {
		s.intruder = nil
		intruder()
	}
	s.writes++
	f := s.next
	s.next = noFault
	if f != noFault {
		s.faults++
	}
	return f
}

// Create takes no status, as the API server does.
func (s *storage) Create(_ context.Context, obj client.Object, _ ...client.CreateOption) error {
	entry := obj.(*v1alpha1.ImageVerification)
	f := s.write()
	if f == refused {
		return errAway
	}
	if _, ok := s.entries[entry.Name]; ok {
		return apierrors.NewAlreadyExists(entryResource, entry.Name)
	}
	kept := entry.DeepCopy()
	s.uids++
	kept.UID, kept.Status = types.UID(fmt.Sprintf("entry-%d", s.uids)), v1alpha1.ImageVerificationStatus{}
	s.keep(kept)
	if f == replyLost {
		return errAway
	}
	kept.DeepCopyInto(entry)
	return nil
}

func (s *storage) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	have, ok := s.entries[key.Name]
	if !ok {
		return apierrors.NewNotFound(entryResource, key.Name)
	}
	have.DeepCopyInto(obj.(*v1alpha1.ImageVerification))
	return nil
}

func (s *storage) Status() client.SubResourceWriter { return statusWriter{storage: s} }

type statusWriter struct {
	client.SubResourceWriter
	storage *storage
}

// Update takes nothing but the status, and that only against the latest version.
func (w statusWriter) Update(_ context.Context, obj client.Object, _ ...client.SubResourceUpdateOption) error {
	s, entry := w.storage, obj.(*v1alpha1.ImageVerification)
	f := s.write()
	if f == refused {
		return errAway
	}
	have, ok := s.entries[entry.Name]
	switch {
	case !ok:
		return apierrors.NewNotFound(entryResource, entry.Name)
	case have.ResourceVersion != entry.ResourceVersion && !s.careless:
		return apierrors.NewConflict(entryResource, entry.Name, errors.New("it was changed"))
	}
	kept := have.DeepCopy()
	kept.Status = *entry.Status.DeepCopy()
	if s.violation == "" {
		s.violation = undoes(&have.Status, &kept.Status)
	}
	s.keep(kept)
	if f == replyLost {
		return errAway
	}
	kept.DeepCopyInto(entry)
	return nil
}

// undoes says what a write takes back of the tags: one that is gone and was not forgotten, a
// push that is older than the one before, or the same push as if nobody had decided on it,
// which would be a second run for it.
func undoes(before, after *v1alpha1.ImageVerificationStatus) string {
	told := tagsOf(after)
	through, forgot := after.MoreTags.ForgetsThrough()
	for key, b := range tagsOf(before) {
		a, ok := told[key]
		same := a.Sequence == b.Sequence && a.PushedAt.Equal(&b.PushedAt)
		observed := a.ObservedAt.IsZero() || b.ObservedAt.IsZero() || a.ObservedAt.Equal(&b.ObservedAt)
		switch {
		case !ok && forgot && b.PushedAt.Unix() <= through:
		case !ok:
			return fmt.Sprintf("lost: a write drops the tag %q of an entry", b.Tag)
		case a.Sequence < b.Sequence || (b.Sequence == 0 && a.PushedAt.Before(&b.PushedAt)):
			return fmt.Sprintf("lost: a write takes the tag %q of an entry back in time", b.Tag)
		case same && (a.Run != b.Run && b.Run != 0 || !observed), b.Sequence != 0 && a.Sequence == b.Sequence && !same:
			return fmt.Sprintf("doubled: a write records the push of the tag %q anew", b.Tag)
		}
	}
	return ""
}

// tagsOf are the tags that a status tells of.
func tagsOf(s *v1alpha1.ImageVerificationStatus) map[v1alpha1.TagKey]v1alpha1.TagStatus {
	all := map[v1alpha1.TagKey]v1alpha1.TagStatus{}
	for _, t := range s.MoreTags.Unpack() {
		all[t.Key] = t.Status()
	}
	for _, t := range s.Tags {
		all[v1alpha1.KeyOfTag(t.Tag)] = t
	}
	return all
}

func (s *storage) keep(entry *v1alpha1.ImageVerification) {
	s.version++
	entry.ResourceVersion = strconv.Itoa(s.version)
	_, known := s.entries[entry.Name]
	s.entries[entry.Name] = entry
	for _, w := range s.watches {
		w.queue = append(w.queue, change{entry: entry, added: !known})
		if s.fast {
			w.catchUp(len(w.queue))
		}
	}
}

// drop deletes an entry, as somebody with the right to do so may.
func (s *storage) drop(name string) {
	gone := s.entries[name].DeepCopy()
	delete(s.entries, name)
	s.version++
	gone.ResourceVersion = strconv.Itoa(s.version)
	for _, w := range s.watches {
		w.queue = append(w.queue, change{entry: gone, deleted: true})
	}
}

// change is one event of a watch.
type change struct {
	entry          *v1alpha1.ImageVerification
	added, deleted bool
}

// watch feeds one process's index, and may lag behind.
type watch struct {
	index *ledger.Index
	store cache.TransformingStore
	queue []change
}

// watch begins a watch with a list of all that there is.
func (s *storage) watch(now func() time.Time) *watch {
	w := &watch{index: ledger.NewIndex(now)}
	w.store = w.index.Store()
	w.relist(s)
	s.watches = append(s.watches, w)
	return w
}

func (s *storage) unwatch(w *watch) {
	s.watches = slices.DeleteFunc(s.watches, func(other *watch) bool { return other == w })
}

// relist does what a reflector does after a gap.
func (w *watch) relist(s *storage) {
	w.queue = nil
	all := make([]any, 0, len(s.entries))
	for _, name := range s.names() {
		all = append(all, w.own(s.entries[name]))
	}
	must(w.store.Replace(all, strconv.Itoa(s.version)))
}

// catchUp takes the next n events.
func (w *watch) catchUp(n int) int {
	n = min(n, len(w.queue))
	for _, c := range w.queue[:n] {
		switch {
		case c.deleted:
			must(w.store.Delete(w.own(c.entry)))
		case c.added:
			must(w.store.Add(w.own(c.entry)))
		default:
			must(w.store.Update(w.own(c.entry)))
		}
	}
	w.queue = w.queue[n:]
	return n
}

// deletion reports whether an entry was deleted that the process still knows.
func (w *watch) deletion() bool {
	return slices.ContainsFunc(w.queue, func(c change) bool { return c.deleted })
}

// own is a copy, made small as the reflector makes it.
func (w *watch) own(entry *v1alpha1.ImageVerification) any {
	small, err := w.store.Transformer()(entry.DeepCopy())
	must(err)
	return small
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
