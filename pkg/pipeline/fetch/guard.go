package fetch

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// insecureCure ends messages about plain HTTP.
const insecureCure = `if that is meant, list the host under the key "insecure" of the ConfigMap revet-registries, or give --insecure-registry`

// guard checks every request: to the registry, to the token service, and each hop of a redirect. It
// also ends requests that stall.
type guard struct {
	inner    http.RoundTripper
	registry string // host[:port]
	insecure map[string]bool
	stall    time.Duration
	answer   int64 // maximum bytes of an answer; 0 means no limit
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := g.check(req); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	body := &watchedBody{ctx: ctx, cancel: cancel, stall: g.stall}
	body.timer = time.AfterFunc(g.stall, func() {
		cancel(oci.Errorf(oci.ReasonTimedOut, "", "the registry sent nothing for %s", g.stall))
	})
	resp, err := g.inner.RoundTrip(req.WithContext(ctx))
	body.timer.Stop()
	if err != nil {
		err = body.cause(err)
		cancel(nil)
		return nil, err
	}
	body.rc = resp.Body
	if g.answer > 0 {
		body.rc = boundedBody{&boundedReader{r: resp.Body, left: g.answer}, resp.Body}
	}
	resp.Body = body
	return resp, nil
}

// check refuses addresses that a registry may not lead to.
func (g *guard) check(req *http.Request) error {
	host := req.URL.Host
	if g.insecure[host] {
		return nil
	}
	if req.URL.Scheme != "https" {
		return oci.Errorf(oci.ReasonRefused, "", "plain HTTP to %q; %s", host, insecureCure)
	}
	if host != g.registry && image.PrivateHost(req.URL.Hostname()) {
		return oci.Errorf(oci.ReasonRefused, "", "the registry %q leads to the private address %q; %s", g.registry, host, insecureCure)
	}
	return nil
}

// boundedBody returns an error if an answer is longer than its reader expects.
type boundedBody struct {
	io.Reader
	io.Closer
}

// watchedBody ends the request if a Read takes too long.
type watchedBody struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	rc     io.ReadCloser
	timer  *time.Timer
	stall  time.Duration
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.stall)
	n, err := b.rc.Read(p)
	b.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.cause(err)
	}
	return n, err
}

// cause returns the reason why guard ended the request, if it did.
func (b *watchedBody) cause(err error) error {
	if stalled := (*oci.Error)(nil); errors.As(context.Cause(b.ctx), &stalled) {
		return stalled
	}
	return err
}

// Close implements io.Closer.
func (b *watchedBody) Close() error {
	b.timer.Stop()
	err := b.rc.Close()
	b.cancel(nil)
	return err
}
