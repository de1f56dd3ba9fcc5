package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/kubernetes"
	typedcoordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"knative.dev/pkg/hash"
	kle "knative.dev/pkg/leaderelection"
)

// leases knows until when this process leads. The leader election itself tells
// only that it began and, some time after the fact, that it ended: a process that
// was stopped and goes on takes itself for the leader for as long as it tries to
// renew. So the reads and writes of Lease objects are watched on their way.
//
// A lease that was written by a request begun at t is taken over by nobody
// before t plus its duration: others count from when they first see the write.
// Only clocks of one machine are compared, so clocks may differ; they must not
// run at speeds that differ by more than the margin.
//
// No clock can tell that a process was stopped between looking at it and the
// next thing it does. What is done under a lease therefore does no harm when it
// is done too late: a request carries a run's name, which is taken once, or was
// written down under the entry's resourceVersion by the one process that may
// send it; and a status is written under the resourceVersion that was read.
type leases struct {
	identity string

	mu   sync.Mutex
	held map[string]*heldLease
}

type heldLease struct {
	// until is when the lease ends, less the margin, with a monotonic reading; wall
	// is the same without one. The monotonic clock stands still while a machine
	// sleeps, the wall clock may be set back: the lease ends by whichever is first.
	until, wall time.Time
	// ending is true while the lease is given up: what it allowed may end.
	ending bool
	// holder is whom the API server last named.
	holder string
	users  int
	// idle is closed and replaced whenever users falls to 0.
	idle chan struct{}
}

func newLeases(identity string) *leases {
	return &leases{identity: identity, held: map[string]*heldLease{}}
}

func (h *heldLease) end(at time.Time) { h.until, h.wall = at, at.Round(0) }

// left returns how much is left of the lease.
func (h *heldLease) left() time.Duration {
	now := time.Now()
	return min(h.until.Sub(now), h.wall.Sub(now.Round(0)))
}

func (l *leases) get(name string) *heldLease {
	h := l.held[name]
	if h == nil {
		h = &heldLease{idle: make(chan struct{})}
		l.held[name] = h
	}
	return h
}

// extend notes that the lease was written by a request that began at begun.
func (l *leases) extend(name string, begun time.Time, duration time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.get(name)
	h.end(begun.Add(duration - leaseMargin))
	h.ending, h.holder = false, l.identity
}

// saw notes whom the API server names as the holder.
func (l *leases) saw(name, holder string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.get(name)
	h.holder = holder
	if holder != l.identity {
		h.end(time.Time{})
	}
}

func (l *leases) lastHolder(name string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.get(name).holder
}

// giveUp allows nothing any more under the lease, and waits for what it allowed.
// It reports false if that has not ended: others must then wait for the lease to
// run out, before which what is under way ends.
func (l *leases) giveUp(ctx context.Context, name string) bool {
	ctx, cancel := context.WithTimeout(ctx, releaseWait)
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

// hold allows something under the lease, if there is enough of it left for a
// request to a sink: one that is cut off in the middle may or may not have arrived.
func (l *leases) hold(ctx context.Context, name string) (context.Context, func(), bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.get(name)
	if h.ending || h.left() < sinkTimeout {
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

// write allows a write that the API server refuses if it comes too late, and so
// needs no time to be left for it. What a lease allowed may be written down
// while it is given up.
func (l *leases) write(ctx context.Context, name string) (context.Context, context.CancelFunc, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.get(name)
	if h.left() <= 0 {
		return nil, nil, false
	}
	held, cancel := context.WithDeadline(ctx, h.until)
	return held, cancel, true
}

// guard is the Lease of one controller: it finds the bucket of a key.
type guard struct {
	leases  *leases
	buckets *hash.BucketSet
}

// Hold allows a key's work under the lease of its bucket.
func (g *guard) Hold(ctx context.Context, key types.NamespacedName) (context.Context, func(), bool) {
	return g.leases.hold(ctx, g.buckets.Owner(key.String()))
}

// write allows a write of a key's status under the lease of its bucket.
func (g *guard) write(ctx context.Context, key types.NamespacedName) (context.Context, context.CancelFunc, bool) {
	return g.leases.write(ctx, g.buckets.Owner(key.String()))
}

// guard returns the Lease of the controller of a name, and the leader election's
// configuration that uses the same buckets.
func (l *leases) guard(config *kle.Config, queue string) (*guard, kle.ComponentConfig) {
	component := config.GetComponentConfig("controller")
	component.Identity = l.identity
	component.LeaseName = func(i uint32) string {
		return fmt.Sprintf("controller.%s.%02d-of-%02d", queue, i, config.Buckets)
	}
	names := sets.New[string]()
	for i := range config.Buckets {
		names.Insert(component.LeaseName(i))
	}
	return &guard{leases: l, buckets: hash.NewBucketSet(names)}, component
}

// watch returns a client whose writes of Leases are noted.
func (l *leases) watch(c kubernetes.Interface) kubernetes.Interface { return watchedClient{c, l} }

type watchedClient struct {
	kubernetes.Interface
	leases *leases
}

func (c watchedClient) CoordinationV1() typedcoordination.CoordinationV1Interface {
	return watchedCoordination{c.Interface.CoordinationV1(), c.leases}
}

type watchedCoordination struct {
	typedcoordination.CoordinationV1Interface
	leases *leases
}

func (c watchedCoordination) Leases(namespace string) typedcoordination.LeaseInterface {
	return watchedLeases{c.CoordinationV1Interface.Leases(namespace), c.leases}
}

type watchedLeases struct {
	typedcoordination.LeaseInterface
	leases *leases
}

func (c watchedLeases) Get(ctx context.Context, name string, opts metav1.GetOptions) (*coordinationv1.Lease, error) {
	lease, err := c.LeaseInterface.Get(ctx, name, opts)
	if err == nil {
		c.leases.saw(name, holderOf(lease))
	}
	return lease, err
}

func (c watchedLeases) Create(ctx context.Context, lease *coordinationv1.Lease, opts metav1.CreateOptions) (*coordinationv1.Lease, error) {
	return c.write(ctx, lease, func() (*coordinationv1.Lease, error) { return c.LeaseInterface.Create(ctx, lease, opts) })
}

func (c watchedLeases) Update(ctx context.Context, lease *coordinationv1.Lease, opts metav1.UpdateOptions) (*coordinationv1.Lease, error) {
	return c.write(ctx, lease, func() (*coordinationv1.Lease, error) { return c.LeaseInterface.Update(ctx, lease, opts) })
}

func (c watchedLeases) write(ctx context.Context, lease *coordinationv1.Lease, do func() (*coordinationv1.Lease, error)) (*coordinationv1.Lease, error) {
	if holderOf(lease) != c.leases.identity {
		return c.release(ctx, lease, do)
	}
	seconds := int32(0)
	if lease.Spec.LeaseDurationSeconds != nil {
		seconds = *lease.Spec.LeaseDurationSeconds
	}
	begun := time.Now()
	written, err := do()
	if err == nil {
		c.leases.extend(lease.Name, begun, time.Duration(seconds)*time.Second)
	}
	return written, err
}

// release gives a lease back, unless it is another's: the leader election reads
// the lease before it releases it, for the resourceVersion, and does not look at
// whose it is by then. A process that was stopped while it renewed would end the
// lease of whoever leads now, and could take it while that one still works.
func (c watchedLeases) release(ctx context.Context, lease *coordinationv1.Lease, do func() (*coordinationv1.Lease, error)) (*coordinationv1.Lease, error) {
	idle := c.leases.giveUp(ctx, lease.Name)
	if holder := c.leases.lastHolder(lease.Name); holder != c.leases.identity {
		return nil, fmt.Errorf("lease %q is not given back: %q holds it", lease.Name, holder)
	}
	if !idle {
		return nil, fmt.Errorf("lease %q is not given back before it ends: something is under way", lease.Name)
	}
	return do()
}

func holderOf(lease *coordinationv1.Lease) string {
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}
