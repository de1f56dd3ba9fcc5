package tekton

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/source"
)

// Policy reports whether the operator lets triggers of a namespace name a host,
// which is name or name:port as it stands in the URL.
type Policy func(host, namespace string) bool

// Checker resolves and checks sinks. It reads live, because a stale cache must not decide
// what runs.
type Checker struct {
	client client.Client
	rights *source.Rights
	policy Policy
	system string
}

// NewChecker returns a Checker. The client must not cache. System is Revet's own namespace, where
// its interceptor is.
func NewChecker(live client.Client, policy Policy, system string) *Checker {
	return &Checker{client: live, rights: source.NewRights(live, 0, time.Now), policy: policy, system: system}
}

// Resolve returns the address to which requests of a trigger in the namespace go.
func (c *Checker) Resolve(ctx context.Context, namespace string, sink v1alpha1.Sink) (*url.URL, error) {
	switch {
	case sink.Ref != nil && sink.URI == "":
		return c.resolveRef(ctx, namespace, sink.Ref)
	case sink.Ref == nil && sink.URI != "":
		return c.resolveURI(namespace, sink.URI)
	default:
		return nil, sinkError(SinkInvalid, "spec.sink sets %s; set exactly one of ref and uri",
			map[bool]string{true: "both ref and uri", false: "neither ref nor uri"}[sink.Ref != nil])
	}
}

func (c *Checker) resolveURI(namespace, uri string) (*url.URL, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil {
		return nil, sinkError(SinkInvalid, "spec.sink.uri %q is no absolute http or https URL without user information", uri)
	}
	if !c.policy(u.Host, namespace) {
		return nil, sinkError(SinkHostNotAllowed,
			"host %q of spec.sink.uri is not listed for namespace %q; an operator adds it to sinks.yaml of ConfigMap config-sinks in Revet's namespace",
			u.Host, namespace)
	}
	return u, nil
}

func (c *Checker) resolveRef(ctx context.Context, namespace string, ref *v1alpha1.SinkRef) (*url.URL, error) {
	what := fmt.Sprintf("%s %q in namespace %q", ref.Kind, ref.Name, namespace)
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return nil, sinkError(SinkInvalid, "spec.sink.ref.apiVersion %q is not group/version", ref.APIVersion)
	}
	if kind := gv.WithKind(ref.Kind).GroupKind(); !sinkKinds[kind] {
		return nil, sinkError(SinkInvalid,
			"spec.sink.ref is of kind %s, and sinks are of the kinds %s; name one of these, or an address in spec.sink.uri",
			kind, listKinds())
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(gv.WithKind(ref.Kind))
	err = c.client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: ref.Name}, object)
	switch {
	case err == nil:
	case meta.IsNoMatchError(err):
		return nil, sinkError(SinkNotFound, "this cluster has no kind %s in %s; install what serves it, or correct spec.sink.ref", ref.Kind, ref.APIVersion)
	case apierrors.IsNotFound(err):
		return nil, sinkError(SinkNotFound, "there is no %s; create it, or correct spec.sink.ref", what)
	case apierrors.IsForbidden(err):
		return nil, sinkError(SinkForbidden, "Revet's controller may not read %s; an operator grants its service account get on that resource", what)
	default:
		return nil, fmt.Errorf("reading sink %s: %w", what, err)
	}
	if gv.Group == "" {
		return serviceAddress(object, what)
	}
	address, err := addressOf(object, what)
	if err == nil && !isEventListener(object.GroupVersionKind()) && !c.policy(address.Host, namespace) {
		// Knative's roles let whoever edits a namespace write the status of its Brokers, Channels
		// and Services; Tekton's let nobody write that of an EventListener.
		return nil, sinkError(SinkHostNotAllowed,
			"host %q of %s is not listed for namespace %q, whose editors may write that address; an operator adds it to sinks.yaml of ConfigMap config-sinks in Revet's namespace",
			address.Host, what, namespace)
	}
	return address, err
}

// sinkKinds are the kinds of sinks. Whoever may make objects of another kind, and write their
// status, could have requests sent anywhere.
var sinkKinds = map[schema.GroupKind]bool{
	{Kind: "Service"}: true,
	{Group: "triggers.tekton.dev", Kind: "EventListener"}:     true,
	{Group: "eventing.knative.dev", Kind: "Broker"}:           true,
	{Group: "messaging.knative.dev", Kind: "Channel"}:         true,
	{Group: "messaging.knative.dev", Kind: "InMemoryChannel"}: true,
	{Group: "serving.knative.dev", Kind: "Service"}:           true,
}

// listKinds are the names of sinkKinds, in order.
func listKinds() string {
	var all []string
	for kind := range sinkKinds {
		all = append(all, kind.String())
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// serviceAddress is the address of a Service. It has no status.address: as Knative does, Revet
// takes its name and port 80. Only a Service that selects Pods counts. Requests to one of type
// ExternalName go where DNS says, and to one without a selector where its endpoints say: both
// may be outside the cluster, where an operator has to list the host.
func serviceAddress(object *unstructured.Unstructured, what string) (*url.URL, error) {
	kind, _, err := unstructured.NestedString(object.Object, "spec", "type")
	if err != nil {
		kind = string(corev1.ServiceTypeExternalName)
	}
	selector, _, err := unstructured.NestedMap(object.Object, "spec", "selector")
	if err != nil {
		selector = nil
	}
	if err := leadsToPods(corev1.ServiceType(kind), len(selector), what); err != nil {
		return nil, err
	}
	return &url.URL{Scheme: "http", Host: object.GetName() + "." + object.GetNamespace() + ".svc", Path: "/"}, nil
}

// leadsToPods returns nil for a Service of that type that selects Pods by so many labels.
func leadsToPods(kind corev1.ServiceType, labels int, what string) error {
	const cure = "; name a Service that selects Pods, or write the address into spec.sink.uri, whose host an operator lists in ConfigMap config-sinks"
	switch {
	case kind == corev1.ServiceTypeExternalName:
		return sinkError(SinkHostNotAllowed, "%s is of type ExternalName, so that DNS decides where requests go"+cure, what)
	case labels == 0:
		return sinkError(SinkHostNotAllowed, "%s selects no Pods, so that its endpoints decide where requests go"+cure, what)
	default:
		return nil
	}
}

// addressOf reads the Addressable duck type.
func addressOf(object *unstructured.Unstructured, what string) (*url.URL, error) {
	var duck duckv1.AddressableType
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &duck); err != nil {
		return nil, sinkError(SinkNotAddressable, "%s has a status that is not of the Addressable duck type: %v", what, err)
	}
	address := duck.Status.Address
	if address == nil && len(duck.Status.Addresses) > 0 {
		address = &duck.Status.Addresses[0]
	}
	if address != nil && address.URL != nil && address.URL.Host != "" {
		u := address.URL.URL()
		if u.Scheme != "http" && u.Scheme != "https" {
			return nil, sinkError(SinkNotAddressable, "%s has the address %q, which is neither http nor https", what, u)
		}
		return u, nil
	}
	gvk := object.GroupVersionKind()
	if mayGetAddress(object, gvk) {
		return nil, sinkError(SinkNotReady, "%s has no status.address.url yet; see: kubectl describe -n %s %s %s",
			what, object.GetNamespace(), strings.ToLower(gvk.Kind+"."+gvk.Group), object.GetName())
	}
	return nil, sinkError(SinkNotAddressable, "%s never has a status.address.url; name an Addressable, such as an EventListener", what)
}

// mayGetAddress reports whether an object without an address may get one later: an
// EventListener always, other kinds if they have no status yet or an empty address.
func mayGetAddress(object *unstructured.Unstructured, gvk schema.GroupVersionKind) bool {
	if gvk.Group == "" {
		return false
	}
	_, hasAddress, err := unstructured.NestedFieldNoCopy(object.Object, "status", "address")
	return isEventListener(gvk) || !hasStatus(object) || (err == nil && hasAddress)
}

func hasStatus(object *unstructured.Unstructured) bool {
	_, ok := object.Object["status"]
	return ok
}

func isEventListener(gvk schema.GroupVersionKind) bool {
	return gvk.Group == "triggers.tekton.dev" && gvk.Kind == "EventListener"
}
