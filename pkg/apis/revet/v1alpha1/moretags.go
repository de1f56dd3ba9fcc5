package v1alpha1

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// MaxTags is how many tags status.tags of an entry names.
	MaxTags = 100
	// MaxMoreTags is of how many more status.moreTags tells.
	MaxMoreTags = 8192
)

// TagKeyBytes is the length of a TagKey.
const TagKeyBytes = 16

// TagKey stands for the name of a tag: the first 128 bits of its SHA-256. Whoever chooses the
// names of tags finds no second name for the key of a tag that others pushed.
//
// +kubebuilder:object:generate=false
type TagKey [TagKeyBytes]byte

// KeyOfTag returns the key of a tag.
func KeyOfTag(tag string) TagKey {
	sum := sha256.Sum256([]byte(tag))
	return TagKey(sum[:TagKeyBytes])
}

// Compare orders keys.
func (k TagKey) Compare(other TagKey) int { return bytes.Compare(k[:], other[:]) }

// MoreTags tells of the tags of an entry for which status.tags has no room. It does not name
// them, but it covers each of their pushes, and no other one.
type MoreTags struct {
	// Count is how many tags packed tells of.
	Count int32 `json:"count"`
	// Packed has the newest push of each tag, in the order of their keys: the first 16 bytes
	// of the SHA-256 of the tag, pushedAt in Unix seconds, sequence and run as signed varints,
	// and a byte for the source.
	// +kubebuilder:validation:MaxLength=458752
	// +optional
	Packed []byte `json:"packed,omitempty"`
	// Forgotten counts the tags for which there was no room in packed either, so that nobody
	// knows which they were. The oldest pushes are forgotten first.
	// +optional
	Forgotten int64 `json:"forgotten,omitempty"`
	// ForgottenThrough is when the newest of these was pushed: of pushes until then, to tags
	// of which the entry does not tell, nobody knows whether they are recorded.
	// +optional
	ForgottenThrough *metav1.Time `json:"forgottenThrough,omitempty"`
}

// PackedTag is the newest push of a tag that MoreTags tells of.
//
// +kubebuilder:object:generate=false
type PackedTag struct {
	Key TagKey
	// PushedAt is in Unix seconds.
	PushedAt int64
	Sequence int64
	Run      int32
	Source   PushSource
}

// packedSources are the sources in the order of their bytes, from 1 on.
var packedSources = []PushSource{SourceEvent, SourceWebhook, SourceSweep, SourceExisting, SourceManual}

// PackTag returns what is packed of a tag.
func PackTag(t *TagStatus) PackedTag {
	return PackedTag{Key: KeyOfTag(t.Tag), PushedAt: t.PushedAt.Unix(), Sequence: t.Sequence, Run: t.Run, Source: t.Source}
}

// Unpack returns the tags, in the order of their keys. Of what cannot be read it returns
// nothing: it covers nothing then, and is recorded again.
func (m *MoreTags) Unpack() []PackedTag {
	if m == nil {
		return nil
	}
	all := make([]PackedTag, 0, min(max(m.Count, 0), MaxMoreTags))
	for rest := m.Packed; len(rest) > 0; {
		var t PackedTag
		if len(rest) < TagKeyBytes {
			return nil
		}
		copy(t.Key[:], rest)
		rest = rest[TagKeyBytes:]
		var run int64
		for _, to := range []*int64{&t.PushedAt, &t.Sequence, &run} {
			v, n := binary.Varint(rest)
			if n <= 0 {
				return nil
			}
			*to, rest = v, rest[n:]
		}
		ordered := len(all) == 0 || all[len(all)-1].Key.Compare(t.Key) < 0
		if len(rest) == 0 || run < math.MinInt32 || run > math.MaxInt32 || !ordered {
			return nil
		}
		t.Run = int32(run)
		if n := int(rest[0]); n > 0 && n <= len(packedSources) {
			t.Source = packedSources[n-1]
		}
		rest = rest[1:]
		all = append(all, t)
	}
	return all
}

// Pack replaces the tags. Of two of one key the first stays.
func (m *MoreTags) Pack(tags []PackedTag) {
	tags = slices.Clone(tags)
	slices.SortStableFunc(tags, func(a, b PackedTag) int { return a.Key.Compare(b.Key) })
	tags = slices.CompactFunc(tags, func(a, b PackedTag) bool { return a.Key == b.Key })
	m.Count, m.Packed = int32(len(tags)), nil //nolint:gosec // an entry has no room for as many
	for _, t := range tags {
		m.Packed = append(m.Packed, t.Key[:]...)
		for _, v := range []int64{t.PushedAt, t.Sequence, int64(t.Run)} {
			m.Packed = binary.AppendVarint(m.Packed, v)
		}
		m.Packed = append(m.Packed, byte(slices.Index(packedSources, t.Source)+1)) //nolint:gosec // a few sources; 0 if unknown
	}
}

// Find returns what is told of a tag.
func (m *MoreTags) Find(tag string) (PackedTag, bool) {
	if m == nil {
		return PackedTag{}, false
	}
	all := m.Unpack()
	i, ok := slices.BinarySearchFunc(all, KeyOfTag(tag), func(t PackedTag, k TagKey) int { return t.Key.Compare(k) })
	if !ok {
		return PackedTag{}, false
	}
	return all[i], true
}

// Total is how many tags it stands for, those that are forgotten too.
func (m *MoreTags) Total() int64 {
	if m == nil {
		return 0
	}
	return int64(m.Count) + m.Forgotten
}

// ForgetsThrough returns until when pushes were made of which nobody knows, in Unix seconds, and
// whether there are any.
func (m *MoreTags) ForgetsThrough() (int64, bool) {
	switch {
	case m == nil || m.Forgotten == 0:
		return 0, false
	case m.ForgottenThrough == nil:
		return math.MaxInt64, true // somebody else wrote it: nobody can tell of any push
	default:
		return m.ForgottenThrough.Unix(), true
	}
}

// Open reports whether no run covers one of the pushes.
func (m *MoreTags) Open() bool {
	return slices.ContainsFunc(m.Unpack(), func(t PackedTag) bool { return t.Run == 0 })
}

// Decide makes a run cover all pushes that none covers.
func (m *MoreTags) Decide(run int32) {
	all := m.Unpack()
	open := false
	for i := range all {
		if all[i].Run == 0 {
			all[i].Run, open = run, true
		}
	}
	if open {
		m.Pack(all)
	}
}

// Status returns the push as status.tags would have it, without the tag's name and the time
// of its record.
func (t PackedTag) Status() TagStatus {
	return TagStatus{Run: t.Run, PushRecord: PushRecord{
		PushedAt: metav1.Unix(t.PushedAt, 0), Source: t.Source, Sequence: t.Sequence,
	}}
}
