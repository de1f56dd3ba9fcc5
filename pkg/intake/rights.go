package intake

import (
	"context"
	"sync"
	"time"
)

const (
	// rightTrust is how long a yes to whether an account may get a stream is
	// believed. Who loses the right may be shown pushes for that much longer, which
	// is what API servers that ask others for their yes believe it for, or less.
	rightTrust = 10 * time.Second
	// maxRights bounds the answers that are kept.
	maxRights = 4096
)

// trusting is a Cluster that asks only once in a while for the same right. Only a
// yes is kept: whoever is given a right has it at once.
type trusting struct {
	Cluster
	now func() time.Time

	mu      sync.Mutex
	granted map[right]time.Time // when the question was asked
}

type right struct {
	account         Account
	namespace, name string
}

func newTrusting(c Cluster, now func() time.Time) *trusting {
	return &trusting{Cluster: c, now: now, granted: map[right]time.Time{}}
}

// MayGet answers from memory, or asks.
func (t *trusting) MayGet(ctx context.Context, account Account, namespace, name string) (bool, error) {
	r, asked := right{account, namespace, name}, t.now()
	if t.has(r, asked) {
		return true, nil
	}
	allowed, err := t.Cluster.MayGet(ctx, account, namespace, name)
	if err == nil && allowed {
		t.keep(r, asked)
	}
	return allowed, err
}

func (t *trusting) has(r right, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	asked, ok := t.granted[r]
	// A clock that was set back must not make an answer last.
	return ok && !now.Before(asked) && now.Sub(asked) < rightTrust
}

func (t *trusting) keep(r right, asked time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.granted) >= maxRights {
		clear(t.granted) // costs a question each
	}
	t.granted[r] = asked
}
