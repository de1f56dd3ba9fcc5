package intake

import "sync"

// memory is a bounded set. When it is full it forgets the older half, which
// costs at most that something is looked at, or logged, again.
type memory[K comparable] struct {
	half int

	mu         sync.Mutex
	young, old map[K]struct{}
}

func newMemory[K comparable](size int) *memory[K] {
	return &memory[K]{half: size / 2, young: map[K]struct{}{}}
}

func (m *memory[K]) has(k K) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.young[k]; ok {
		return true
	}
	if _, ok := m.old[k]; ok {
		m.put(k)
		return true
	}
	return false
}

// add reports whether k is new.
func (m *memory[K]) add(k K) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, young := m.young[k]
	_, old := m.old[k]
	if !young {
		m.put(k)
	}
	return !young && !old
}

func (m *memory[K]) put(k K) {
	if len(m.young) >= m.half {
		m.old, m.young = m.young, map[K]struct{}{}
	}
	m.young[k] = struct{}{}
}
