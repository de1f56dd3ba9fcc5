package ledger

import (
	"strings"
	"unique"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/push"
)

// digestPrefix is not kept.
const digestPrefix = "sha256:"

// record is what the index keeps of an entry. Every receiver has one for each entry of the
// cluster, so that its size matters.
type record struct {
	digest  string // hexadecimal
	uid     string
	version string
	// written is when this process wrote the entry, in Unix nanoseconds; 0 once the watch
	// has shown it.
	written int64
	tags    []tagRecord
}

// tagRecord is the newest push of one tag.
type tagRecord struct {
	tag string
	push.Moment
}

func newRecord(entry *v1alpha1.ImageVerification) record {
	s := join(hexOf(entry.Spec.Digest), string(entry.UID), entry.ResourceVersion)
	r := record{digest: s[0], uid: s[1], version: s[2], tags: make([]tagRecord, 0, max(1, len(entry.Status.Tags)))}
	if !entry.IsManual() {
		r.add(entry.Spec.FirstPush)
	}
	for i := range entry.Status.Tags {
		r.add(entry.Status.Tags[i].PushRecord)
	}
	return r
}

// add keeps the newest push of a tag.
func (r *record) add(p v1alpha1.PushRecord) {
	t := newTagRecord(p)
	for i := range r.tags {
		if r.tags[i].tag == p.Tag {
			if !r.tags[i].Covers(t.Moment) {
				r.tags[i].Moment = t.Moment
			}
			return
		}
	}
	t.tag = unique.Make(p.Tag).Value() // the same few names in all entries
	r.tags = append(r.tags, t)
}

func (r *record) covers(p tagRecord) bool {
	for i := range r.tags {
		if r.tags[i].tag == p.tag {
			return r.tags[i].Covers(p.Moment)
		}
	}
	return false
}

func newTagRecord(p v1alpha1.PushRecord) tagRecord {
	return tagRecord{p.Tag, push.Moment{PushedAt: p.PushedAt.Unix(), Sequence: p.Sequence}}
}

// hexOf returns the hexadecimal part of a digest.
func hexOf(digest string) string { return strings.TrimPrefix(digest, digestPrefix) }

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
