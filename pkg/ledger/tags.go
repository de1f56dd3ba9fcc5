package ledger

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/push"
)

// Bounds are how much of its tags an entry tells.
type Bounds struct {
	// Tags is how many status.tags names; the first push's is one of them. More is of how many
	// more status.moreTags tells.
	Tags, More int
}

// DefaultBounds keep an entry below 600 KB. An API server takes 1.5 MB.
func DefaultBounds() Bounds { return Bounds{Tags: v1alpha1.MaxTags, More: v1alpha1.MaxMoreTags} }

// heads returns the newest push of a tag, of the repository and trigger of one entry.
type heads func(tag string) push.Head

// addition is what became of a push. The zero value is invalid.
type addition int

const (
	added     addition = iota + 1
	unchanged          // the entry has it, or a later one of its tag
	forgotten          // the entry has forgotten so many tags that nobody can tell
)

// addPush makes p the newest push of its tag, unless the entry has it or a later one. A
// newer push is undecided: its run is 0.
func addPush(entry *v1alpha1.ImageVerification, p v1alpha1.PushRecord, head heads) addition {
	s := &entry.Status
	s.Tags = entry.Tags()
	for i := range s.Tags {
		t := &s.Tags[i]
		if t.Tag != p.Tag {
			continue
		}
		if momentOf(t.PushRecord).Covers(momentOf(p)) {
			return unchanged
		}
		*t = v1alpha1.TagStatus{PushRecord: p}
		return added
	}
	have, known := s.MoreTags.Find(p.Tag)
	switch {
	case known && packedMoment(have).Covers(momentOf(p)):
		return unchanged
	case known:
		s.MoreTags.Pack(slices.DeleteFunc(s.MoreTags.Unpack(), func(t v1alpha1.PackedTag) bool { return t.Key == have.Key }))
	case forgets(through(s.MoreTags), push.Kind(entry.Spec.Repository.Kind), p.PushedAt.Unix(), head(p.Tag)):
		return forgotten
	}
	s.Tags = append(s.Tags, v1alpha1.TagStatus{PushRecord: p})
	return added
}

// forgotNothing is the through of an entry that has forgotten no tag.
const forgotNothing = math.MinInt64

// through returns when the newest push was that an entry has forgotten, in Unix seconds.
func through(more *v1alpha1.MoreTags) int64 {
	last, forgot := more.ForgetsThrough()
	if !forgot {
		return forgotNothing
	}
	return last
}

// forgets reports whether an entry that has forgotten tags through a time may have had a push
// of a tag of which it does not tell. A registry shows no time of the push: the entry cannot
// have had it if the tag was pushed to another digest since.
func forgets(through int64, kind push.Kind, pushedAt int64, head push.Head) bool {
	switch {
	case through == forgotNothing:
		return false
	case kind == push.Registry:
		return head.Digest == "" || head.PushedAt <= through
	default:
		return pushedAt <= through
	}
}

// ranked is a tag, and what it is kept for: the least come first.
type ranked struct {
	index    int
	kept     int
	pushedAt time.Time
	tag      string
}

const (
	keptForNothing = iota
	keptAsHead     // a gate may have to say what the tag stands for
	keptForARun    // a run is to be started for it
)

// bound moves the tags that find no room in status.tags to status.moreTags: first those that
// have a run and show another digest by now, then those that have a run, and of these the
// oldest. The tag of the first push stays. The oldest that find no room there are forgotten.
func (b Bounds) bound(entry *v1alpha1.ImageVerification, head heads) {
	s := &entry.Status
	excess := len(s.Tags) - b.Tags
	if excess <= 0 {
		return
	}
	all := make([]ranked, 0, len(s.Tags))
	for i := range s.Tags {
		t := &s.Tags[i]
		if t.Tag == entry.Spec.FirstPush.Tag && !entry.IsManual() {
			continue
		}
		r := ranked{index: i, pushedAt: t.PushedAt.Time, tag: t.Tag}
		switch {
		case t.Run == 0:
			r.kept = keptForARun
		case head(t.Tag).Has(hexOf(entry.Spec.Digest)):
			r.kept = keptAsHead
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.kept, b.kept), a.pushedAt.Compare(b.pushedAt), cmp.Compare(a.tag, b.tag))
	})
	packed := s.MoreTags.Unpack()
	moved := make(map[int]bool, excess)
	for _, r := range all[:min(excess, len(all))] {
		moved[r.index] = true
		packed = append(packed, v1alpha1.PackTag(&s.Tags[r.index]))
	}
	kept := make([]v1alpha1.TagStatus, 0, b.Tags)
	for i := range s.Tags {
		if !moved[i] {
			kept = append(kept, s.Tags[i])
		}
	}
	s.Tags = kept
	if s.MoreTags == nil {
		s.MoreTags = &v1alpha1.MoreTags{}
	}
	s.MoreTags.Pack(b.forget(packed, s.MoreTags))
}

// forget returns the tags for which there is room, and notes in more which are not among them.
func (b Bounds) forget(packed []v1alpha1.PackedTag, more *v1alpha1.MoreTags) []v1alpha1.PackedTag {
	excess := len(packed) - b.More
	if excess <= 0 {
		return packed
	}
	open := func(t v1alpha1.PackedTag) int {
		if t.Run == 0 {
			return 1
		}
		return 0
	}
	slices.SortFunc(packed, func(a, b v1alpha1.PackedTag) int {
		return cmp.Or(cmp.Compare(open(a), open(b)), cmp.Compare(a.PushedAt, b.PushedAt), a.Key.Compare(b.Key))
	})
	last := through(more)
	for _, t := range packed[:excess] {
		last = max(last, t.PushedAt)
	}
	at := metav1.Unix(last, 0)
	more.Forgotten, more.ForgottenThrough = more.Forgotten+int64(excess), &at
	return packed[excess:]
}

// maxTagNames bounds the column of the table; the tags themselves are in status.tags.
const maxTagNames = 200

// complete bounds the tags and updates what is derived from them.
func (b Bounds) complete(entry *v1alpha1.ImageVerification, head heads, now time.Time) {
	s := &entry.Status
	s.Tags, s.Phase = entry.Tags(), entry.Phase()
	b.bound(entry, head)
	names := make([]string, 0, len(s.Tags))
	s.LastPushedAt = nil
	newest := func(at metav1.Time) {
		if s.LastPushedAt == nil || s.LastPushedAt.Before(&at) {
			s.LastPushedAt = &at
		}
	}
	for i := range s.Tags {
		names = append(names, s.Tags[i].Tag)
		newest(s.Tags[i].PushedAt)
	}
	for _, t := range s.MoreTags.Unpack() {
		newest(metav1.Unix(t.PushedAt, 0))
	}
	s.TagNames = strings.Join(names, ",")
	if len(s.TagNames) > maxTagNames {
		s.TagNames = s.TagNames[:maxTagNames] + "..."
	}
	if n := s.MoreTags.Total(); n > 0 {
		s.TagNames += fmt.Sprintf(" and %d more", n)
	}
	s.MarkTags(forgottenMessage(entry), now)
}

// forgottenMessage says which pushes an entry cannot tell of, and what to do; "" if it tells of
// all.
func forgottenMessage(entry *v1alpha1.ImageVerification) string {
	more := entry.Status.MoreTags
	if more == nil || more.Forgotten == 0 {
		return ""
	}
	until := "any time"
	if more.ForgottenThrough != nil {
		until = more.ForgottenThrough.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("the digest was pushed to more tags than an entry tells of: %d tags are forgotten, and nobody knows "+
		"whether pushes to other tags until %s are recorded; delete tags of %s@%s that nobody needs, then record the rest anew: "+
		"kubectl delete imageverification %s -n %s",
		more.Forgotten, until, entry.Spec.Repository.Name, entry.Spec.Digest, entry.Name, entry.Namespace)
}

func momentOf(p v1alpha1.PushRecord) push.Moment {
	return push.Moment{PushedAt: p.PushedAt.Unix(), Sequence: p.Sequence}
}

func packedMoment(t v1alpha1.PackedTag) push.Moment {
	return push.Moment{PushedAt: t.PushedAt, Sequence: t.Sequence}
}
