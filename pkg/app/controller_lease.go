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
// only that it began and, some time after the fact, that it ended; so its writes
// of Lease objects are watched on their way out.
//
// A lease that was written by a request begun at t is taken over by nobody
// before t plus its duration: others count from when they first see the write.
// Only clocks of one machine are compared, so clocks may differ; they must not
// run at speeds that differ by more than the margin.
type leases struct {
	identity string
	now      func() time.Time

	mu   sync.Mutex
	held map[string]*heldLease
}

type heldLease struct {
	until time.Time
	users int
	// idle is closed and replaced whenever users falls to 0.
	idle chan struct{}
}

func newLeases(identity string, now func() time.Time) *leases {
	return &leases{identity: identity, now: now, held: map[string]*heldLease{}}
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
	l.get(name).until = begun.Add(duration - leaseMargin)
}

// giveUp allows nothing any more under the lease, and waits for what it allowed.
func (l *leases) giveUp(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, releaseWait)
	defer cancel()
	for {
		l.mu.Lock()
		h := l.get(name)
		h.until = time.Time{}
		users, idle := h.users, h.idle
		l.mu.Unlock()
		if users == 0 {
			return
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return // what is under way ends before the lease would have
		}
	}
}

// hold allows something under the lease, if there is enough of it left for a
// request to a sink: one that is cut off in the middle may or may not have arrived.
func (l *leases) hold(ctx context.Context, name string) (context.Context, func(), bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.get(name)
	if h.until.Sub(l.now()) < sinkTimeout {
		return nil, nil, false
	}
	h.users++
	// context deadlines are of the real clock; until is of the same one, or of
	// one that tests set and that then does not move.
	held, cancel := context.WithTimeout(ctx, h.until.Sub(l.now()))
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

// guard is the Lease of one controller: it finds the bucket of a key.
type guard struct {
	leases  *leases
	buckets *hash.BucketSet
}

// Hold allows a key's work under the lease of its bucket.
func (g *guard) Hold(ctx context.Context, key types.NamespacedName) (context.Context, func(), bool) {
	return g.leases.hold(ctx, g.buckets.Owner(key.String()))
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

func (c watchedLeases) Create(ctx context.Context, lease *coordinationv1.Lease, opts metav1.CreateOptions) (*coordinationv1.Lease, error) {
	return c.write(ctx, lease, func() (*coordinationv1.Lease, error) { return c.LeaseInterface.Create(ctx, lease, opts) })
}

func (c watchedLeases) Update(ctx context.Context, lease *coordinationv1.Lease, opts metav1.UpdateOptions) (*coordinationv1.Lease, error) {
	return c.write(ctx, lease, func() (*coordinationv1.Lease, error) { return c.LeaseInterface.Update(ctx, lease, opts) })
}

func (c watchedLeases) write(ctx context.Context, lease *coordinationv1.Lease, do func() (*coordinationv1.Lease, error)) (*coordinationv1.Lease, error) {
	holder, seconds := "", int32(0)
	if lease.Spec.HolderIdentity != nil {
		holder = *lease.Spec.HolderIdentity
	}
	if lease.Spec.LeaseDurationSeconds != nil {
		seconds = *lease.Spec.LeaseDurationSeconds
	}
	if holder != c.leases.identity {
		c.leases.giveUp(ctx, lease.Name)
		return do()
	}
	begun := c.leases.now()
	written, err := do()
	if err == nil {
		c.leases.extend(lease.Name, begun, time.Duration(seconds)*time.Second)
	}
	return written, err
}
