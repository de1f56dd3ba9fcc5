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

// Patience bounds how often, and for how long, a registry is asked again. Each
// field has a default, which 0 stands for. The caller's context bounds it too.
type Patience struct {
	// Pause is how long is waited before a request is repeated; each further time
	// it is twice as long. Default 250 ms.
	Pause time.Duration
	// Repeats is how often a request is repeated that failed. Default 5, which is
	// about 8 s.
	Repeats int
	// Waits is how often a registry is obeyed that says how long to wait. Default 20.
	Waits int
	// Longest is the longest wait that it is obeyed in. Default 2 minutes.
	Longest time.Duration
	// Total is how long one request may take with all its repetitions. Default 5
	// minutes.
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

// pause is how long to wait before the repetition n, counted from 0. It differs a
// little each time, so that many clients do not come back as one.
func (p Patience) pause(n int) time.Duration {
	d := p.Pause << min(n, 6)
	return d + rand.N(d/4+1) //nolint:gosec // it keeps clients apart
}

// patient repeats requests that may succeed later. It stands under what adds
// credentials, so that token hosts and the targets of redirects are treated alike.
type patient struct {
	inner    http.RoundTripper
	patience Patience
}

// RoundTrip implements http.RoundTripper. Where it gave up there is an error, and no
// answer, which nobody above repeats again.
func (p *patient) RoundTrip(req *http.Request) (*http.Response, error) {
	begin, attempt := time.Now(), req
	for failed, told := 0, 0; ; {
		resp, err := p.inner.RoundTrip(attempt)
		if !repeatable(req, resp, err) {
			return resp, err
		}
		wait, asked := retryAfter(resp, time.Now())
		// At least the pause: "0" in a loop would be as fast as the registry refuses.
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

// repeatable reports whether the same request may succeed later, and does no harm
// if it is sent twice.
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
		return true // it says that it did nothing
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		return reads
	default:
		return false
	}
}

// passing reports whether err may be gone when the request is sent again. What is
// not known to last is: connections break in more ways than can be listed.
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

// retryAfter returns how long resp asks to wait, if it asks.
func retryAfter(resp *http.Response, now time.Time) (wait time.Duration, asked bool) {
	if resp == nil {
		return 0, false
	}
	text := resp.Header.Get("Retry-After")
	const most = 365 * 24 * time.Hour // a number of seconds that overflows is told as long, too
	if seconds, err := strconv.ParseUint(text, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(most/time.Second))) * time.Second, true
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), most), true
	}
	return 0, false
}

// gaveUp says what there is of a request that is not repeated any more.
func (p *patient) gaveUp(resp *http.Response, err error, wait time.Duration, tries int) error {
	if resp == nil {
		var typed *oci.Error
		if errors.As(err, &typed) {
			return typed
		}
		// Not typed: of two ways to a registry, the other may say why it was refused.
		return fmt.Errorf("it was asked %d times: %w", tries, err)
	}
	defer discard(resp)
	cause := transport.CheckError(resp)
	reason := statusReason(resp.StatusCode)
	const cure = "try again then, give credentials for which the registry's limit is higher, or pull through a mirror"
	switch {
	case wait > 0:
		until := time.Now().Add(wait).UTC().Format(time.RFC3339)
		why := "and the time of this step ends before; raise --timeout"
		if wait > min(p.patience.Longest, p.patience.Total) {
			why = "which is longer than is waited"
		}
		return oci.Errorf(reason, "", "it asks to be left alone for %s, until %s, %s; %s: %w",
			wait.Round(time.Second), until, why, cure, cause)
	case reason == oci.ReasonRateLimited:
		return oci.Errorf(reason, "", "it limits requests, and did when it was asked %d times; %s: %w",
			tries, cure, cause)
	default:
		return oci.Errorf(reason, "", "it was asked %d times: %w", tries, cause)
	}
}

// again returns a request that can be sent once more.
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

// discard ends an answer. Read to its end, the connection is used again.
func discard(resp *http.Response) {
	if resp == nil {
		return
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // what it said is not needed
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
