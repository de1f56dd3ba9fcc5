package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Patience bounds how often and how long a request is retried. In each field 0 means the default.
// The caller's context is a further bound.
type Patience struct {
	// Pause is the wait before the first retry. It doubles with each further retry. Default 250 ms.
	Pause time.Duration
	// Repeats is the number of retries of a failed request. Default 5, which takes about 8 s.
	Repeats int
	// Waits is how many times a registry may ask for a wait. Default 20.
	Waits int
	// Longest is the longest wait that a registry may ask for. Default 2 minutes.
	Longest time.Duration
	// Total is the time limit of one request with all its retries. Default 5 minutes.
	Total time.Duration
}

func (p Patience) withDefaults() Patience {
	orElse := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	orElse(&p.Pause, 250*time.Millisecond)
	orElse(&p.Longest, 2*time.Minute)
	orElse(&p.Total, 5*time.Minute)
	if p.Repeats <= 0 {
		p.Repeats = 5
	}
	if p.Waits <= 0 {
		p.Waits = 20
	}
	return p
}

// pause returns the wait before retry n, counted from 0. It varies a little, so that many clients
// do not return at the same moment.
func (p Patience) pause(n int) time.Duration {
	d := p.Pause << min(n, 6)
	return d + rand.N(d/4+1) //nolint:gosec // keeps clients apart
}

// patient retries requests that may succeed later. It works below the transport that adds
// credentials, so that it treats token hosts and redirect targets like the registry.
type patient struct {
	inner    http.RoundTripper
	patience Patience
}

// RoundTrip implements http.RoundTripper. After giving up it returns an error instead of the
// answer, so that no caller retries again.
func (p *patient) RoundTrip(req *http.Request) (*http.Response, error) {
	begin, attempt := time.Now(), req
	for failed, told := 0, 0; ; {
		resp, err := p.inner.RoundTrip(attempt)
		if !repeatable(req, resp, err) {
			return resp, err
		}
		wait, asked := retryAfter(resp, time.Now())
		// Wait at least the pause. Obeying "0" in a loop would send requests as fast as the
		// registry refuses them.
		pause := max(wait, p.patience.pause(failed+told))
		if asked {
			told++
		} else {
			failed++
		}
		left := p.patience.Total - time.Since(begin)
		if deadline, ok := req.Context().Deadline(); ok {
			left = min(left, time.Until(deadline))
		}
		if wait > p.patience.Longest || pause > left || told > p.patience.Waits || failed > p.patience.Repeats {
			return nil, p.gaveUp(resp, err, wait, failed+told)
		}
		discard(resp)
		if err := sleep(req.Context(), pause); err != nil {
			return nil, err
		}
		if attempt, err = again(req); err != nil {
			return nil, err
		}
	}
}

// repeatable reports whether the same request may succeed later, and is safe to send twice.
func repeatable(req *http.Request, resp *http.Response, err error) bool {
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		return false
	}
	reads := req.Method == http.MethodGet || req.Method == http.MethodHead
	if err != nil {
		return reads && req.Context().Err() == nil && passing(err)
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true // the registry did nothing, by its own words
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		return reads
	default:
		return false
	}
}

// passing reports whether err may be gone on a retry. It assumes so unless err is known to last,
// because connections break in more ways than a list could name.
func passing(err error) bool {
	var typed *oci.Error
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var lookup *net.DNSError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &alert):
		return false
	case errors.As(err, &typed):
		return typed.Reason == oci.ReasonTimedOut // it stalled
	case errors.As(err, &lookup):
		return !lookup.IsNotFound
	default:
		return true
	}
}

// retryAfter returns the wait that resp asks for, if it asks for one.
func retryAfter(resp *http.Response, now time.Time) (wait time.Duration, asked bool) {
	if resp == nil {
		return 0, false
	}
	text := resp.Header.Get("Retry-After")
	const most = 365 * 24 * time.Hour // a number of seconds that overflows counts as long too
	if seconds, err := strconv.ParseUint(text, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(most/time.Second))) * time.Second, true
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), most), true
	}
	return 0, false
}

// gaveUp returns the error for a request that is not retried any more.
func (p *patient) gaveUp(resp *http.Response, err error, wait time.Duration, tries int) error {
	if resp == nil {
		var typed *oci.Error
		if errors.As(err, &typed) {
			return typed
		}
		// Without a type: if there are two ways to a registry, the other one may show the reason.
		return fmt.Errorf("%d attempts failed: %w", tries, err)
	}
	defer discard(resp)
	cause := transport.CheckError(resp)
	reason := statusReason(resp.StatusCode)
	const cure = "try again then, use credentials with a higher limit, or pull through a mirror"
	switch {
	case wait > 0:
		until := time.Now().Add(wait).UTC().Format(time.RFC3339)
		why := "but this step times out before; raise --timeout"
		if wait > min(p.patience.Longest, p.patience.Total) {
			why = "which is longer than Revet waits"
		}
		return oci.Errorf(reason, "", "it asks to wait %s, until %s, %s; %s: %w",
			wait.Round(time.Second), until, why, cure, cause)
	case reason == oci.ReasonRateLimited:
		return oci.Errorf(reason, "", "it still limits requests after %d attempts; %s: %w",
			tries, cure, cause)
	default:
		return oci.Errorf(reason, "", "%d attempts failed: %w", tries, cause)
	}
}

// again returns a copy of the request that can be sent once more.
func again(req *http.Request) (*http.Request, error) {
	next := req.Clone(req.Context())
	if req.GetBody == nil {
		return next, nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, fmt.Errorf("repeat the request: %w", err)
	}
	next.Body = body
	return next, nil
}

// discard closes an answer. It reads the rest first, so that the connection can be reused.
func discard(resp *http.Response) {
	if resp == nil {
		return
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // the content is not needed
	_ = resp.Body.Close()
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
