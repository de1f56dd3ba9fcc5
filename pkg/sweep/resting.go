package sweep

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/revet-dev/revet/pkg/source"
)

const (
	// patience is how often in a row a registry may fail to answer before the rest
	// of its sweep is left for the next one.
	patience = 5
	// silence is how long a registry that does not answer is left alone.
	silence = 30 * time.Second
)

// resting are the registries that one sweep has stopped asking: those that say that
// they were asked too much, and those that do not answer. It is safe for
// concurrent use.
type resting struct {
	now func() time.Time

	mu     sync.Mutex
	hosts  map[string]*source.RetryAfterError
	failed map[string]int
}

func newResting(now func() time.Time) *resting {
	return &resting{now: now, hosts: map[string]*source.RetryAfterError{}, failed: map[string]int{}}
}

// ask does a request unless its host rests, and learns from how it ends.
func (r *resting) ask(host string, request func() error) error {
	r.mu.Lock()
	off := r.hosts[host]
	r.mu.Unlock()
	if off != nil {
		return off
	}
	err := request()
	var putOff *source.RetryAfterError
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil, source.ReasonOf(err) != "":
		delete(r.failed, host)
	case errors.As(err, &putOff):
		r.hosts[host] = putOff
	default:
		if r.failed[host]++; r.failed[host] >= patience {
			r.hosts[host] = &source.RetryAfterError{Host: host, Until: r.now().Add(silence),
				Err: fmt.Errorf("registry %q failed %d times in a row, and the rest is left for the next sweep: %w", host, patience, err)}
		}
	}
	return err
}
