package registry

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Options say what [Start] starts. Only Dir has no default.
type Options struct {
	// Dir holds the registry's content. It is created when it is missing.
	Dir string
	// Addr is the host:port to listen on. Default: a free port on 127.0.0.1.
	Addr string
	// Listener is listened on in the place of Addr, by who needs to know the port before the registry starts.
	Listener net.Listener
	// Endpoints receive Distribution's notifications.
	Endpoints []Endpoint
	// OnPush is called for each manifest pushed, before its client is answered.
	OnPush PushFunc
	// Front wraps what answers requests, OnPush included, to refuse or change what a client sees.
	Front func(http.Handler) http.Handler
	// Log receives the registry's warnings and errors. Default: they are discarded.
	Log io.Writer
}

// Endpoint is one receiver of Distribution's notifications.
type Endpoint struct {
	// Name identifies the endpoint.
	Name string
	// URL is what notifications are posted to.
	URL string
	// Headers are sent with each notification, Authorization for example.
	Headers http.Header
	// Timeout of one attempt. Default 5 s.
	Timeout time.Duration
	// Threshold is the number of failures in a row after which the sender pauses for Backoff. Default 3.
	Threshold int
	// Backoff is that pause. Default 500 ms.
	Backoff time.Duration
}

const (
	defaultAddr      = "127.0.0.1:0"
	defaultTimeout   = 5 * time.Second
	defaultThreshold = 3
	defaultBackoff   = 500 * time.Millisecond
)

// withDefaults returns o with its empty fields filled in.
func (o Options) withDefaults() Options {
	if o.Addr == "" {
		o.Addr = defaultAddr
	}
	endpoints := make([]Endpoint, 0, len(o.Endpoints))
	for _, e := range o.Endpoints {
		if e.Timeout == 0 {
			e.Timeout = defaultTimeout
		}
		if e.Threshold == 0 {
			e.Threshold = defaultThreshold
		}
		if e.Backoff == 0 {
			e.Backoff = defaultBackoff
		}
		endpoints = append(endpoints, e)
	}
	o.Endpoints = endpoints
	return o
}

func (o Options) validate() error {
	if o.Dir == "" {
		return errors.New("registry: Dir is empty: name the directory that holds the content")
	}
	if _, _, err := net.SplitHostPort(o.Addr); err != nil {
		return fmt.Errorf("registry: Addr %q is not host:port: %w", o.Addr, err)
	}
	seen := map[string]bool{}
	for _, e := range o.Endpoints {
		u, err := url.Parse(e.URL)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return fmt.Errorf("registry: endpoint %q: URL %q is not an absolute http or https URL", e.Name, e.URL)
		}
		if e.Name == "" || seen[e.Name] {
			return fmt.Errorf("registry: endpoint %q: give each endpoint a name of its own", e.Name)
		}
		if e.Timeout < 0 || e.Backoff < 0 || e.Threshold < 0 {
			return fmt.Errorf("registry: endpoint %q: Timeout, Threshold and Backoff cannot be negative", e.Name)
		}
		seen[e.Name] = true
	}
	return nil
}
