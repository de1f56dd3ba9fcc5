package ledger

import (
	"time"

	"github.com/revet-dev/revet/pkg/push"
)

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
