package rootfs

import (
	"hash/maphash"
	"strings"
)

// state is what higher layers have at a path.
type state uint8

const (
	// directory: what lower layers have below it is merged in.
	directory state = iota + 1
	// opaque: a directory, and lower layers have nothing below it.
	opaque
	// blocked: not a directory, or removed. Lower layers have nothing at it or below.
	blocked
)

// shadow remembers what is at the paths of layers. It keeps hashes and not paths:
// images have hundreds of thousands of them. The seed is random, so that nobody
// can make two paths collide.
type shadow struct {
	seed   maphash.Seed
	states map[uint64]state
}

func newShadow(seed maphash.Seed) shadow {
	return shadow{seed: seed, states: map[uint64]state{}}
}

func (s shadow) get(path string) state { return s.states[maphash.String(s.seed, path)] }

func (s shadow) set(path string, st state) { s.states[maphash.String(s.seed, path)] = st }

// hides reports whether an entry of a lower layer is not to be seen.
func (s shadow) hides(path string, dir bool) bool {
	switch s.get(path) {
	case blocked, opaque:
		return true
	case directory:
		if !dir {
			return true
		}
	}
	for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
		if st := s.get(path[:i]); st == blocked || st == opaque {
			return true
		}
	}
	return s.get("") == opaque // the root itself
}

// layer is what one layer has: entries of its own, and what it removes from those
// below. Removing does not touch its own entries, whatever their order.
type layer struct {
	entries shadow
	removed shadow
}

// absorb adds a layer below those that s is of.
func (s shadow) absorb(l layer) {
	for key, below := range l.entries.states {
		s.states[key] = under(s.states[key], below)
	}
	for key, removed := range l.removed.states {
		if l.entries.states[key] == directory {
			removed = opaque // removed, and made again by the same layer
		}
		s.states[key] = under(s.states[key], removed)
	}
}

// under joins what layers above have with what the layer below them has.
func under(above, below state) state {
	switch above {
	case blocked, opaque:
		return above
	case directory:
		if below == directory {
			return directory
		}
		return opaque // what was below it before is gone
	default:
		return below
	}
}
