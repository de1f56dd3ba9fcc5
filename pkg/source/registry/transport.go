package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/revet-dev/revet/pkg/image"
)

// A registry that does not answer within these times is not waited for longer. The
// deadlines of callers may be shorter.
const (
	dialTimeout   = 2 * time.Second
	headerTimeout = 10 * time.Second
)

// maxTransports bounds how many pools of connections are kept: one for each set of
// authorities that the operator configures.
const maxTransports = 64

// transports sends requests over one pool of connections for each set of certificate
// authorities. It is safe for concurrent use.
type transports struct {
	authorities Authorities

	mu   sync.Mutex
	kept map[pool]*http.Transport
}

// pool tells connections apart that must not be shared.
type pool struct {
	roots *x509.CertPool
	// public connects to public addresses only.
	public bool
}

func newTransports(authorities Authorities) *transports {
	if authorities == nil {
		authorities = func(string) *x509.CertPool { return nil }
	}
	return &transports{authorities: authorities, kept: map[pool]*http.Transport{}}
}

// RoundTrip implements http.RoundTripper.
func (t *transports) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.to(pool{roots: t.authorities(canonical(r.URL.Host)), public: onlyPublic(r)}).RoundTrip(r)
}

// to returns the transport of a pool. After the operator replaced authorities nobody asks
// for the old pool again, and its idle connections end on their own.
func (t *transports) to(p pool) *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	if kept, ok := t.kept[p]; ok {
		return kept
	}
	if len(t.kept) >= maxTransports {
		clear(t.kept)
	}
	t.kept[p] = newTransport(p)
	return t.kept[p]
}

func newTransport(p pool) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout}
	if p.public {
		dialer.Control = refusePrivate
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: p.roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    dialTimeout,
		ResponseHeaderTimeout:  headerTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        time.Minute,
		ForceAttemptHTTP2:      true,
	}
}

// refusePrivate refuses a connection by the address that a name resolved to. A registry
// must not choose which services inside the cluster Revet talks to.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("connecting to %q: %w", address, err)
	}
	if image.PrivateAddress(to.Addr()) {
		return &privateAddressError{address}
	}
	return nil
}

type privateAddressError struct{ address string }

func (e *privateAddressError) Error() string {
	return fmt.Sprintf("the registry redirects to the private address %s; if that is meant, add the host to the ConfigMap config-registries", e.address)
}

type publicKey struct{}

// public marks a request that must not reach private addresses.
func public(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), publicKey{}, true))
}

// onlyPublic reports whether a request is marked, and goes there directly: behind a proxy,
// the proxy decides what can be reached.
func onlyPublic(r *http.Request) bool {
	if r.Context().Value(publicKey{}) == nil {
		return false
	}
	proxy, err := http.ProxyFromEnvironment(r)
	return err != nil || proxy == nil
}
