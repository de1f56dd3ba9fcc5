package sweep

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/revet-dev/revet/pkg/source"
)

const (
	// maxFailures is how often in a row a registry may fail to answer before the sweep
	// leaves the rest of it to the next one.
	maxFailures = 5
	// failureBackoff is how long a registry that does not answer is left alone.
	failureBackoff = 30 * time.Second
)

// backoff knows the registries that one sweep no longer asks: those that ask for no more
// requests, and those that do not answer. It is safe for concurrent use.
type backoff struct {
	now func() time.Time

	mu     sync.Mutex
	hosts  map[string]*source.RetryAfterError
	failed map[string]int
}

func newBackoff(now func() time.Time) *backoff {
	return &backoff{now: now, hosts: map[string]*source.RetryAfterError{}, failed: map[string]int{}}
}

// ask sends a request unless the sweep leaves its host alone, and learns from the answer.
func (b *backoff) ask(host string, request func() error) error {
	b.mu.Lock()
	off := b.hosts[host]
	b.mu.Unlock()
	if off != nil {
		return off
	}
	err := request()
	var later *source.RetryAfterError
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil, source.ReasonOf(err) != "":
		delete(b.failed, host)
	case errors.As(err, &later):
		b.hosts[host] = later
	default:
		if b.failed[host]++; b.failed[host] >= maxFailures {
			b.hosts[host] = &source.RetryAfterError{Host: host, Until: b.now().Add(failureBackoff),
				Err: fmt.Errorf("registry %q failed %d times in a row, so the next sweep reads the rest: %w", host, maxFailures, err)}
		}
	}
	return err
}
