package command

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// PushesOf returns the newest push of each tag of an entry, newest first.
func PushesOf(e *v1alpha1.ImageVerification) []v1alpha1.TagStatus {
	pushes := e.Tags()
	slices.SortStableFunc(pushes, func(a, b v1alpha1.TagStatus) int {
		return cmp.Or(b.PushedAt.Compare(a.PushedAt.Time), cmp.Compare(b.Sequence, a.Sequence), cmp.Compare(a.Tag, b.Tag))
	})
	return pushes
}

// TagsNewestFirst returns the tags of an entry, the newest push first.
func TagsNewestFirst(e *v1alpha1.ImageVerification) []string {
	var names []string
	for _, p := range PushesOf(e) {
		names = append(names, p.Tag)
	}
	return names
}

// maxTagList bounds a list of tags, in bytes.
const maxTagList = 200

// TagList lists the tags of an entry, the newest push first, and counts those for which there
// is no room and those that the entry does not name.
func TagList(e *v1alpha1.ImageVerification) string {
	list, more := "", e.Status.MoreTags.Total()
	names := TagsNewestFirst(e)
	for i, name := range names {
		if i > 0 && len(list)+len(name) >= maxTagList {
			more += int64(len(names) - i)
			break
		}
		if i > 0 {
			list += ","
		}
		list += name
	}
	if more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}

// LastPushed returns the time of an entry's newest push, or zero if nobody pushed it.
func LastPushed(e *v1alpha1.ImageVerification) time.Time {
	if pushes := PushesOf(e); len(pushes) > 0 {
		return pushes[0].PushedAt.Time
	}
	return time.Time{}
}

// since returns when an entry last became new: by a push, or when a person asked for it.
func since(e *v1alpha1.ImageVerification) time.Time {
	if at := LastPushed(e); !at.IsZero() {
		return at
	}
	return e.Spec.FirstPush.PushedAt.Time
}

// ImageName returns repository:tags@digest of an entry, with enough of the digest for people.
func ImageName(e *v1alpha1.ImageVerification) string {
	name := e.Spec.Repository.Name
	if tags := TagList(e); tags != "" {
		name += ":" + tags
	}
	const enough = len("sha256:") + 8
	return name + "@" + e.Spec.Digest[:min(len(e.Spec.Digest), enough)]
}

// NewestFirst sorts entries by their newest push, or by when a person asked for them.
func NewestFirst(entries []v1alpha1.ImageVerification) {
	slices.SortStableFunc(entries, func(a, b v1alpha1.ImageVerification) int {
		return cmp.Or(since(&b).Compare(since(&a)), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}

// NewestOfTag keeps the entry with the newest push of a tag for each trigger and
// repository.
func NewestOfTag(found []v1alpha1.ImageVerification, tag string) []v1alpha1.ImageVerification {
	type place struct{ namespace, trigger, repository string }
	at := map[place]int{}
	var newest []v1alpha1.ImageVerification
	for i := range found {
		e := &found[i]
		p := place{e.Namespace, e.Spec.Trigger.UID, e.Spec.Repository.Name}
		j, seen := at[p]
		switch {
		case !seen:
			at[p] = len(newest)
			newest = append(newest, *e)
		case later(pushOfTag(e, tag), pushOfTag(&newest[j], tag)):
			newest[j] = *e
		}
	}
	return newest
}

func pushOfTag(e *v1alpha1.ImageVerification, tag string) v1alpha1.PushRecord {
	p, _ := e.TagOf(tag)
	return p.PushRecord
}

func later(a, b v1alpha1.PushRecord) bool {
	if a.Sequence != b.Sequence {
		return a.Sequence > b.Sequence
	}
	return a.PushedAt.After(b.PushedAt.Time)
}

// Settled reports whether an entry has what its newest push and its requests asked for: it
// ended, and nothing waits for a run.
func Settled(e *v1alpha1.ImageVerification) bool {
	switch e.Phase() {
	case v1alpha1.PhaseSkipped:
		if lifecycle.Reason(e.Status.Reason) == lifecycle.TriggerDeleted {
			return true
		}
	case v1alpha1.PhasePassed, v1alpha1.PhaseFailed, v1alpha1.PhaseError:
	default:
		return false
	}
	return lifecycle.Undecided(e) == nil && !lifecycle.RequestOpen(e)
}

// State says where an entry stands, in one line.
func State(e *v1alpha1.ImageVerification) string {
	s := string(e.Phase())
	if r := e.Status.Reason; r != "" && r != s {
		s += ": " + r
	}
	if m := OneLine(e.Status.Message); m != "" {
		s += ": " + m
	}
	return s
}

// RevisionIgnored says why a revision that an image claims is not known.
func RevisionIgnored(r v1alpha1.RevisionIgnored) string {
	switch r {
	case v1alpha1.RevisionMalformed:
		return "the image claims one that is too long, or has others than letters, digits and ._+- in it"
	case v1alpha1.RevisionDiffers:
		return "the image claims several, or not every image of the index claims one"
	default:
		return string(r)
	}
}
