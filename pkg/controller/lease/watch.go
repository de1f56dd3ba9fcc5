package lease

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	typedcoordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
)

// Watch returns a client that notes each read and write of a Lease.
func (l *Leases) Watch(c kubernetes.Interface) kubernetes.Interface { return watchedClient{c, l} }

type watchedClient struct {
	kubernetes.Interface
	leases *Leases
}

func (c watchedClient) CoordinationV1() typedcoordination.CoordinationV1Interface {
	return watchedCoordination{c.Interface.CoordinationV1(), c.leases}
}

type watchedCoordination struct {
	typedcoordination.CoordinationV1Interface
	leases *Leases
}

func (c watchedCoordination) Leases(namespace string) typedcoordination.LeaseInterface {
	return watchedLeases{c.CoordinationV1Interface.Leases(namespace), c.leases}
}

type watchedLeases struct {
	typedcoordination.LeaseInterface
	leases *Leases
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

// release gives a lease back, unless another process holds it. Leader election reads
// the lease for its resourceVersion before it releases it, and does not look at the
// holder. A process that was stopped while it renewed would end the new leader's
// lease, and could take it while that leader still works.
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
