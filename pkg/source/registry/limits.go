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
	// scope is whose requests these are: of a namespace's credentials, or anonymous if empty.
	scope string
	pace  *pace // nil: no pace of our own
}

func (l *limiter) RoundTrip(r *http.Request) (*http.Response, error) {
	host := r.URL.Host
	for attempt := 0; ; attempt++ {
		if err := l.rests.wait(r.Context(), l.scope, host); err != nil {
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
		until := l.rests.begin(l.scope, host, rest)
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

const (
	// maxHosts bounds how many hosts are kept for one scope: beside those that the operator
	// lists, these are the storage that registries redirect to.
	maxHosts = 1024
	// maxScopes bounds how many scopes are kept.
	maxScopes = 4096
	// longestShared bounds how long a host is left alone for the sake of other namespaces:
	// afterwards each finds out by itself.
	longestShared = time.Minute
)

// rests knows which hosts asked for patience, until when, and whom: a registry limits an
// account, or an address. What it asks of one namespace's credentials counts for that namespace.
// Once it asked it of a second one, it counts for all, for a minute at most, and then for as
// long not: two namespaces must not keep others from a registry that answers these. Anonymous
// requests all look the same to a registry, and rest together. It is safe for concurrent use.
type rests struct {
	now   func() time.Time
	sleep func(context.Context, time.Duration) error

	mu     sync.Mutex
	scopes map[string]map[string]time.Time // by scope and host
	shared map[string]sharedRest           // by host
}

// sharedRest is a rest for all, and when the next one may begin.
type sharedRest struct{ until, next time.Time }

func newRests() *rests {
	return &rests{now: time.Now, sleep: sleep, scopes: map[string]map[string]time.Time{}, shared: map[string]sharedRest{}}
}

// begin leaves a host alone for some time, or as long as it was asked for before.
func (r *rests) begin(scope, host string, rest time.Duration) time.Time {
	now := r.now()
	until := now.Add(rest)
	r.mu.Lock()
	defer r.mu.Unlock()
	own := r.scope(scope)
	if own[host].After(until) {
		return own[host]
	}
	if len(own) >= maxHosts {
		forgetPast(own, now)
	}
	own[host] = until
	r.share(host, min(rest, longestShared))
	return until
}

// scope returns the hosts that rest for a scope.
func (r *rests) scope(scope string) map[string]time.Time {
	own := r.scopes[scope]
	if own != nil {
		return own
	}
	if len(r.scopes) >= maxScopes {
		now := r.now()
		maps.DeleteFunc(r.scopes, func(_ string, hosts map[string]time.Time) bool {
			maps.DeleteFunc(hosts, func(_ string, at time.Time) bool { return !at.After(now) })
			return len(hosts) == 0
		})
	}
	own = map[string]time.Time{}
	r.scopes[scope] = own
	return own
}

// share leaves a host alone for all, if it asked two namespaces for that.
func (r *rests) share(host string, rest time.Duration) {
	now, asked := r.now(), 0
	for scope, hosts := range r.scopes {
		if scope != "" && hosts[host].After(now) {
			asked++
		}
	}
	if asked < 2 || r.shared[host].next.After(now) {
		return
	}
	if len(r.shared) >= maxHosts {
		maps.DeleteFunc(r.shared, func(_ string, s sharedRest) bool { return !s.next.After(now) })
	}
	r.shared[host] = sharedRest{now.Add(rest), now.Add(2 * rest)}
}

// until returns until when a host rests for a scope.
func (r *rests) until(scope, host string) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	until := r.scopes[scope][host]
	if all := r.shared[host].until; all.After(until) {
		return all
	}
	return until
}

// wait returns when the host may be asked, or at once with a RetryAfterError if that takes
// longer than the caller has.
func (r *rests) wait(ctx context.Context, scope, host string) error {
	for {
		until := r.until(scope, host)
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
