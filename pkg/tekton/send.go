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
	"strings"
	"sync/atomic"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/source"
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
		// A redirect could lead to a host that is not allowed.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		// No proxy from the environment: sinks are addresses of the cluster, or hosts
		// that the operator lists.
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

// Send asks the trigger's sink for a run of the entry, once, as Post does.
func (s *Sender) Send(ctx context.Context, t *v1alpha1.ImageTrigger, e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus) error {
	if t.Status.SinkURI == "" {
		return &SendError{Reason: lifecycle.SinkInvalid, Err: fmt.Errorf("trigger %q has no address to send to; its condition Ready says why", t.Name)}
	}
	request, err := NewRequest(t, e, run)
	if err != nil {
		return &SendError{Reason: lifecycle.SinkInvalid, Err: err}
	}
	return s.Post(ctx, t.Status.SinkURI, request)
}

// Post posts a request once, and not after the deadline of ctx. A nil error means
// that the sink accepted it, which for an EventListener means "queued" and nothing
// more. Errors are *SendError.
func (s *Sender) Post(ctx context.Context, sink string, r Request) error {
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { wrote.Store(true) }})
	req, err := newHTTPRequest(ctx, sink, r)
	if err != nil {
		return &SendError{Reason: lifecycle.SinkInvalid, Err: err}
	}
	timely := newTimely(ctx)
	if err := timely.guard(req); err != nil {
		return &SendError{Reason: lifecycle.SinkUnreachable, Err: err}
	}
	resp, err := s.client.Do(req)
	switch {
	case err == nil:
	case timely.late.Load():
		return &SendError{Reason: lifecycle.SinkUnreachable, Err: errTooLate}
	case wrote.Load():
		return &SendError{Reason: lifecycle.SinkSilent, Err: withoutURL(err)}
	default:
		return &SendError{Reason: lifecycle.SinkUnreachable, Err: withoutURL(err)}
	}
	defer resp.Body.Close()
	// The body says nothing that counts. Reading a part of it lets the connection be
	// used again; failing to read it changes nothing.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxReply))
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil
	}
	after, _ := source.RetryAfter(resp.Header.Get("Retry-After"), time.Now(), maxRetryAfter)
	return answered(resp.StatusCode, after)
}

// CloseIdleConnections closes the connections kept for later requests.
func (s *Sender) CloseIdleConnections() { s.client.CloseIdleConnections() }

// withoutURL drops the URL that net/http puts before the cause, because the caller names
// the sink anyway.
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
		return nil, fmt.Errorf("sink %q is not an http or https URL", sink)
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

// encodeHeader percent-encodes attribute values as the CloudEvents HTTP binding requires
// (section 3.1.3.2). The SDK leaves that to its caller, and without it a line break in a
// value would make the request impossible to send.
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
