package push

import (
	"time"

	"github.com/revet-dev/revet/pkg/image"
)

// Memory is a Known for inputs that are read one after another. The zero value
// is ready for use. It is not safe for concurrent use.
type Memory struct {
	heads map[tagKey]image.Digest
	shown map[itemKey]struct{}
}

type tagKey struct {
	repository Repository
	tag        string
}

type itemKey struct {
	tagKey
	digest  image.Digest
	created int64 // Unix seconds
}

// Covers reports whether an observation tells nothing new: for a head, that the
// tag's head was this digest when the repository was last seen; for an item
// below it, that some earlier input showed the item.
func (m *Memory) Covers(o Observation) bool {
	t := tagKey{o.Repository, o.Tag}
	if o.Head {
		return m.heads[t] == o.Digest
	}
	_, ok := m.shown[itemKey{t, o.Digest, o.Created.Unix()}]
	return ok
}

// Remember makes s the last state seen of its repository. A tag that s does not
// have is forgotten as a head: the same digest pushed again is a new head.
func (m *Memory) Remember(s Stream) {
	m.Forget(s.Repository)
	if m.heads == nil {
		m.heads = map[tagKey]image.Digest{}
		m.shown = map[itemKey]struct{}{}
	}
	for _, tag := range s.Tags {
		t := tagKey{s.Repository, tag.ClaimedName}
		for i, item := range tag.Items {
			digest, err := image.ParseDigest(item.ClaimedDigest)
			if err != nil {
				continue
			}
			if i == 0 {
				m.heads[t] = digest
			}
			m.shown[itemKey{t, digest, item.Created.UTC().Truncate(time.Second).Unix()}] = struct{}{}
		}
	}
}

// Forget drops the heads of a repository that was deleted.
func (m *Memory) Forget(r Repository) {
	for t := range m.heads {
		if t.repository == r {
			delete(m.heads, t)
		}
	}
}
