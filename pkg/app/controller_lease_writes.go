package app

import (
	"context"

	knative "knative.dev/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// leasedLedger writes entries only while this process leads them. The
// resourceVersion refuses most of what an old leader would write, but not what
// it decided before it was stopped, if nobody wrote the entry since.
type leasedLedger struct {
	ledger *ledger.Ledger
	guard  *guard
}

// UpdateStatus implements imageverification.Ledger.
func (l leasedLedger) UpdateStatus(ctx context.Context, e *v1alpha1.ImageVerification, mutate func(*v1alpha1.ImageVerificationStatus)) (*v1alpha1.ImageVerification, error) {
	held, cancel, ok := l.guard.write(ctx, client.ObjectKeyFromObject(e))
	if !ok {
		return nil, knative.NewRequeueAfter(leaseWait)
	}
	defer cancel()
	return l.ledger.UpdateStatus(held, e, mutate)
}

// Freshest implements imageverification.Ledger.
func (l leasedLedger) Freshest(cached *v1alpha1.ImageVerification) *v1alpha1.ImageVerification {
	return l.ledger.Freshest(cached)
}

// Head implements imageverification.Ledger. Anybody may look.
func (l leasedLedger) Head(e *v1alpha1.ImageVerification, tag string) lifecycle.Head {
	return l.ledger.Head(e, tag)
}

// leasedClient writes the status of objects only while this process leads them.
type leasedClient struct {
	client.Client
	guard *guard
}

// Status returns what writes a status under the lease.
func (c leasedClient) Status() client.SubResourceWriter {
	return leasedStatus{c.Client.Status(), c.guard}
}

type leasedStatus struct {
	client.SubResourceWriter
	guard *guard
}

// Update writes a status.
func (s leasedStatus) Update(ctx context.Context, o client.Object, opts ...client.SubResourceUpdateOption) error {
	held, cancel, ok := s.guard.write(ctx, client.ObjectKeyFromObject(o))
	if !ok {
		return knative.NewRequeueAfter(leaseWait)
	}
	defer cancel()
	return s.SubResourceWriter.Update(held, o, opts...)
}
