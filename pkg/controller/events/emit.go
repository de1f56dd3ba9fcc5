package events

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

const (
	// maxReply is how much of an answer is read, so that the connection can be
	// used again.
	maxReply = 16 << 10
	// dialTimeout bounds the connection to the sink.
	dialTimeout = time.Second
)

// Options say where events go. The zero value of Sink disables them.
type Options struct {
	// Sink is K_SINK.
	Sink string
	// Overrides is K_CE_OVERRIDES: {"extensions": {name: value}}.
	Overrides string
	// Timeout bounds the sending of one event.
	Timeout time.Duration
}

// DefaultOptions returns options without a sink.
func DefaultOptions() Options { return Options{Timeout: 2 * time.Second} }

// Emitter sends events. It is safe for concurrent use.
type Emitter struct {
	sink       string
	extensions map[string]string
	client     *http.Client
}

// EmitError says why an event was not taken.
type EmitError struct {
	Key string
	// Status is the answer's, or 0 without an answer.
	Status int
	// Permanent: the event will never be taken; it is not sent again.
	Permanent bool
	Err       error
}

func (e *EmitError) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("sending event %q to K_SINK: it answered %d %s", e.Key, e.Status, http.StatusText(e.Status))
	}
	return fmt.Sprintf("sending event %q to K_SINK: %v", e.Key, e.Err)
}

// Unwrap returns the cause.
func (e *EmitError) Unwrap() error { return e.Err }

// New returns an Emitter.
func New(o Options) (*Emitter, error) {
	if o.Timeout <= 0 {
		return nil, fmt.Errorf("event options: Timeout is %v; it must be positive", o.Timeout)
	}
	e := &Emitter{sink: o.Sink}
	if o.Sink == "" {
		return e, nil
	}
	u, err := url.Parse(o.Sink)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("K_SINK %q is no http or https URL", o.Sink)
	}
	if e.extensions, err = parseOverrides(o.Overrides); err != nil {
		return nil, err
	}
	e.client = &http.Client{
		Timeout: o.Timeout,
		// A sink is where it says it is.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
			TLSHandshakeTimeout: dialTimeout,
			MaxIdleConnsPerHost: 4,
			IdleConnTimeout:     30 * time.Second,
			ForceAttemptHTTP2:   true,
		},
	}
	return e, nil
}

func parseOverrides(s string) (map[string]string, error) {
	if s == "" {
		return nil, nil
	}
	var overrides duckv1.CloudEventOverrides
	if err := json.Unmarshal([]byte(s), &overrides); err != nil {
		return nil, fmt.Errorf("K_CE_OVERRIDES is not {\"extensions\": {name: value}}: %w", err)
	}
	probe := cloudevents.New()
	for name, value := range overrides.Extensions {
		probe.SetExtension(name, value)
	}
	for name, problem := range probe.FieldErrors {
		return nil, fmt.Errorf("K_CE_OVERRIDES: %s: %w", name, problem)
	}
	return overrides.Extensions, nil
}

// Enabled reports whether there is a sink.
func (e *Emitter) Enabled() bool { return e.sink != "" }

// Emit sends what was not sent yet and returns the keys to add to status.emitted,
// whether or not there is an error. An event that the sink can never take is
// among them, and in the error. Any other error is transient and ends the
// sending, as later events must not overtake it.
func (e *Emitter) Emit(ctx context.Context, entry *v1alpha1.ImageVerification) ([]string, error) {
	if !e.Enabled() {
		return nil, nil
	}
	var done []string
	var refused []error
	for _, event := range pending(entry) {
		err := e.send(ctx, event)
		var failure *EmitError
		switch {
		case err == nil:
		case errors.As(err, &failure) && failure.Permanent:
			refused = append(refused, err)
		default:
			return done, errors.Join(append(refused, err)...)
		}
		done = append(done, event.Key)
	}
	return done, errors.Join(refused...)
}

func (e *Emitter) send(ctx context.Context, event Event) error {
	body, err := e.encode(event)
	if err != nil {
		return &EmitError{Key: event.Key, Permanent: true, Err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.sink, bytes.NewReader(body))
	if err != nil {
		return &EmitError{Key: event.Key, Permanent: true, Err: err}
	}
	req.Header.Set("Content-Type", cloudevents.ApplicationCloudEventsJSON)
	resp, err := e.client.Do(req)
	if err != nil {
		return &EmitError{Key: event.Key, Err: err}
	}
	defer resp.Body.Close()
	// What is read is thrown away; a failure to read it changes nothing.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxReply))
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil
	}
	return &EmitError{Key: event.Key, Status: resp.StatusCode, Permanent: permanent(resp.StatusCode)}
}

// permanent lists the answers that speak of the event itself. Any other can be
// cured at the sink.
func permanent(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return true
	default:
		return false
	}
}

func (e *Emitter) encode(event Event) ([]byte, error) {
	c, err := event.CloudEvent()
	if err != nil {
		return nil, err
	}
	for name, value := range e.extensions {
		c.SetExtension(name, value)
	}
	body, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encoding event %q: %w", c.ID(), err)
	}
	return body, nil
}
