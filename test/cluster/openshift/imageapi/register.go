package imageapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
)

// The names that OpenShift uses for the same.
const (
	serviceNamespace = "openshift-apiserver"
	serviceName      = "api"
	serviceHost      = serviceName + "." + serviceNamespace + ".svc"
	apiServiceName   = "v1.image.openshift.io"
	registerPoll     = 50 * time.Millisecond
	// nudgeInterval is how often the API server is made to read the group again.
	nudgeInterval = time.Second
	nudgedAt      = "revet.dev/nudged-at"
)

// errStale: the API server could not read the group's resources when it looked.
var errStale = errors.New("the API server's discovery says that the group is stale")

// register tells the API server where this one is.
func register(ctx context.Context, config *rest.Config, host, addr string, certificate []byte) error {
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	registration, err := aggregator.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client of API services: %w", err)
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("reading the image API's address %q: %w", addr, err)
	}
	if err := putService(ctx, kube, host, port); err != nil {
		return err
	}
	return putAPIService(ctx, registration, port, certificate)
}

func putService(ctx context.Context, kube kubernetes.Interface, host, port string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: serviceNamespace}}
	if _, err := kube.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating namespace %q: %w", serviceNamespace, err)
	}
	number, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		return fmt.Errorf("reading port %q: %w", port, err)
	}
	services := kube.CoreV1().Services(serviceNamespace)
	// An external name needs neither endpoints nor kube-proxy.
	spec := corev1.ServiceSpec{
		Type: corev1.ServiceTypeExternalName, ExternalName: host,
		Ports: []corev1.ServicePort{{Name: "https", Port: int32(number)}},
	}
	current, err := services.Get(ctx, serviceName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = services.Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: serviceName}, Spec: spec}, metav1.CreateOptions{})
	case err == nil:
		current.Spec = spec
		_, err = services.Update(ctx, current, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("writing service %q: %w", serviceNamespace+"/"+serviceName, err)
	}
	return nil
}

func putAPIService(ctx context.Context, registration aggregator.Interface, port string, certificate []byte) error {
	number, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		return fmt.Errorf("reading port %q: %w", port, err)
	}
	n := int32(number)
	spec := apiregistrationv1.APIServiceSpec{
		Group: imagev1.GroupName, Version: "v1", CABundle: certificate,
		Service:              &apiregistrationv1.ServiceReference{Namespace: serviceNamespace, Name: serviceName, Port: &n},
		GroupPriorityMinimum: 9900, VersionPriority: 15,
	}
	services := registration.ApiregistrationV1().APIServices()
	current, err := services.Get(ctx, apiServiceName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = services.Create(ctx, &apiregistrationv1.APIService{ObjectMeta: metav1.ObjectMeta{Name: apiServiceName}, Spec: spec}, metav1.CreateOptions{})
	case err == nil:
		current.Spec = spec
		_, err = services.Update(ctx, current, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("writing API service %q: %w", apiServiceName, err)
	}
	return nil
}

// WaitServed returns when clients of the API server can use the API: each resource can be listed and the group is in
// the discovery.
func (s *Server) WaitServed(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(s.client)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	tick := time.NewTicker(registerPoll)
	defer tick.Stop()
	var nudged time.Time
	for {
		last := served(ctx, client)
		if last == nil {
			return nil
		}
		if looksAgain(last) && time.Since(nudged) > nudgeInterval {
			nudged = time.Now()
			if err := Nudge(ctx, s.client); err != nil {
				return err
			}
		}
		select {
		case <-s.done:
			return fmt.Errorf("the image API ended: %w", errors.Join(s.err, last))
		case <-ctx.Done():
			return fmt.Errorf("the image API is not served by the API server: %w", last)
		case <-tick.C:
		}
	}
}

func served(ctx context.Context, client kubernetes.Interface) error {
	for _, path := range []string{"images", "imagestreams"} {
		if err := listed(ctx, client, path); err != nil {
			return err
		}
	}
	groups, _, failed, err := client.Discovery().(discovery.AggregatedDiscoveryInterface).GroupsAndMaybeResources()
	if err != nil {
		return fmt.Errorf("reading the API server's groups: %w", err)
	}
	if err := failed[imagev1.GroupVersion]; err != nil {
		return fmt.Errorf("%w: %w", errStale, err)
	}
	for _, g := range groups.Groups {
		if g.Name == imagev1.GroupName {
			return nil
		}
	}
	return fmt.Errorf("group %q is not among the API server's groups", imagev1.GroupName)
}

func listed(ctx context.Context, client kubernetes.Interface, resource string) error {
	var status int
	err := client.Discovery().RESTClient().Get().AbsPath("/apis/image.openshift.io/v1/"+resource).
		Param("limit", "1").Do(ctx).StatusCode(&status).Error()
	if err != nil {
		return fmt.Errorf("listing %s: %w", resource, err)
	}
	if status != http.StatusOK {
		return fmt.Errorf("listing %s: status %d", resource, status)
	}
	return nil
}

// looksAgain reports whether err may be of a look that the API server took too early.
func looksAgain(err error) bool {
	return errors.Is(err, errStale) || apierrors.IsServiceUnavailable(err)
}

// keepServed nudges the API server while it takes this one for unavailable, until ctx ends.
func (s *Server) keepServed(ctx context.Context) {
	client, err := kubernetes.NewForConfig(s.client)
	if err != nil {
		return // WaitServed says why
	}
	tick := time.NewTicker(nudgeInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		asking, cancel := context.WithTimeout(ctx, nudgeInterval)
		if apierrors.IsServiceUnavailable(listed(asking, client, "images")) {
			_ = Nudge(asking, s.client) // an API server that is away is asked again at the next tick
		}
		cancel()
	}
}

// Nudge makes the API server look at this one again, and read the group's resources. It looks too early when it was
// just started, stopped or slow, as it is not ready then to authenticate what it reads from, or this one answers too
// late; it otherwise takes the group for unavailable for half a minute, and its discovery for stale for a minute.
func Nudge(ctx context.Context, config *rest.Config) error {
	registration, err := aggregator.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client of API services: %w", err)
	}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, nudgedAt, time.Now().Format(time.RFC3339Nano))
	_, err = registration.ApiregistrationV1().APIServices().Patch(ctx, apiServiceName, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("changing API service %q: %w", apiServiceName, err)
	}
	return nil
}
