package ledger

import (
	"strings"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// maxTagNames bounds the column of the table; the tags themselves are in status.tags.
const maxTagNames = 200

// complete updates what is derived from the tags.
func complete(entry *v1alpha1.ImageVerification) {
	s := &entry.Status
	s.Tags, s.Phase = entry.Tags(), entry.Phase()
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

// addPush makes p the newest push of its tag, unless the entry has it or a later one. A
// newer push is undecided: its run is 0.
func addPush(entry *v1alpha1.ImageVerification, p v1alpha1.PushRecord) bool {
	entry.Status.Tags = entry.Tags()
	for i := range entry.Status.Tags {
		t := &entry.Status.Tags[i]
		if t.Tag != p.Tag {
			continue
		}
		if newTagRecord(t.PushRecord).Covers(newTagRecord(p).Moment) {
			return false
		}
		*t = v1alpha1.TagStatus{PushRecord: p}
		return true
	}
	entry.Status.Tags = append(entry.Status.Tags, v1alpha1.TagStatus{PushRecord: p})
	return true
}
