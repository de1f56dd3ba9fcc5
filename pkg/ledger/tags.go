package ledger

import (
	"slices"
	"strings"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// maxTagNames bounds the column of the table; the tags themselves are in status.tags.
const maxTagNames = 200

// Tags returns the newest push of each tag to the entry's digest. The first
// push counts as one while no status was written, or after one was lost.
func Tags(entry *v1alpha1.ImageVerification) []v1alpha1.TagStatus {
	first := entry.Spec.FirstPush
	for _, t := range entry.Status.Tags {
		if t.Tag == first.Tag {
			return slices.Clone(entry.Status.Tags)
		}
	}
	return append([]v1alpha1.TagStatus{{PushRecord: first}}, entry.Status.Tags...)
}

// complete brings what is derived from the tags up to date.
func complete(entry *v1alpha1.ImageVerification) {
	s := &entry.Status
	s.Tags = Tags(entry)
	if s.Phase == "" {
		s.Phase = v1alpha1.PhasePending
	}
	names := make([]string, 0, len(s.Tags))
	s.LastPushedAt = nil
	for i := range s.Tags {
		names = append(names, s.Tags[i].Tag)
		if at := s.Tags[i].PushedAt; s.LastPushedAt == nil || s.LastPushedAt.Before(&at) {
			s.LastPushedAt = &at
		}
	}
	s.TagNames = strings.Join(names, ",")
	if len(s.TagNames) > maxTagNames {
		s.TagNames = s.TagNames[:maxTagNames] + "..."
	}
}

// addPush makes p the newest push of its tag unless the entry already has it,
// or a later one. A newer push is undecided: its run is 0.
func addPush(entry *v1alpha1.ImageVerification, p v1alpha1.PushRecord) bool {
	entry.Status.Tags = Tags(entry)
	for i := range entry.Status.Tags {
		t := &entry.Status.Tags[i]
		if t.Tag != p.Tag {
			continue
		}
		if newTagRecord(t.PushRecord).covers(newTagRecord(p)) {
			return false
		}
		*t = v1alpha1.TagStatus{PushRecord: p}
		return true
	}
	entry.Status.Tags = append(entry.Status.Tags, v1alpha1.TagStatus{PushRecord: p})
	return true
}
