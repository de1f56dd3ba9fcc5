package app

import (
	"fmt"
	"net"
	"os"

	imagev1 "github.com/openshift/api/image/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"knative.dev/pkg/system"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/revet-dev/revet/pkg/controller/lease"
	"github.com/revet-dev/revet/pkg/kube"
)

// leaderAccess holds the clients with which a program that leads reaches the API server.
type leaderAccess struct {
	*apiAccess
	mapper meta.RESTMapper
	live   client.Client
	// kube is for Leases and Events. It has connections of its own, so that other work
	// cannot delay the renewal of a lease.
	kube kubernetes.Interface
}

// controllerAccess holds the clients with which the controller reaches the API server.
type controllerAccess struct {
	*leaderAccess
	// streams lists ImageStreams for sweeps.
	streams rest.Interface
}

func newControllerAccess(o ControllerOptions) (*controllerAccess, error) {
	leader, err := newLeaderAccess(o.Common, "revet-controller")
	if err != nil {
		return nil, err
	}
	streams, err := newStreamsClient(leader.config, leader.scheme)
	return &controllerAccess{leader, streams}, err
}

func newLeaderAccess(o Common, userAgent string) (*leaderAccess, error) {
	restConfig, err := o.restConfig()
	if err != nil {
		return nil, err
	}
	scheme, err := kube.NewScheme()
	if err != nil {
		return nil, err
	}
	a := &leaderAccess{}
	own := ownConnections(restConfig)
	own.Timeout = lease.RenewDeadline / 2
	own.UserAgent = userAgent + "-leases"
	own.QPS = -1
	if a.kube, err = kubernetes.NewForConfig(own); err != nil {
		return nil, fmt.Errorf("making the client of leases: %w", err)
	}
	if a.apiAccess, err = newAPIAccess(restConfig, scheme, userAgent); err != nil {
		return nil, err
	}
	// Sinks may be of any kind, so only discovery knows their resources. Kinds are
	// discovered when they are first used. OpenShift's image API is fixed instead:
	// while it is down, discovery reports that it does not exist.
	discovered, err := apiutil.NewDynamicRESTMapper(a.config, a.http)
	if err != nil {
		return nil, fmt.Errorf("making the mapper of resources: %w", err)
	}
	a.mapper = meta.FirstHitRESTMapper{MultiRESTMapper: meta.MultiRESTMapper{imageMapper(), discovered}}
	a.live, err = client.New(a.config, client.Options{HTTPClient: a.http, Scheme: scheme, Mapper: a.mapper})
	if err != nil {
		return nil, fmt.Errorf("making a client of the API server: %w", err)
	}
	return a, nil
}

// ownConnections returns a configuration whose clients share no connections with others.
// client-go shares the connections of equal configurations; a dialer makes one differ.
func ownConnections(config *rest.Config) *rest.Config {
	own := rest.CopyConfig(config)
	own.Dial = (&net.Dialer{Timeout: apiDialTimeout, KeepAlive: apiDialTimeout}).DialContext
	return own
}

// newStreamsClient makes a client of ImageStreams with connections of its own, because a
// sweep's pages are megabytes, and nothing else should wait behind them.
func newStreamsClient(config *rest.Config, scheme *runtime.Scheme) (rest.Interface, error) {
	own := ownConnections(config)
	own.UserAgent += "-sweep"
	http, err := rest.HTTPClientFor(own)
	if err != nil {
		return nil, fmt.Errorf("making the client of ImageStreams: %w", err)
	}
	c, err := apiutil.RESTClientForGVK(imagev1.GroupVersion.WithKind("ImageStream"), true, false, own, serializer.NewCodecFactory(scheme), http)
	if err != nil {
		return nil, fmt.Errorf("making the client of ImageStreams: %w", err)
	}
	return c, nil
}

func (a *leaderAccess) eventSink() record.EventSink {
	return &typedcore.EventSinkImpl{Interface: a.kube.CoreV1().Events("")}
}

func eventSource() corev1.EventSource { return corev1.EventSource{Component: "revet-controller"} }

// ownNamespace sets the variable from which Knative's leader election reads the namespace
// of its leases. It has no other option.
func ownNamespace(namespace string) error {
	if os.Getenv(system.NamespaceEnvKey) == namespace {
		return nil
	}
	if err := os.Setenv(system.NamespaceEnvKey, namespace); err != nil {
		return fmt.Errorf("setting %s: %w", system.NamespaceEnvKey, err)
	}
	return nil
}
