package registry

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/revet-dev/revet/pkg/source"
)

const (
	// longestWait bounds one wait for a registry that asks for it; what is longer is
	// told instead.
	longestWait = 10 * time.Second
	// repeats is how often a request that was refused for now is sent again.
	repeats = 2
	// usualRest is how long a registry that does not say is left alone.
	usualRest = time.Second
	// longestRest bounds what a registry can ask for: a mistake must not end its
	// sweeps for good.
	longestRest = time.Hour
)

// limited is a registry's word that it got too many requests. The limiter sends none to
// the host before that time.
func limited(host string, until time.Time) error {
	return &source.RetryAfterError{Host: host, Until: until, Err: fmt.Errorf(
		"registry %q limits requests and asks to be left alone until %s", host, until.UTC().Format(time.RFC3339))}
}

// limiter sends requests no faster than is wanted here and than the registry
// wants. It stands under the HTTP client, so that token hosts and the targets of
// redirects are respected too.
type limiter struct {
	next  http.RoundTripper
	rests *rests
	pace  *pace // nil: no pace of our own
}

func (l *limiter) RoundTrip(r *http.Request) (*http.Response, error) {
	host := r.URL.Host
	for attempt := 0; ; attempt++ {
		if err := l.rests.wait(r.Context(), host); err != nil {
			return nil, err
		}
		if err := l.pace.wait(r.Context(), host); err != nil {
			return nil, err
		}
		resp, err := l.next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		rest, asked := asksForRest(resp, l.rests.now())
		if !asked {
			return resp, nil
		}
		until := l.rests.begin(host, rest)
		// Read to its end, the connection is used again.
		_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
		_ = resp.Body.Close()
		if attempt == repeats || r.Body != nil {
			return nil, limited(host, until)
		}
	}
}

// asksForRest reads how long a registry wants to be left alone: 429, which may say
// so, and 503 that does.
func asksForRest(resp *http.Response, now time.Time) (rest time.Duration, asked bool) {
	after := resp.Header.Get("Retry-After")
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
	case resp.StatusCode == http.StatusServiceUnavailable && after != "":
	default:
		return 0, false
	}
	rest, said := source.RetryAfter(after, now, longestRest)
	if !said {
		rest = usualRest
	}
	// Never at once: that would be a loop as fast as the registry refuses.
	return max(rest, time.Second), true
}

// maxHosts bounds how many hosts are kept: beside those that the operator lists, these are
// the storage that registries redirect to.
const maxHosts = 1024

// rests knows which hosts asked for patience, and until when. It is safe for concurrent use.
type rests struct {
	now   func() time.Time
	sleep func(context.Context, time.Duration) error

	mu    sync.Mutex
	until map[string]time.Time
}

func newRests() *rests {
	return &rests{now: time.Now, sleep: sleep, until: map[string]time.Time{}}
}

// begin leaves a host alone for some time, or as long as it was asked for before.
func (r *rests) begin(host string, rest time.Duration) time.Time {
	until := r.now().Add(rest)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.until[host].After(until) {
		return r.until[host]
	}
	if len(r.until) >= maxHosts {
		forgetPast(r.until, r.now())
	}
	r.until[host] = until
	return until
}

// wait returns when the host may be asked, or at once with a RetryAfterError if that takes
// longer than the caller has.
func (r *rests) wait(ctx context.Context, host string) error {
	for {
		r.mu.Lock()
		until := r.until[host]
		r.mu.Unlock()
		left := until.Sub(r.now())
		if left <= 0 {
			return nil
		}
		deadline, bounded := ctx.Deadline()
		if left > longestWait || (bounded && deadline.Before(until)) {
			return limited(host, until)
		}
		if err := r.sleep(ctx, left); err != nil {
			return err
		}
	}
}

// pace spaces the requests to each host evenly. Nil does not. It is safe for
// concurrent use.
type pace struct {
	interval time.Duration
	now      func() time.Time
	sleep    func(context.Context, time.Duration) error

	mu   sync.Mutex
	next map[string]time.Time
}

func newPace(perSecond int) *pace {
	return &pace{interval: time.Second / time.Duration(perSecond), now: time.Now, sleep: sleep, next: map[string]time.Time{}}
}

func (p *pace) wait(ctx context.Context, host string) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	turn := p.now()
	if p.next[host].After(turn) {
		turn = p.next[host]
	}
	if len(p.next) >= maxHosts {
		forgetPast(p.next, p.now())
	}
	p.next[host] = turn.Add(p.interval)
	p.mu.Unlock()
	if left := turn.Sub(p.now()); left > 0 {
		return p.sleep(ctx, left)
	}
	return nil
}

// forgetPast forgets the hosts whose time has come, or else all of them: what a registry
// makes up must not take memory for ever.
func forgetPast(hosts map[string]time.Time, now time.Time) {
	maps.DeleteFunc(hosts, func(_ string, at time.Time) bool { return !at.After(now) })
	if len(hosts) >= maxHosts {
		clear(hosts)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
