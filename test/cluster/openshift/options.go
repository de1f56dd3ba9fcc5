package openshift

import (
	"errors"
	"log/slog"
	"time"
)

// DefaultInCluster is the name that OpenShift's registry has inside a cluster.
const DefaultInCluster = "image-registry.openshift-image-registry.svc:5000"

// Options of [Start].
type Options struct {
	// Kubeconfig is a file that reaches the API server as an administrator.
	Kubeconfig string
	// Etcd is the client URL of the etcd that holds the objects; the API server's own may be used.
	Etcd string
	// Addr is the address that the image API listens on. Default: a free port on 127.0.0.1.
	Addr string
	// Host is the DNS name under which the API server reaches Addr. Default: localhost.
	Host string
	// InCluster is the registry's host:port in dockerImageRepository and in image references. Default: [DefaultInCluster].
	InCluster string
	// Public is the registry's host:port for clients outside of the cluster, in publicDockerImageRepository; may be empty.
	Public string
	// PushTimeout is how long a push waits for its objects before it fails; they are tried further. Default 10 s.
	PushTimeout time.Duration
	// Log receives what the package documentation says. Default: discarded.
	Log *slog.Logger
	// Now is the clock of items and of an index's creation. Default: time.Now.
	Now func() time.Time
}

const defaultPushTimeout = 10 * time.Second

func (o Options) withDefaults() Options {
	if o.InCluster == "" {
		o.InCluster = DefaultInCluster
	}
	if o.PushTimeout == 0 {
		o.PushTimeout = defaultPushTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func (o Options) validate() error {
	if o.Kubeconfig == "" {
		return errors.New("openshift: Kubeconfig is empty: name a file that reaches the API server")
	}
	return nil
}
