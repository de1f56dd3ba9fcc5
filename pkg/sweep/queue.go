package sweep

import (
	"slices"
	"sync"
)

// queue holds the triggers that wait, each once. It is safe for concurrent use.
type queue struct {
	wake chan struct{}

	mu      sync.Mutex
	targets []*target
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

func (q *queue) put(t *target) {
	q.mu.Lock()
	q.targets = slices.DeleteFunc(q.targets, func(have *target) bool { return have.trigger.UID == t.trigger.UID })
	q.targets = append(q.targets, t)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) take() []*target {
	q.mu.Lock()
	defer q.mu.Unlock()
	targets := q.targets
	q.targets = nil
	return targets
}
