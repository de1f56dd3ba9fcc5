package push

import (
	"sync"

	"github.com/revet-dev/revet/pkg/image"
)

// Exemptions are the digests that were proven to name nothing that runs, such as
// signatures and SBOMs: a push of one is exempt. Only content that was recomputed
// from a digest's own bytes proves that; no name, header or object does. What is not
// in it is a push. It is bounded: when it is full it forgets the older half, which
// costs reading again. It is safe for concurrent use.
type Exemptions struct {
	half int

	mu         sync.Mutex
	young, old map[image.Digest]image.Runnability
}

// maxExemptions is about 5 MB.
const maxExemptions = 32768

// NewExemptions returns none.
func NewExemptions() *Exemptions { return newExemptions(maxExemptions) }

func newExemptions(size int) *Exemptions {
	return &Exemptions{half: size / 2, young: map[image.Digest]image.Runnability{}}
}

// Exempt decides on a digest by its recomputed content, and remembers what it proves.
func (e *Exemptions) Exempt(d image.Digest, recomputed image.Content) bool {
	why := recomputed.Runnability()
	if why.Runnable() {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.put(d, why)
	return true
}

// Runnable implements Runnable, from memory only.
func (e *Exemptions) Runnable(d image.Digest) bool { return e.Why(d) == "" }

// Why returns why a digest is exempt; empty if it is not known to be.
func (e *Exemptions) Why(d image.Digest) image.Runnability {
	e.mu.Lock()
	defer e.mu.Unlock()
	if why, ok := e.young[d]; ok {
		return why
	}
	why, ok := e.old[d]
	if ok {
		e.put(d, why)
	}
	return why
}

func (e *Exemptions) put(d image.Digest, why image.Runnability) {
	if _, ok := e.young[d]; !ok && len(e.young) >= e.half {
		e.old, e.young = e.young, map[image.Digest]image.Runnability{}
	}
	e.young[d] = why
}
