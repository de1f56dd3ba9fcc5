package tekton

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
)

// Sender posts requests. It is safe for concurrent use.
type Sender struct {
	client *http.Client
}

// NewSender returns a Sender with connections of its own.
func NewSender(o SenderOptions) (*Sender, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("sender options: %w", err)
	}
	dialer := &net.Dialer{Timeout: o.DialTimeout, KeepAlive: idleTimeout}
	return &Sender{client: &http.Client{
		Timeout: o.Timeout,
		// A redirect could lead past the list of allowed hosts.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		// No proxy from the environment: sinks are addresses of the cluster, or
		// hosts that the operator listed.
		Transport: &http.Transport{
			DialContext:            dialUnlingering(dialer),
			TLSHandshakeTimeout:    o.DialTimeout,
			MaxIdleConnsPerHost:    o.IdleConnections,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: maxReplyHeader,
			ForceAttemptHTTP2:      true,
		},
	}}, nil
}

// Send posts a request once, and not after the deadline of ctx. A nil error means
// that the sink accepted it, which for an EventListener means "queued" and nothing
// more. Errors are *SendError.
func (s *Sender) Send(ctx context.Context, sink string, r Request) error {
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { wrote.Store(true) }})
	req, err := newHTTPRequest(ctx, sink, r)
	if err != nil {
		return &SendError{Reason: RequestInvalid, Permanent: true, Err: err}
	}
	timely := newTimely(ctx)
	if err := timely.guard(req); err != nil {
		return &SendError{Reason: SinkUnreachable, Err: err}
	}
	resp, err := s.client.Do(req)
	if timely.late.Load() && err != nil {
		return &SendError{Reason: SinkUnreachable, Err: errTooLate}
	}
	if err != nil {
		return &SendError{Reason: SinkUnreachable, MayHaveArrived: wrote.Load(), Err: withoutURL(err)}
	}
	defer resp.Body.Close()
	// What is read is thrown away; a failure to read it changes nothing.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxReply))
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil
	}
	return &SendError{
		Reason:         SinkRefused,
		Status:         resp.StatusCode,
		Permanent:      !retryable(resp.StatusCode),
		MayHaveArrived: resp.StatusCode >= 500,
		RetryAfter:     retryAfter(resp.Header.Get("Retry-After")),
	}
}

// CloseIdleConnections closes what is kept for later requests.
func (s *Sender) CloseIdleConnections() { s.client.CloseIdleConnections() }

// retryable lists the answers that the same request may not get again. 404 and
// 500 are among them: a listener answers so while it starts.
func retryable(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict,
		http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	default:
		return status >= 500
	}
}

func retryAfter(header string) time.Duration {
	seconds, err := strconv.Atoi(strings.TrimSpace(header))
	if err != nil || seconds <= 0 {
		return 0
	}
	return min(time.Duration(min(seconds, int(maxRetryAfter/time.Second)))*time.Second, maxRetryAfter)
}

// withoutURL drops the URL that net/http puts before the cause: the sink is
// named beside the error, and a message that holds it twice is hard to read.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// newHTTPRequest writes a request as a binary CloudEvent.
func newHTTPRequest(ctx context.Context, sink string, r Request) (*http.Request, error) {
	target, err := url.Parse(sink)
	if err != nil || target.Host == "" || (target.Scheme != "http" && target.Scheme != "https") {
		return nil, fmt.Errorf("sink %q is no http or https URL", sink)
	}
	e, err := r.event()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("making a request to sink %q: %w", sink, err)
	}
	message := binding.ToMessage(e)
	if err := cehttp.WriteRequest(binding.WithForceBinary(ctx), message, req); err != nil {
		return nil, fmt.Errorf("writing run %q as a CloudEvent: %w", r.Data.Run, err)
	}
	encodeHeader(req.Header)
	req.Header.Set("User-Agent", "revet-controller")
	return req, nil
}

// event is the request as a CloudEvent.
func (r Request) event() (*cloudevents.Event, error) {
	e := cloudevents.New()
	e.SetType(RequestType)
	e.SetID(r.Data.Run)
	e.SetSource(r.Source)
	e.SetSubject(r.Data.Image.Repository + "@" + r.Data.Image.Digest)
	e.SetExtension("imagerepository", r.Data.Image.Repository)
	e.SetExtension("imagetag", r.Tag)
	e.SetExtension("imagedigest", r.Data.Image.Digest)
	e.SetExtension("verifycause", r.Data.Cause)
	if err := e.SetData(cloudevents.ApplicationJSON, r.Data); err != nil {
		return nil, fmt.Errorf("writing the data of run %q: %w", r.Data.Run, err)
	}
	if err := e.Validate(); err != nil {
		return nil, fmt.Errorf("run %q makes no valid CloudEvent: %w", r.Data.Run, err)
	}
	return &e, nil
}

// encodeHeader percent-encodes attribute values as the CloudEvents HTTP binding
// demands (section 3.1.3.2), which the SDK leaves to its caller. A line break in
// a value would otherwise make the request impossible to send.
func encodeHeader(h http.Header) {
	for name, values := range h {
		if !strings.HasPrefix(http.CanonicalHeaderKey(name), "Ce-") {
			continue
		}
		for i, v := range values {
			values[i] = percentEncode(v)
		}
	}
}

func percentEncode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c > ' ' && c < 0x7f && c != '"' && c != '%' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}
