package ledger

import (
	"slices"
	"strings"

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
	// tags are in the order of their keys.
	tags []tagRecord
	// through is when the newest push was that the entry has forgotten, in Unix seconds.
	through int64
}

// tagRecord is the newest push of one tag.
type tagRecord struct {
	key v1alpha1.TagKey
	push.Moment
}

func (t tagRecord) compare(o tagRecord) int { return t.key.Compare(o.key) }

func newRecord(entry *v1alpha1.ImageVerification) record {
	s := join(hexOf(entry.Spec.Digest), string(entry.UID), entry.ResourceVersion)
	more := entry.Status.MoreTags.Unpack()
	r := record{
		digest: s[0], uid: s[1], version: s[2], through: through(entry.Status.MoreTags),
		tags: make([]tagRecord, 0, max(1, len(entry.Status.Tags)+len(more))),
	}
	if !entry.IsManual() {
		r.add(v1alpha1.KeyOfTag(entry.Spec.FirstPush.Tag), momentOf(entry.Spec.FirstPush))
	}
	for i := range entry.Status.Tags {
		t := &entry.Status.Tags[i]
		r.add(v1alpha1.KeyOfTag(t.Tag), momentOf(t.PushRecord))
	}
	for _, t := range more {
		r.add(t.Key, packedMoment(t))
	}
	r.order()
	return r
}

func (r *record) add(key v1alpha1.TagKey, m push.Moment) {
	r.tags = append(r.tags, tagRecord{key, m})
}

// order sorts the tags, and keeps the newest push of each.
func (r *record) order() {
	slices.SortStableFunc(r.tags, tagRecord.compare)
	kept := r.tags[:0]
	for _, t := range r.tags {
		switch last := len(kept) - 1; {
		case last < 0 || kept[last].key != t.key:
			kept = append(kept, t)
		case !kept[last].Covers(t.Moment):
			kept[last] = t
		}
	}
	r.tags = slices.Clip(kept)
}

// find returns the newest push of a tag.
func (r *record) find(key v1alpha1.TagKey) (push.Moment, bool) {
	i, ok := slices.BinarySearchFunc(r.tags, tagRecord{key: key}, tagRecord.compare)
	if !ok {
		return push.Moment{}, false
	}
	return r.tags[i].Moment, true
}

func (r *record) covers(p tagRecord) bool {
	m, ok := r.find(p.key)
	return ok && m.Covers(p.Moment)
}

// hexOf returns the hexadecimal part of a digest.
func hexOf(digest string) string { return strings.TrimPrefix(digest, digestPrefix) }
