package ledger

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
)

// Coverage is what the ledger covers of one repository, for one trigger.
type Coverage interface {
	push.Known
	// Seen reports whether the ledger has any push of a tag: another digest of the tag
	// is a change then, and was not there before the first look.
	Seen(tag string) bool
	// Empty reports whether the ledger has no push of the repository.
	Empty() bool
}

// known is a snapshot of the entries of one trigger and repository, by digest.
type known struct {
	kind    push.Kind
	records []record
}

// Covers reports whether the ledger has the push that an observation shows, or
// a later one of the same tag to the same digest.
func (k known) Covers(o push.Observation) bool {
	switch k.kind {
	case push.ImageStream:
		r := k.record(o.Digest)
		return r != nil && r.covers(tagRecord{tag: o.Tag, pushedAt: o.Created.Unix()})
	case push.Registry:
		_, head := k.head(o.Tag)
		return head == o.Digest.Hex()
	default:
		return false // no kind of repository: nothing is covered
	}
}

func (k known) record(d image.Digest) *record {
	i, found := slices.BinarySearchFunc(k.records, d.Hex(), byDigest)
	if !found {
		return nil
	}
	return &k.records[i]
}

// Seen implements Coverage.
func (k known) Seen(tag string) bool {
	for i := range k.records {
		for _, t := range k.records[i].tags {
			if t.tag == tag {
				return true
			}
		}
	}
	return false
}

// Empty implements Coverage.
func (k known) Empty() bool { return len(k.records) == 0 }

// head returns the highest sequence of a tag and the digest that has it, in
// hexadecimal. There are no times: a push is a change of the tag. Two digests of
// one sequence mean that two receivers saw two pushes at once; then the tag's
// state is not known, no digest is returned, and the next look records it.
func (k known) head(tag string) (sequence int64, digest string) {
	for i := range k.records {
		for _, t := range k.records[i].tags {
			switch {
			case t.tag != tag || t.sequence < sequence:
			case t.sequence > sequence:
				sequence, digest = t.sequence, k.records[i].digest
			default:
				digest = ""
			}
		}
	}
	return sequence, digest
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
