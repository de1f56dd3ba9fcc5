package push

import (
	"time"

	"github.com/revet-dev/revet/pkg/image"
)

// Memory is a Known for inputs that are read one after another. The zero value is ready to use. It
// is not safe for concurrent use.
type Memory struct {
	heads map[Repository]map[string]image.Digest
	shown map[itemKey]struct{}
}

type itemKey struct {
	repository Repository
	tag        string
	digest     image.Digest
	created    int64 // Unix seconds
}

// Covers reports whether an observation is nothing new. A head is nothing new if it was the tag's
// head when the repository was last seen. An older item is nothing new if any earlier input showed
// it.
func (m *Memory) Covers(o Observation) bool {
	if o.Head {
		head, ok := m.heads[o.Repository][o.Tag]
		return ok && head == o.Digest
	}
	_, ok := m.shown[itemKey{o.Repository, o.Tag, o.Digest, o.Created.Unix()}]
	return ok
}

// Remember stores s as the last seen state of its repository. If s lacks a tag, Memory forgets the
// tag's head, so the same digest pushed again is a new head.
func (m *Memory) Remember(s Stream) {
	if m.heads == nil {
		m.heads = map[Repository]map[string]image.Digest{}
		m.shown = map[itemKey]struct{}{}
	}
	heads := make(map[string]image.Digest, len(s.Tags))
	for _, tag := range s.Tags {
		for i, item := range tag.Items {
			digest, err := image.ParseDigest(item.ClaimedDigest)
			if err != nil {
				continue
			}
			if i == 0 {
				heads[tag.ClaimedName] = digest
			}
			created := item.Created.UTC().Truncate(time.Second).Unix()
			m.shown[itemKey{s.Repository, tag.ClaimedName, digest, created}] = struct{}{}
		}
	}
	m.heads[s.Repository] = heads
}

// Forget drops the heads of a deleted repository. It keeps what the tags once showed, because that
// is history if it shows up again.
func (m *Memory) Forget(r Repository) { delete(m.heads, r) }
