package ledger

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/push"
)

// Coverage is what the ledger covers of one repository, for one trigger.
type Coverage interface {
	push.Known
	// Seen reports whether the ledger has any push of a tag. If it has, another digest of
	// the tag is a change, and was not there before the first look.
	Seen(tag string) bool
	// Empty reports whether the ledger has no push of the repository.
	Empty() bool
}

// known answers what the entries of one trigger and repository cover.
type known struct {
	index *Index
	key   indexKey
}

// Covers reports whether the ledger has the push that an observation shows, or a later one
// of the same tag to the same digest.
func (k known) Covers(o push.Observation) bool {
	switch k.key.repository.Kind {
	case push.ImageStream:
		covered := false
		k.index.ask(k.key, func(r *repository) {
			have := r.find(o.Digest.Hex())
			covered = have != nil && have.covers(tagRecord{o.Tag, push.Moment{PushedAt: o.Created.Unix()}})
		})
		return covered
	case push.Registry:
		_, head := k.head(o.Tag)
		return head == o.Digest.Hex()
	default:
		return false // no kind of repository: nothing is covered
	}
}

// has reports whether there is an entry of a digest.
func (k known) has(d image.Digest) bool {
	has := false
	k.index.ask(k.key, func(r *repository) { has = r.find(d.Hex()) != nil })
	return has
}

// Seen implements Coverage.
func (k known) Seen(tag string) bool { return k.tag(tag).Digest != "" }

// Empty implements Coverage.
func (k known) Empty() bool {
	empty := true
	k.index.ask(k.key, func(*repository) { empty = false })
	return empty
}

// head returns the highest sequence of a tag and the digest that has it, in hexadecimal.
// A registry shows no times: a push is a change of the tag. If two receivers saw two
// pushes at once, two digests have the same sequence. The tag's state is not known then,
// no digest is returned, and the next look records the tag again.
func (k known) head(tag string) (sequence int64, digest string) {
	h := k.tag(tag)
	if len(h.Ties) > 0 || h.Sequence == 0 {
		return h.Sequence, ""
	}
	return h.Sequence, h.Digest
}

func (k known) tag(tag string) push.Head {
	var h push.Head
	k.index.ask(k.key, func(r *repository) { h = r.head(tag) })
	return h
}

// WithinScope narrows what is known to what a trigger is responsible for: the trigger needs
// no entry for items that admit refuses, nor for history before status.historyHorizon. A
// head is never before the horizon.
func WithinScope(known push.Known, t *v1alpha1.ImageTrigger, admit func(pushedAt time.Time, head bool) bool) push.Known {
	return scope{known, t.Status.HistoryHorizon, admit}
}

type scope struct {
	known   push.Known
	horizon *metav1.Time
	admit   func(time.Time, bool) bool
}

func (s scope) Covers(o push.Observation) bool {
	if !s.admit(o.Created, o.Head) {
		return true
	}
	if !o.Head && s.horizon != nil && o.Created.Before(s.horizon.Time) {
		return true
	}
	return s.known.Covers(o)
}

// fewRecords is how many records of a repository are searched one by one: most
// repositories have few, and maps would cost more memory than the records.
const fewRecords = 16

// repository is what the index keeps of one trigger and repository. A change costs the
// same however many records there are, and so does a question.
type repository struct {
	records []record
	// at is where the record of a digest is, and heads are the heads of the tags. Both
	// are nil for few records; heads also after a head was taken back, until they are
	// asked for.
	at    map[string]int
	heads map[string]push.Head
	// own are the writes of this process, oldest first, until the watch has shown them.
	own []ownWrite
}

type ownWrite struct {
	digest  string
	written int64
}

// find returns the record of a digest, or nil. It is valid until the next change.
func (r *repository) find(digest string) *record {
	if r.at != nil {
		if i, ok := r.at[digest]; ok {
			return &r.records[i]
		}
		return nil
	}
	for i := range r.records {
		if r.records[i].digest == digest {
			return &r.records[i]
		}
	}
	return nil
}

// set adds a record, or replaces that of the same digest.
func (r *repository) set(next record) {
	if next.written != 0 {
		r.own = append(r.own, ownWrite{next.digest, next.written})
	}
	if have := r.find(next.digest); have != nil {
		if r.takesBack(*have, next) {
			r.heads = nil
		}
		*have = next
	} else {
		r.records = append(r.records, next)
		switch n := len(r.records); {
		case r.at != nil:
			r.at[next.digest] = n - 1
		case n > fewRecords:
			r.at = make(map[string]int, n)
			for i := range r.records {
				r.at[r.records[i].digest] = i
			}
		}
	}
	if r.heads != nil {
		r.raise(next)
	}
}

// remove removes the record of a digest.
func (r *repository) remove(digest string) {
	have := r.find(digest)
	if have == nil {
		return
	}
	if r.takesBack(*have, record{}) {
		r.heads = nil
	}
	last := len(r.records) - 1
	if moved := r.records[last]; moved.digest != digest {
		*have = moved
		if r.at != nil {
			r.at[moved.digest] = r.at[digest]
		}
	}
	r.records[last] = record{}
	r.records = r.records[:last]
	if r.at != nil {
		delete(r.at, digest)
	}
}

// takesBack reports whether a tag's head is of a record that says less of the tag from now on.
func (r *repository) takesBack(have, next record) bool {
	if r.heads == nil {
		return false
	}
	for _, t := range have.tags {
		if !next.covers(t) && r.heads[t.tag].Has(have.digest) {
			return true
		}
	}
	return false
}

// raise makes the pushes of a record heads, where they are.
func (r *repository) raise(of record) {
	for _, t := range of.tags {
		r.heads[t.tag] = r.heads[t.tag].Raised(t.Moment, of.digest)
	}
}

// head returns the head of a tag.
func (r *repository) head(tag string) push.Head {
	if len(r.records) <= fewRecords {
		var head push.Head
		for i := range r.records {
			for _, t := range r.records[i].tags {
				if t.tag == tag {
					head = head.Raised(t.Moment, r.records[i].digest)
				}
			}
		}
		return head
	}
	if r.heads == nil {
		r.heads = map[string]push.Head{}
		for i := range r.records {
			r.raise(r.records[i])
		}
	}
	return r.heads[tag]
}

// expire removes the own writes that the watch has not shown in time.
func (r *repository) expire(now time.Time) {
	for len(r.own) > 0 {
		first := r.own[0]
		have := r.find(first.digest)
		if have != nil && have.written == first.written {
			if now.Sub(time.Unix(0, first.written)) <= ownWriteTrust {
				return
			}
			r.remove(first.digest)
		}
		r.own = r.own[1:] // confirmed, written again, or just removed
	}
	r.own = nil
}

// Head returns the newest push of a tag, of the entry's repository and by its trigger. It
// costs no request. Pushes of one second have no order: the entry's own counts if it is
// among them.
func (l *Ledger) Head(entry *v1alpha1.ImageVerification, tag string) lifecycle.Head {
	h := l.index.known(entry.Spec.Trigger.UID, RepositoryOf(entry)).tag(tag)
	if h.Digest == "" {
		return lifecycle.Head{}
	}
	digest := h.All()[0]
	if own := hexOf(entry.Spec.Digest); h.Has(own) {
		digest = own
	}
	return lifecycle.Head{Digest: digestPrefix + digest, PushedAt: time.Unix(h.PushedAt, 0).UTC(), Sequence: h.Sequence}
}
