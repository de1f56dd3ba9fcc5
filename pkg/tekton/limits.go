package tekton

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// SenderOptions bounds what one request may cost.
type SenderOptions struct {
	// Timeout bounds one request, its answer included. It must end before the
	// controller's lease does.
	Timeout time.Duration
	// DialTimeout bounds the connection's establishment, TLS included.
	DialTimeout time.Duration
	// IdleConnections is how many idle connections are kept to one sink.
	IdleConnections int

	// Sign returns the signature of a body that a trigger of the namespace sends to an
	// EventListener. Without it nothing is signed.
	Sign func(ctx context.Context, namespace string, body []byte) (string, error)
	// Services reads Services, live. Without it, DNS decides where a Service is.
	Services client.Reader
	// Listed is the policy of hosts that may be anywhere: those that an operator lists.
	Listed Policy
	// ClusterDomain is what names of Services end in, such as cluster.local. A name that ends
	// in svc counts as well.
	ClusterDomain string
}

func (o SenderOptions) validate() error {
	switch {
	case o.Timeout <= 0:
		return fmt.Errorf("option Timeout is %v; it must be positive", o.Timeout)
	case o.DialTimeout <= 0 || o.DialTimeout > o.Timeout:
		return fmt.Errorf("option DialTimeout is %v; it must be positive and at most Timeout, %v", o.DialTimeout, o.Timeout)
	case o.IdleConnections < 0:
		return fmt.Errorf("option IdleConnections is %d; it must not be negative", o.IdleConnections)
	case (o.Services == nil) != (o.Listed == nil):
		return errors.New("of the options Services and Listed, one is set without the other")
	}
	return nil
}

const (
	// maxReply is how much of an answer is read, so that the connection can be reused.
	// A longer answer costs the sink its connection.
	maxReply = 16 << 10
	// maxReplyHeader bounds the answer's header.
	maxReplyHeader = 64 << 10
	// maxRetryAfter bounds what a sink may ask for.
	maxRetryAfter = 5 * time.Minute
	// idleTimeout is shorter than that of most servers and load balancers, so that
	// requests rarely meet a closing connection.
	idleTimeout = 30 * time.Second
)
