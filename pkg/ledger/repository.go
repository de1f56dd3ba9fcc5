package ledger

import (
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/push"
)

// fewRecords is how many records of a repository are searched one by one: most
// repositories have few, and maps would cost more memory than the records.
const fewRecords = 16

// repository is what the index keeps of one trigger and repository. However many records
// there are, a change costs about the same, and so does a question.
type repository struct {
	records []record
	// at is where the record of a digest is, and pushes are those of each tag. Both are nil
	// for few records, and pushes until somebody asks for a head.
	at     map[string]int
	pushes map[v1alpha1.TagKey]*line
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
	var before []tagRecord
	if have := r.find(next.digest); have != nil {
		before = have.tags
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
	if r.pushes != nil {
		r.raise(next, before)
	}
}

// remove removes the record of a digest. Its pushes go when somebody asks.
func (r *repository) remove(digest string) {
	have := r.find(digest)
	if have == nil {
		return
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

// raise adds the pushes of a record that are not among those before. Both are in the order
// of their keys.
func (r *repository) raise(of record, before []tagRecord) {
	for _, t := range of.tags {
		for len(before) > 0 && before[0].compare(t) < 0 {
			before = before[1:]
		}
		if len(before) > 0 && before[0] == t {
			continue
		}
		l := r.pushes[t.key]
		if l == nil {
			l = &line{}
			r.pushes[t.key] = l
		}
		l.add(pushTo{t.Moment, of.digest}, func(p pushTo) bool { return r.has(t.key, p) })
	}
}

// has reports whether a record still has a push of a tag as its newest.
func (r *repository) has(key v1alpha1.TagKey, p pushTo) bool {
	have := r.find(p.digest)
	if have == nil {
		return false
	}
	m, ok := have.find(key)
	return ok && m == p.Moment
}

// head returns the head of a tag.
func (r *repository) head(key v1alpha1.TagKey) push.Head {
	var head push.Head
	if len(r.records) <= fewRecords {
		for i := range r.records {
			if m, ok := r.records[i].find(key); ok {
				head = head.Raised(m, r.records[i].digest)
			}
		}
		return head
	}
	if r.pushes == nil {
		r.pushes = map[v1alpha1.TagKey]*line{}
		for i := range r.records {
			r.raise(r.records[i], nil)
		}
	}
	l := r.pushes[key]
	if l == nil {
		return head
	}
	for _, p := range l.newest(func(p pushTo) bool { return r.has(key, p) }) {
		head = head.Raised(p.Moment, p.digest)
	}
	if len(l.heap) == 0 {
		delete(r.pushes, key)
	}
	return head
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
