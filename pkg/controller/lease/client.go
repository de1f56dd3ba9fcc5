package lease

import (
	"context"
	"time"

	knative "knative.dev/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// writeRetry is when a key is processed again whose status was not written because this
// process did not hold the lease. The renewal may just be late.
const writeRetry = time.Second

// Client writes the status of objects only while this process leads them. The
// resourceVersion refuses most of what an old leader would write, but not what it
// decided before it was stopped, if nobody has written the object since.
type Client struct {
	client.Client
	Guard *Guard
}

// Status returns a writer of statuses under the lease.
func (c Client) Status() client.SubResourceWriter {
	return statusWriter{c.Client.Status(), c.Guard}
}

type statusWriter struct {
	client.SubResourceWriter
	guard *Guard
}

// Update writes a status, or asks for the key to be processed again.
func (s statusWriter) Update(ctx context.Context, o client.Object, opts ...client.SubResourceUpdateOption) error {
	held, cancel, ok := s.guard.Write(ctx, client.ObjectKeyFromObject(o))
	if !ok {
		return knative.NewRequeueAfter(writeRetry)
	}
	defer cancel()
	return s.SubResourceWriter.Update(held, o, opts...)
}
