package intake

import (
	"context"
	"sync"
)

// locks hold one lock for each name that is in use.
type locks struct {
	mu   sync.Mutex
	held map[string]*nameLock
}

type nameLock struct {
	token chan struct{}
	users int
}

// lock waits for the name, or for the end of ctx. What was known before may be out of
// date then, also if it did not have to wait: who held the name may have left it
// between the two.
func (l *locks) lock(ctx context.Context, name string) (unlock func(), err error) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*nameLock{}
	}
	n, held := l.held[name]
	if !held {
		n = &nameLock{token: make(chan struct{}, 1)}
		l.held[name] = n
	}
	n.users++
	l.mu.Unlock()

	select {
	case n.token <- struct{}{}:
		return func() { <-n.token; l.leave(name, n) }, nil
	case <-ctx.Done():
		l.leave(name, n)
		return nil, ctx.Err()
	}
}

func (l *locks) leave(name string, n *nameLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n.users--; n.users == 0 {
		delete(l.held, name)
	}
}
