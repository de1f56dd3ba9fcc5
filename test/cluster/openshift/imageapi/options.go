package imageapi

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// Options of the server. Etcd, Kubeconfig and Hosts.InCluster have no default.
type Options struct {
	// Etcd is the client URL of the etcd that holds the objects; the API server's own may be used.
	Etcd string
	// Kubeconfig is a file that reaches the API server as an administrator.
	Kubeconfig string
	// Host is the name under which the API server reaches this one: a DNS name, as a Service cannot name an address.
	// Default: localhost.
	Host string
	// Addr is the address to listen on. Default: a free port on 127.0.0.1.
	Addr string
	// Hosts are the registry's names, for the status of streams.
	Hosts Hosts
	// Now is the clock of items. Default: time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Host == "" {
		o.Host = "localhost"
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func (o Options) validate() error {
	switch {
	case o.Etcd == "":
		return errors.New("image API: Etcd is empty: name etcd's client URL")
	case o.Kubeconfig == "":
		return errors.New("image API: Kubeconfig is empty: name a file that reaches the API server")
	case o.Hosts.InCluster == "":
		return errors.New("image API: Hosts.InCluster is empty: name the registry as Pods reach it")
	}
	if _, _, err := o.listen(); err != nil {
		return fmt.Errorf("image API: Addr %q is not address:port: %w", o.Addr, err)
	}
	return nil
}

func (o Options) listen() (net.IP, int, error) {
	host, port, err := net.SplitHostPort(o.Addr)
	if err != nil {
		return nil, 0, err
	}
	ip := net.ParseIP(host)
	if ip == nil {
		return nil, 0, fmt.Errorf("%q is not an IP address", host)
	}
	n, err := strconv.Atoi(port)
	return ip, n, err
}
