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
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/runrequest"
	"github.com/revet-dev/revet/pkg/source"
)

// Sender posts requests. It is safe for concurrent use.
type Sender struct {
	options SenderOptions
	// anywhere connects where DNS says; inCluster asks the API server where a Service is.
	anywhere, inCluster *http.Client
}

// NewSender returns a Sender with connections of its own.
func NewSender(o SenderOptions) (*Sender, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("sender options: %w", err)
	}
	dial := dialUnlingering(&net.Dialer{Timeout: o.DialTimeout, KeepAlive: idleTimeout})
	s := &Sender{options: o, anywhere: newClient(o, dial)}
	s.inCluster = s.anywhere
	if o.Services != nil {
		s.inCluster = newClient(o, (&serviceDialer{services: o.Services, domain: o.ClusterDomain, timeout: o.DialTimeout, dial: dial}).dialContext)
	}
	return s, nil
}

func newClient(o SenderOptions, dial dialFunc) *http.Client {
	return &http.Client{
		Timeout: o.Timeout,
		// A redirect could lead to a host that is not allowed.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		// No proxy from the environment: sinks are addresses of the cluster, or hosts
		// that the operator lists.
		Transport: &http.Transport{
			DialContext:            dial,
			TLSHandshakeTimeout:    o.DialTimeout,
			MaxIdleConnsPerHost:    o.IdleConnections,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: maxReplyHeader,
			ForceAttemptHTTP2:      true,
		},
	}
}

// Send asks the trigger's sink for a run of the entry, once, as Post does. A request to an
// EventListener is signed. Other sinks get no signature: they could not check it without the key,
// with which they could sign.
func (s *Sender) Send(ctx context.Context, t *v1alpha1.ImageTrigger, e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus) error {
	if t.Status.SinkURI == "" {
		return &SendError{Reason: lifecycle.SinkInvalid, Err: fmt.Errorf("trigger %q has no address to send to; its condition Ready says why", t.Name)}
	}
	request, err := NewRequest(t, e, run)
	if err != nil {
		return &SendError{Reason: lifecycle.SinkInvalid, Err: err}
	}
	if ref := t.Spec.Sink.Ref; ref != nil && isEventListener(schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind)) {
		request.signedFor = t.Namespace
	}
	return s.post(ctx, s.clientFor(t), t.Status.SinkURI, request)
}

// clientFor returns the client of a sink in the trigger's namespace. Only a host that an operator
// lists for the namespace may lead anywhere: whoever edits the namespace may change its Services
// after they were checked.
func (s *Sender) clientFor(t *v1alpha1.ImageTrigger) *http.Client {
	if u, err := url.Parse(t.Status.SinkURI); err == nil && s.options.Listed != nil && s.options.Listed(u.Host, t.Namespace) {
		return s.anywhere
	}
	return s.inCluster
}

// Post posts a request once, unsigned, and not after the deadline of ctx. A nil error means
// that the sink accepted it, which for an EventListener means "queued" and nothing
// more. Errors are *SendError.
func (s *Sender) Post(ctx context.Context, sink string, r Request) error {
	return s.post(ctx, s.inCluster, sink, r)
}

func (s *Sender) post(ctx context.Context, with *http.Client, sink string, r Request) error {
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { wrote.Store(true) }})
	req, err := newHTTPRequest(ctx, sink, r)
	if err != nil {
		return &SendError{Reason: lifecycle.SinkInvalid, Err: err}
	}
	if err := s.sign(ctx, req, r.signedFor); err != nil {
		return &SendError{Reason: lifecycle.SinkUnreachable, Err: err}
	}
	timely := &timely{}
	timely.deadline, _ = ctx.Deadline()
	if err := timely.guard(req); err != nil {
		return &SendError{Reason: lifecycle.SinkUnreachable, Err: err}
	}
	resp, err := with.Do(req)
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

// sign signs the bytes that are sent, for the namespace of a trigger; "" leaves them unsigned.
func (s *Sender) sign(ctx context.Context, req *http.Request, namespace string) error {
	if namespace == "" || s.options.Sign == nil {
		return nil
	}
	content, err := req.GetBody()
	if err != nil {
		return fmt.Errorf("signing the request: %w", err)
	}
	body, err := io.ReadAll(content)
	if err != nil {
		return fmt.Errorf("signing the request: %w", err)
	}
	signature, err := s.options.Sign(ctx, namespace, body)
	if err != nil {
		return fmt.Errorf("signing the request: %w", err)
	}
	req.Header.Set(runrequest.Header, signature)
	return nil
}

// CloseIdleConnections closes the connections kept for later requests.
func (s *Sender) CloseIdleConnections() {
	s.anywhere.CloseIdleConnections()
	s.inCluster.CloseIdleConnections()
}

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

// SendError says why a sink did not accept a request, and what may follow from it.
//
//	Reason            the request          sending it again
//	SinkUnreachable   did not arrive       may succeed
//	SinkRefused       started nothing      may succeed, unless the error is Permanent
//	SinkSilent        may have arrived     may start a second run, unless the run can be confirmed
//	SinkInvalid       cannot be sent       cannot succeed: the error is Permanent
type SendError struct {
	Reason lifecycle.Reason
	// Status is the HTTP status of the answer, or 0 without an answer.
	Status int
	// RetryAfter is how long the sink asked for no requests, bounded; 0 if it did not.
	RetryAfter time.Duration
	// Err is the cause without an answer.
	Err error
}

// Permanent reports whether the same request will fail again until somebody changes
// the sink or the trigger: the request cannot be sent, or the sink refuses it as such
// (400, 403, a redirect). A 404 is not permanent, because routers and listeners
// answer it while they start.
func (e *SendError) Permanent() bool {
	return e.Reason == lifecycle.SinkInvalid || e.Status != 0 && !retryable(e.Status)
}

func (e *SendError) Error() string {
	switch {
	case e.Status >= 300 && e.Status < 400:
		return fmt.Sprintf("the sink answered %d %s; redirects are not followed: let the sink name its final address",
			e.Status, http.StatusText(e.Status))
	case e.Status != 0:
		return fmt.Sprintf("the sink answered %d %s", e.Status, http.StatusText(e.Status))
	default:
		return fmt.Sprintf("sending the request: %v", e.Err)
	}
}

// Unwrap returns the cause.
func (e *SendError) Unwrap() error { return e.Err }

// answered is the error of an answer that accepts nothing.
func answered(status int, retryAfter time.Duration) *SendError {
	e := &SendError{Reason: lifecycle.SinkRefused, Status: status, RetryAfter: retryAfter}
	if status >= 500 {
		e.Reason = lifecycle.SinkSilent // a proxy may answer so after it passed the request on
	}
	return e
}

// retryable lists the answers that the same request may not get again.
func retryable(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict,
		http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	default:
		return status >= 500
	}
}

// errTooLate means that a request was not written because its deadline had passed. It
// certainly did not arrive.
var errTooLate = errors.New("the deadline for sending it has passed")

// timely checks the clock again just before a request's last bytes go to its connection.
// A context is not enough: when a stopped process continues, its timer fires some time
// later, and the process may write a pending request first.
type timely struct {
	deadline time.Time
	late     atomic.Bool
}

func (t *timely) check() error {
	if t.deadline.IsZero() || time.Now().Before(t.deadline) {
		return nil
	}
	t.late.Store(true)
	return errTooLate
}

// guard makes a late request fail.
func (t *timely) guard(req *http.Request) error {
	if err := t.check(); err != nil {
		return err
	}
	if req.Body == nil || req.GetBody == nil {
		return fmt.Errorf("a request to %q has no body that can be read again", req.URL.Host)
	}
	again := req.GetBody
	req.Body = &timelyBody{req.Body, t}
	req.GetBody = func() (io.ReadCloser, error) {
		body, err := again()
		if err != nil {
			return nil, err
		}
		return &timelyBody{body, t}, nil
	}
	return nil
}

// timelyBody is a body that cannot be read late. A server ignores a request whose body is
// incomplete.
type timelyBody struct {
	io.ReadCloser
	timely *timely
}

func (b *timelyBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n == 0 {
		return n, err // the end: everything may have been sent already
	}
	if late := b.timely.check(); late != nil {
		return 0, late
	}
	return n, err
}

// dialUnlingering makes connections that drop unsent data when they are closed. Otherwise
// the kernel would keep trying to send an abandoned request for many minutes.
func dialUnlingering(d *net.Dialer) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, address)
		if tcp, ok := c.(*net.TCPConn); ok && err == nil {
			err = tcp.SetLinger(0)
			if err != nil {
				return nil, errors.Join(err, c.Close())
			}
		}
		return c, err
	}
}
