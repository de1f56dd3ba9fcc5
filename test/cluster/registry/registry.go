package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"

	// Distribution finds its storage drivers by registration only.
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/sirupsen/logrus"
)

const (
	readHeaderTimeout = 10 * time.Second
	readyTimeout      = 10 * time.Second
	readyPoll         = 20 * time.Millisecond
	drainTimeout      = 5 * time.Second
)

// Registry is a running registry.
type Registry struct {
	addr   string
	app    *handlers.App
	server *http.Server
	served chan error
	active atomic.Int64
	stop   sync.Once
	err    error
}

// silence is the process's, because the logger that it silences is.
var silence sync.Once

// Start starts a registry and returns when it answers. The context bounds the start only; [Registry.Stop] ends it.
func Start(ctx context.Context, o Options) (*Registry, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("creating the registry's directory: %w", err)
	}
	quiet(o.Log)
	listener, err := listen(ctx, o)
	if err != nil {
		return nil, err
	}
	app, err := newApp(context.WithoutCancel(ctx), o, listener.Addr().String())
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	r := &Registry{addr: listener.Addr().String(), app: app, served: make(chan error, 1)}
	var handler http.Handler = app
	if o.OnPush != nil {
		handler = &pushHandler{registry: app, onPush: o.OnPush}
	}
	if o.Front != nil {
		handler = o.Front(handler)
	}
	r.server = &http.Server{Handler: r.counted(handler), ReadHeaderTimeout: readHeaderTimeout}
	go func() { r.served <- r.server.Serve(listener) }()
	if err := r.waitReady(ctx); err != nil {
		return nil, errors.Join(err, r.Stop()) //nolint:contextcheck // it drains after the context that ended it
	}
	return r, nil
}

func listen(ctx context.Context, o Options) (net.Listener, error) {
	if o.Listener != nil {
		return o.Listener, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("listening for the registry on %q (is another registry running there?): %w", o.Addr, err)
	}
	return listener, nil
}

// Addr is the host:port that the registry listens on.
func (r *Registry) Addr() string { return r.addr }

// URL is the registry's base URL on this machine.
func (r *Registry) URL() string {
	host, port, err := net.SplitHostPort(r.addr)
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return "http://" + net.JoinHostPort("127.0.0.1", port) // listening everywhere is no address to go to
	}
	return "http://" + r.addr
}

// Stop lets running requests finish for a few seconds and ends the registry. It may be called more than once.
func (r *Registry) Stop() error {
	r.stop.Do(func() {
		r.drain()
		r.err = r.server.Close()
		if err := <-r.served; !errors.Is(err, http.ErrServerClosed) {
			r.err = errors.Join(r.err, fmt.Errorf("serving the registry: %w", err))
		}
		r.err = errors.Join(r.err, r.app.Shutdown())
	})
	return r.err
}

func (r *Registry) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.active.Add(1)
		defer r.active.Add(-1)
		next.ServeHTTP(w, req)
	})
}

// drain refuses new requests and waits for the running ones. [http.Server.Shutdown] alone waits 5 s for each connection
// that a client opened and never used, and clients of registries open several.
func (r *Registry) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The caller closes the server, whatever this returns.
		_ = r.server.Shutdown(ctx)
	}()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for r.active.Load() > 0 {
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
	cancel()
	<-done
}

// newApp makes Distribution's handler, turning the panics with which it reports bad configuration into errors.
func newApp(ctx context.Context, o Options, addr string) (app *handlers.App, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("configuring the registry: %v", p)
		}
	}()
	return handlers.NewApp(ctx, config(o, addr)), nil
}

func config(o Options, addr string) *configuration.Configuration {
	c := &configuration.Configuration{
		Storage: configuration.Storage{
			"filesystem": configuration.Parameters{"rootdirectory": o.Dir},
			"delete":     configuration.Parameters{"enabled": true},
		},
		Notifications: configuration.Notifications{
			EventConfig: configuration.Events{IncludeReferences: true},
		},
		Catalog: configuration.Catalog{MaxEntries: 1_000_000}, // more is an error, and odd registries ask for all at once
	}
	c.HTTP.Addr = addr
	// OpenShift's registry takes an index whose children it does not have, so this one must too.
	c.Validation.Manifests.Indexes.Platforms = "none"
	for _, e := range o.Endpoints {
		c.Notifications.Endpoints = append(c.Notifications.Endpoints, configuration.Endpoint{
			Name: e.Name, URL: e.URL, Headers: e.Headers,
			Timeout: e.Timeout, Threshold: e.Threshold, Backoff: e.Backoff,
		})
	}
	return c
}

func (r *Registry) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		last := r.ping(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the registry on %q does not answer: %w", r.addr, last)
		case <-tick.C:
		}
	}
}

func (r *Registry) ping(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL()+"/v2/", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET /v2/: %s", resp.Status)
	}
	return nil
}

func quiet(log io.Writer) {
	silence.Do(func() { logrus.SetOutput(io.Discard) })
	if log != nil {
		logrus.SetOutput(log)
		logrus.SetLevel(logrus.WarnLevel)
	}
}
