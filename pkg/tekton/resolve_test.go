package tekton

import (
	"context"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/kube"
)

// testPolicy allows one host for one namespace.
func testPolicy(host, namespace string) bool {
	return host == "hooks.example.com" && namespace == "team-a"
}

func newTestClient(t *testing.T, objects ...client.Object) client.WithWatch {
	t.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
}

// object makes an object of any kind with a status.
func object(apiVersion, kind, namespace, name string, status map[string]any) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind}}
	o.SetNamespace(namespace)
	o.SetName(name)
	if status != nil {
		o.Object["status"] = status
	}
	return o
}

func addressable(url string) map[string]any {
	return map[string]any{"address": map[string]any{"url": url}}
}

func service(name string, spec corev1.ServiceSpec) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name}, Spec: spec}
}

func TestResolve(t *testing.T) {
	const el = "triggers.tekton.dev/v1beta1"
	objects := []client.Object{
		object(el, "EventListener", "team-a", "ready", addressable("http://el-ready.team-a.svc.cluster.local:8080")),
		object(el, "EventListener", "team-a", "starting", nil),
		object(el, "EventListener", "team-a", "no-address", map[string]any{"conditions": []any{}}),
		object(el, "EventListener", "team-b", "other", addressable("http://el-other.team-b.svc.cluster.local:8080")),
		object("eventing.knative.dev/v1", "Broker", "team-a", "several", map[string]any{
			"addresses": []any{map[string]any{"url": "https://hooks.example.com/team-a"}, map[string]any{"url": "http://broker.example/team-a"}}}),
		object("eventing.knative.dev/v1", "Broker", "team-a", "forged", addressable("http://169.254.169.254/latest/meta-data")),
		object("eventing.knative.dev/v1", "Broker", "team-a", "odd", addressable("ftp://broker.example/")),
		object("eventing.knative.dev/v1", "Broker", "team-a", "silent", map[string]any{"conditions": []any{}}),
		object("v1", "ConfigMap", "team-a", "plain", addressable("http://anywhere.example/")),
		object("serving.knative.dev/v1", "Service", "team-a", "hook", addressable("http://hook.team-a.svc.cluster.local")),
		service("hook", corev1.ServiceSpec{Selector: map[string]string{"app": "hook"}}),
		service("elsewhere", corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "elsewhere.example", Selector: map[string]string{"app": "hook"}}),
		service("by-hand", corev1.ServiceSpec{}),
	}
	checker := NewChecker(newTestClient(t, objects...), testPolicy, "revet-system")
	for _, test := range []struct {
		name   string
		sink   v1alpha1.Sink
		want   string
		reason Reason
		cure   string
	}{
		{name: "an EventListener's address", sink: ref(el, "EventListener", "ready"), want: "http://el-ready.team-a.svc.cluster.local:8080"},
		{name: "an EventListener that has no status yet", sink: ref(el, "EventListener", "starting"), reason: SinkNotReady, cure: "kubectl describe -n team-a eventlistener.triggers.tekton.dev starting"},
		{name: "an EventListener that has no address yet", sink: ref(el, "EventListener", "no-address"), reason: SinkNotReady, cure: "kubectl describe"},
		{name: "an EventListener of another namespace", sink: ref(el, "EventListener", "other"), reason: SinkNotFound, cure: `namespace "team-a"`},
		{name: "an EventListener that does not exist", sink: ref(el, "EventListener", "none"), reason: SinkNotFound, cure: "create it"},
		{name: "the first of several addresses", sink: ref("eventing.knative.dev/v1", "Broker", "several"), want: "https://hooks.example.com/team-a"},
		{name: "an address that is no web address", sink: ref("eventing.knative.dev/v1", "Broker", "odd"), reason: SinkNotAddressable, cure: "neither http nor https"},
		{name: "a kind that is none of a sink", sink: ref("v1", "ConfigMap", "plain"), reason: SinkInvalid, cure: "EventListener.triggers.tekton.dev, InMemoryChannel.messaging.knative.dev, Service, Service.serving.knative.dev"},
		{name: "a kind of a sink in another group", sink: ref("example.com/v1", "Broker", "several"), reason: SinkInvalid, cure: "Broker.eventing.knative.dev"},
		{name: "a Service of Knative's", sink: ref("serving.knative.dev/v1", "Service", "hook"), reason: SinkHostNotAllowed, cure: `host "hook.team-a.svc.cluster.local"`},
		{name: "an address that an editor wrote", sink: ref("eventing.knative.dev/v1", "Broker", "forged"), reason: SinkHostNotAllowed, cure: `host "169.254.169.254"`},
		{name: "a Service that is a name in DNS", sink: ref("v1", "Service", "elsewhere"), reason: SinkHostNotAllowed, cure: "config-sinks"},
		{name: "a Service whose endpoints somebody writes", sink: ref("v1", "Service", "by-hand"), reason: SinkHostNotAllowed, cure: "selects no Pods"},
		{name: "a kind that has a status and no address", sink: ref("eventing.knative.dev/v1", "Broker", "silent"), reason: SinkNotAddressable, cure: "EventListener"},
		{name: "a Service, by its name", sink: ref("v1", "Service", "hook"), want: "http://hook.team-a.svc/"},
		{name: "an apiVersion that is none", sink: ref("a/b/c", "EventListener", "ready"), reason: SinkInvalid, cure: "group/version"},
		{name: "a URI whose host is listed", sink: v1alpha1.Sink{URI: "https://hooks.example.com/revet"}, want: "https://hooks.example.com/revet"},
		{name: "a URI whose host is not listed", sink: v1alpha1.Sink{URI: "https://elsewhere.example.com/"}, reason: SinkHostNotAllowed, cure: "config-sinks"},
		{name: "a URI whose port is not listed", sink: v1alpha1.Sink{URI: "https://hooks.example.com:444/"}, reason: SinkHostNotAllowed, cure: "config-sinks"},
		{name: "a URI with user information", sink: v1alpha1.Sink{URI: "https://hooks.example.com@evil.example.com/"}, reason: SinkInvalid, cure: "without user information"},
		{name: "neither ref nor uri", sink: v1alpha1.Sink{}, reason: SinkInvalid, cure: "exactly one"},
		{name: "both ref and uri", sink: v1alpha1.Sink{Ref: ref(el, "EventListener", "ready").Ref, URI: "https://hooks.example.com/"}, reason: SinkInvalid, cure: "exactly one"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := checker.Resolve(t.Context(), "team-a", test.sink)
			if test.want != "" {
				if err != nil || got.String() != test.want {
					t.Fatalf("got %v, %v; want %q", got, err, test.want)
				}
				return
			}
			var sinkErr *SinkError
			if !errors.As(err, &sinkErr) || sinkErr.Reason != test.reason || !strings.Contains(sinkErr.Message, test.cure) {
				t.Errorf("error %v, want %s with %q", err, test.reason, test.cure)
			}
		})
	}
}

func ref(apiVersion, kind, name string) v1alpha1.Sink {
	return v1alpha1.Sink{Ref: &v1alpha1.SinkRef{APIVersion: apiVersion, Kind: kind, Name: name}}
}

// What the API server cannot answer changes no condition; what it refuses does.
func TestResolveTellsTransientFromLasting(t *testing.T) {
	resource := schema.GroupResource{Group: "triggers.tekton.dev", Resource: "eventlisteners"}
	for _, test := range []struct {
		name string
		err  error
		want Reason
	}{
		{"forbidden", apierrors.NewForbidden(resource, "x", errors.New("no")), SinkForbidden},
		{"a timeout", apierrors.NewTimeoutError("slow", 1), ""},
		{"no connection", errors.New("connection refused"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := interceptor.NewClient(newTestClient(t), interceptor.Funcs{
				Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
					return test.err
				},
			})
			_, err := NewChecker(c, testPolicy, "revet-system").Resolve(t.Context(), "team-a", ref("triggers.tekton.dev/v1beta1", "EventListener", "x"))
			var sinkErr *SinkError
			if lasting := errors.As(err, &sinkErr); lasting != (test.want != "") || (lasting && sinkErr.Reason != test.want) {
				t.Errorf("error %v, want reason %q", err, test.want)
			}
		})
	}
}
