package ledger

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/push"
)

// known is a snapshot of the entries of one trigger and repository, by digest.
type known struct {
	kind    push.Kind
	records []record
}

// Covers reports whether the ledger has the push that an observation shows, or
// a later one of the same tag to the same digest.
func (k known) Covers(o push.Observation) bool {
	digest := o.Digest.String()
	switch k.kind {
	case push.ImageStream:
		entry := k.entry(digest)
		return entry != nil && coversTag(entry, v1alpha1.PushRecord{Tag: o.Tag, PushedAt: metav1.NewTime(o.Created)})
	case push.Registry:
		// There are no times: a push is a change of the tag. Two digests of the
		// same sequence mean that two receivers saw two pushes at once; then the
		// tag's state is not known and the next look records it.
		_, at := k.newest(o.Tag)
		return len(at) == 1 && at[0].Spec.Digest == digest
	default:
		return false // no kind of repository: nothing is covered
	}
}

func (k known) entry(digest string) *v1alpha1.ImageVerification {
	i, found := slices.BinarySearchFunc(k.records, digest, byDigest)
	if !found {
		return nil
	}
	return k.records[i].entry
}

// newest returns the highest sequence of a tag, and the entries that have it.
func (k known) newest(tag string) (int64, []*v1alpha1.ImageVerification) {
	var highest int64
	var at []*v1alpha1.ImageVerification
	for _, r := range k.records {
		eachTag(r.entry, func(p *v1alpha1.PushRecord) bool {
			if p.Tag != tag || p.Sequence < highest {
				return true
			}
			if p.Sequence > highest {
				highest, at = p.Sequence, nil
			}
			if len(at) == 0 || at[len(at)-1] != r.entry {
				at = append(at, r.entry)
			}
			return true
		})
	}
	return highest, at
}

func coversTag(entry *v1alpha1.ImageVerification, p v1alpha1.PushRecord) bool {
	covered := false
	eachTag(entry, func(have *v1alpha1.PushRecord) bool {
		covered = have.Tag == p.Tag && covers(*have, p)
		return !covered
	})
	return covered
}

// eachTag is Tags without its copy: this is what an event that shows nothing
// new costs, times its tags. It stops when f returns false.
func eachTag(entry *v1alpha1.ImageVerification, f func(*v1alpha1.PushRecord) bool) {
	if !f(&entry.Spec.FirstPush) {
		return
	}
	for i := range entry.Status.Tags {
		if !f(&entry.Status.Tags[i].PushRecord) {
			return
		}
	}
}

// Bounded narrows what is known to what a trigger answers for: items that admit
// refuses, and history from before the horizon, need no entry. A head is never
// before the horizon.
func Bounded(known push.Known, admit func(pushedAt time.Time, head bool) bool, horizon *metav1.Time) push.Known {
	return bounded{known, admit, horizon}
}

type bounded struct {
	known   push.Known
	admit   func(time.Time, bool) bool
	horizon *metav1.Time
}

func (b bounded) Covers(o push.Observation) bool {
	if !b.admit(o.Created, o.Head) {
		return true
	}
	if !o.Head && b.horizon != nil && o.Created.Before(b.horizon.Time) {
		return true
	}
	return b.known.Covers(o)
}
