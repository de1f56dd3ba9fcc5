package push

import (
	"time"

	"github.com/revet-dev/revet/pkg/image"
)

// Memory is a Known for inputs that are read one after another. The zero value
// is ready for use. It is not safe for concurrent use.
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

// Covers reports whether an observation tells nothing new: for a head, that the
// tag's head was this digest when the repository was last seen; for an item
// below it, that some earlier input showed the item.
func (m *Memory) Covers(o Observation) bool {
	if o.Head {
		head, ok := m.heads[o.Repository][o.Tag]
		return ok && head == o.Digest
	}
	_, ok := m.shown[itemKey{o.Repository, o.Tag, o.Digest, o.Created.Unix()}]
	return ok
}

// Remember makes s the last state seen of its repository. A tag that s does not
// have is forgotten as a head: the same digest pushed again is a new head.
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

// Forget drops the heads of a repository that was deleted. What its tags once
// showed stays known: it is history, whenever it shows again.
func (m *Memory) Forget(r Repository) { delete(m.heads, r) }
