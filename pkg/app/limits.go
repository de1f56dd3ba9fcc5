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
	// Connections of each server, with about 10 KiB each.
	maxConnections          = 1024
	maxConnectionsOfAddress = 128
	// A listener opens a connection for each request of a burst.
	maxConnectionsOfListener = 512
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

// interceptorLimits are what one question of an EventListener may cost. The body that it asks
// about is escaped in it, and has the image's labels. A listener that gets no answer drops the
// request, which the controller sends again ten seconds later, so that a burst should find room:
// a question is under way for a millisecond or so, and takes some kilobytes.
func interceptorLimits() receiver.Limits {
	return receiver.Limits{
		EventBody:     4 << 20,
		InFlight:      512,
		InFlightBytes: 16 << 20,
		Deadline:      5 * time.Second,
		ReadTimeout:   readTimeout,
		RetryAfter:    time.Second,
	}
}
