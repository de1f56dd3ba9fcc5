package registry

import (
	"sync"

	"github.com/revet-dev/revet/pkg/image"
)

// maxProven is how many digests are remembered.
const maxProven = 16 << 10

// proven remembers manifests that cannot run. A digest always names the same
// bytes, so that this holds for ever and for everybody; and a list of referrers,
// which is pushed again for each one that is added, costs what is new in it. It
// is safe for concurrent use.
type proven struct {
	mu    sync.Mutex
	known map[image.Digest]image.Content
	order []image.Digest // a ring, the oldest at next
	next  int
}

func newProven() *proven { return &proven{known: map[image.Digest]image.Content{}} }

func (p *proven) get(d image.Digest) (image.Content, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.known[d]
	return c, ok
}

// put remembers c if it is of a single manifest that cannot run.
func (p *proven) put(d image.Digest, c image.Content) {
	if c.Kind != image.ContentImage || c.Runnable() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.known[d]; ok {
		return
	}
	if len(p.order) < maxProven {
		p.order = append(p.order, d)
	} else {
		delete(p.known, p.order[p.next])
		p.order[p.next] = d
		p.next = (p.next + 1) % maxProven
	}
	// The declared type is of any length, and for people.
	p.known[d] = image.Content{Kind: c.Kind, OtherConfig: c.OtherConfig, NoArchive: c.NoArchive}
}
