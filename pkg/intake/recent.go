package intake

import "sync"

// recent counts by key, for a bounded number of keys. When it is full it forgets the half
// that was not used for longest, which costs at most that Revet reports something again.
type recent[K comparable] struct {
	half int

	mu         sync.Mutex
	young, old map[K]int
}

func newRecent[K comparable](size int) *recent[K] {
	return &recent[K]{half: size / 2, young: map[K]int{}}
}

// add counts k once more, and returns how often it was counted.
func (r *recent[K]) add(k K) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, young := r.young[k]
	if !young {
		n = r.old[k]
		if len(r.young) >= r.half {
			r.old, r.young = r.young, map[K]int{}
		}
	}
	r.young[k] = n + 1
	return n + 1
}

// forget counts k from zero again.
func (r *recent[K]) forget(k K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.young, k)
	delete(r.old, k)
}

// first reports whether k is new.
func (r *recent[K]) first(k K) bool { return r.add(k) == 1 }
