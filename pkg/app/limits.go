package app

import (
	"time"

	"github.com/revet-dev/revet/pkg/receiver"
)

// The limits of the servers, all in one place.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 30 * time.Second // more than requestDeadline and the body's reading
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
	// Connections, with about 10 KiB each. Probes come from the node's address, which no
	// Pod shares that has a network of its own.
	maxConnections          = 1024
	maxConnectionsOfAddress = 128
	// shutdownTimeout is how long the program waits for running requests when it stops.
	// It is shorter than a Pod's usual grace period of 30 s.
	shutdownTimeout = 20 * time.Second

	// readyCacheTime is how old an answer of /readyz may be, because anybody may ask.
	readyCacheTime = time.Second
	readyTimeout   = 2 * time.Second

	// registryTimeout bounds the re-read of a tag: its sender waits.
	registryTimeout = 2 * time.Second
)

// receiverLimits are what one request to the receiver may cost. Together the
// bodies under way stay within a quarter of what the Pod may use.
func receiverLimits() receiver.Limits {
	return receiver.Limits{
		EventBody:     8 << 20,
		WebhookBody:   1 << 20,
		InFlight:      256,
		InFlightBytes: 32 << 20,
		// Longer than anything usually takes, shorter than an adapter waits: the
		// sender shall get an answer, not a broken connection.
		Deadline:    10 * time.Second,
		ReadTimeout: readTimeout,
		RetryAfter:  time.Second,
	}
}
