package lease

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"knative.dev/pkg/hash"
	kle "knative.dev/pkg/leaderelection"
)

const (
	// margin is kept between the end of what a lease allows and the end of the lease,
	// for clocks that run at different speeds.
	margin = time.Second
	// releaseMargin is how much longer than one use a release waits for the uses of
	// the lease to end.
	releaseMargin = time.Second
)

// Leases knows until when this process leads. It is safe for concurrent use.
type Leases struct {
	identity string
	// use is how long one use of a lease may take.
	use time.Duration

	mu   sync.Mutex
	held map[string]*heldLease
}

// New returns the Leases of a process. Identity is its name among those that may lead.
// Use is how long one use of a lease may take, such as a request to a sink: a lease
// that ends sooner allows none.
func New(identity string, use time.Duration) *Leases {
	return &Leases{identity: identity, use: use, held: map[string]*heldLease{}}
}

type heldLease struct {
	// until is when the lease ends, less the margin, with a monotonic reading; wall is
	// the same without one. The monotonic clock stops while a machine sleeps, and
	// somebody may set back the wall clock: the lease ends by whichever is first.
	until, wall time.Time
	// ending is true while the process releases the lease: running uses may end, and
	// no new one begins.
	ending bool
	// holder is the holder that the API server last named.
	holder string
	users  int
	// idle is closed and replaced whenever users falls to 0.
	idle chan struct{}
}

func (h *heldLease) end(at time.Time) { h.until, h.wall = at, at.Round(0) }

// left returns how much is left of the lease.
func (h *heldLease) left() time.Duration {
	now := time.Now()
	return min(h.until.Sub(now), h.wall.Sub(now.Round(0)))
}

func (l *Leases) get(name string) *heldLease {
	h := l.held[name]
	if h == nil {
		h = &heldLease{idle: make(chan struct{})}
		l.held[name] = h
	}
	return h
}

// extend notes that a request which began at begun wrote the lease.
func (l *Leases) extend(name string, begun time.Time, duration time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.get(name)
	h.end(begun.Add(duration - margin))
	h.ending, h.holder = false, l.identity
}

// saw notes the holder that the API server names.
func (l *Leases) saw(name, holder string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.get(name)
	h.holder = holder
	if holder != l.identity {
		h.end(time.Time{})
	}
}

func (l *Leases) lastHolder(name string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.get(name).holder
}

// giveUp stops new uses of the lease and waits for the running ones. It returns false
// if they have not ended: others must then wait until the lease expires, before which
// the uses end.
func (l *Leases) giveUp(ctx context.Context, name string) bool {
	ctx, cancel := context.WithTimeout(ctx, l.use+releaseMargin)
	defer cancel()
	for {
		l.mu.Lock()
		h := l.get(name)
		h.ending = true
		users, idle := h.users, h.idle
		if users == 0 {
			h.end(time.Time{})
		}
		l.mu.Unlock()
		if users == 0 {
			return true
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return false
		}
	}
}

// hold begins a use of the lease, if enough of it is left: a request that is cut off in
// the middle may or may not have arrived.
func (l *Leases) hold(ctx context.Context, name string) (context.Context, func(), bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.get(name)
	if h.ending || h.left() < l.use {
		return nil, nil, false
	}
	h.users++
	// A deadline, not a time from now on: the process may be stopped right here.
	held, cancel := context.WithDeadline(ctx, h.until)
	return held, sync.OnceFunc(func() {
		cancel()
		l.mu.Lock()
		defer l.mu.Unlock()
		if h.users--; h.users == 0 {
			close(h.idle)
			h.idle = make(chan struct{})
		}
	}), true
}

// write allows a write that the API server refuses if it comes too late, so that it
// needs no time left. A use may record its result while the lease is being released.
func (l *Leases) write(ctx context.Context, name string) (context.Context, context.CancelFunc, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.get(name)
	if h.left() <= 0 {
		return nil, nil, false
	}
	held, cancel := context.WithDeadline(ctx, h.until)
	return held, cancel, true
}

// Guard is the lease of one controller. It finds the bucket of a key.
type Guard struct {
	leases  *Leases
	buckets *hash.BucketSet
}

// Hold begins a use of the lease of the key's bucket, if this process holds it. The
// context ends before the lease can; release ends the use.
func (g *Guard) Hold(ctx context.Context, key types.NamespacedName) (context.Context, func(), bool) {
	return g.leases.hold(ctx, g.buckets.Owner(key.String()))
}

// Write allows a write of the key's status under the lease of its bucket.
func (g *Guard) Write(ctx context.Context, key types.NamespacedName) (context.Context, context.CancelFunc, bool) {
	return g.leases.write(ctx, g.buckets.Owner(key.String()))
}

// Guard returns the lease of the controller with the given queue, and a configuration
// of leader election with the same buckets.
func (l *Leases) Guard(config *kle.Config, queue string) (*Guard, kle.ComponentConfig) {
	component := config.GetComponentConfig("controller")
	component.Identity = l.identity
	component.LeaseName = func(i uint32) string {
		return fmt.Sprintf("controller.%s.%02d-of-%02d", queue, i, config.Buckets)
	}
	names := sets.New[string]()
	for i := range config.Buckets {
		names.Insert(component.LeaseName(i))
	}
	return &Guard{leases: l, buckets: hash.NewBucketSet(names)}, component
}
