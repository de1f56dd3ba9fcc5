package push

import (
	"sync"

	"github.com/revet-dev/revet/pkg/image"
)

// Exemptions remembers digests that provably name nothing that runs, such as signatures and SBOMs.
// Their pushes are exempt. Only content recomputed from the digest's own bytes is a proof; names,
// headers and API objects are not. Any digest that is not remembered counts as a push. Exemptions
// is bounded: when it is full it forgets the older half, which costs another read. It is safe for
// concurrent use.
type Exemptions struct {
	half int

	mu         sync.Mutex
	young, old map[image.Digest]image.Runnability
}

// maxExemptions takes about 5 MB.
const maxExemptions = 32768

// NewExemptions returns an empty Exemptions.
func NewExemptions() *Exemptions { return newExemptions(maxExemptions) }

func newExemptions(size int) *Exemptions {
	return &Exemptions{half: size / 2, young: map[image.Digest]image.Runnability{}}
}

// Exempt decides about a digest from its recomputed content, and remembers a proof.
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

// Runnable implements Runnable. It only looks into its memory.
func (e *Exemptions) Runnable(d image.Digest) bool { return e.Why(d) == "" }

// Why returns the reason why a digest is exempt, or an empty reason if none is known.
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
