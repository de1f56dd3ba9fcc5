package tekton

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// serviceDialer connects to Services at the addresses that the API server shows. Whoever edits a
// namespace may make an ExternalName of a Service after a sink was checked, also of that of an
// EventListener, and DNS would lead requests there. It asks for each connection, not for each
// request: a connection that stands leads where its Service led.
type serviceDialer struct {
	services client.Reader
	domain   string
	timeout  time.Duration
	dial     dialFunc
}

func (d *serviceDialer) dialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	key, ok := serviceOf(host, d.domain)
	if !ok {
		return d.dial(ctx, network, address)
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	addresses, err := d.addresses(ctx, key, host)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, a := range addresses {
		c, err := d.dial(ctx, network, net.JoinHostPort(a, port))
		if err == nil {
			return c, nil
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

// addresses returns where the Service is. One without an address of its own is where DNS says that
// its Pods are, and these are elsewhere than this process and the links of its node.
func (d *serviceDialer) addresses(ctx context.Context, key types.NamespacedName, host string) ([]string, error) {
	var s corev1.Service
	if err := d.services.Get(ctx, key, &s); err != nil {
		return nil, fmt.Errorf("reading Service %q of namespace %q: %w", key.Name, key.Namespace, err)
	}
	if err := leadsToPods(s.Spec.Type, len(s.Spec.Selector), fmt.Sprintf("Service %q in namespace %q", key.Name, key.Namespace)); err != nil {
		return nil, err
	}
	var own []string
	for _, a := range append([]string{s.Spec.ClusterIP}, s.Spec.ClusterIPs...) {
		if a != "" && a != corev1.ClusterIPNone && (len(own) == 0 || own[0] != a) {
			own = append(own, a)
		}
	}
	if len(own) > 0 {
		return own, nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	for _, a := range found {
		if a = a.Unmap(); isPod(a) {
			own = append(own, a.String())
		}
	}
	if len(own) == 0 {
		return nil, fmt.Errorf("DNS leads %q to %v, where no Pod can be", host, found)
	}
	return own, nil
}

// isPod reports whether a Pod of the cluster may have the address.
func isPod(a netip.Addr) bool {
	return a.IsGlobalUnicast() // not the loopback, not a link's
}

// serviceOf returns the Service of a name such as scan.team-a.svc.cluster.local, or false.
func serviceOf(host, domain string) (types.NamespacedName, bool) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if domain != "" {
		host = strings.TrimSuffix(host, "."+domain)
	}
	parts := strings.Split(host, ".")
	if len(parts) != 3 || parts[2] != "svc" {
		return types.NamespacedName{}, false
	}
	return types.NamespacedName{Namespace: parts[1], Name: parts[0]}, true
}
