package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"
	imagev1 "github.com/openshift/api/image/v1"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/config"
	"github.com/revet-dev/revet/pkg/intake"
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/pkg/ledger"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// cell is an API server's storage, shared by any number of receivers, that
// counts requests, denies accounts and fails on demand.
type cell struct {
	t      *testing.T
	client client.WithWatch
	log    *observer.ObservedLogs

	mu       sync.Mutex
	requests map[string]int // by verb and kind
	denied   map[string]bool
	fail     func(verb string, obj client.Object) error
}

func newCell(t *testing.T, objects ...client.Object) *cell {
	t.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	c := &cell{t: t, requests: map[string]int{}, denied: map[string]bool{}}
	c.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.ImageVerification{}).
		WithInterceptorFuncs(interceptor.Funcs{
			Get: func(ctx context.Context, next client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
				if err := c.request("get", obj); err != nil {
					return err
				}
				return next.Get(ctx, key, obj, opts...)
			},
			Create: func(ctx context.Context, next client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
				if err := c.request("create", obj); err != nil {
					return err
				}
				if review, ok := obj.(*authorizationv1.SubjectAccessReview); ok {
					c.mu.Lock()
					defer c.mu.Unlock()
					review.Status.Allowed = !c.denied[review.Spec.User]
					return nil
				}
				return next.Create(ctx, obj, opts...)
			},
			SubResourceUpdate: func(ctx context.Context, next client.Client, sub string, obj client.Object, opts ...client.SubResourceUpdateOption) error {
				if err := c.request("update", obj); err != nil {
					return err
				}
				return next.SubResource(sub).Update(ctx, obj, opts...)
			},
		}).Build()
	return c
}

func (c *cell) request(verb string, obj client.Object) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	kind := strings.TrimPrefix(fmt.Sprintf("%T", obj), "*")
	c.requests[verb+" "+kind[strings.LastIndex(kind, ".")+1:]]++
	if c.fail != nil {
		return c.fail(verb, obj)
	}
	return nil
}

// made returns the requests since it was last asked.
func (c *cell) made() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	made := c.requests
	c.requests = map[string]int{}
	return made
}

func (c *cell) failing(f func(verb string, obj client.Object) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = f
}

// receiver makes a receiver whose watches were fed with what the cell holds now.
func (c *cell) receiver() *Receiver {
	c.t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	c.log = logs
	o := DefaultReceiverOptions()
	o.Now = func() time.Time { return noon }
	r := &Receiver{options: o, log: zap.New(core), live: c.client, sleep: func(context.Context, time.Duration) error { return nil }}
	r.watches = &receiverWatches{
		triggers:   intake.NewTriggers(logTrigger(r.log)),
		index:      ledger.NewIndex(o.Now),
		config:     config.NewStore(o.SystemNamespace, logConfig(r.log)),
		namespaces: c.client,
	}
	var triggers v1alpha1.ImageTriggerList
	var entries v1alpha1.ImageVerificationList
	var configMaps corev1.ConfigMapList
	var secrets corev1.SecretList
	for _, list := range []client.ObjectList{&triggers, &entries, &configMaps, &secrets} {
		if err := c.client.List(c.t.Context(), list); err != nil {
			c.t.Fatal(err)
		}
	}
	for n := range triggers.Items {
		r.watches.triggers.Handler().OnAdd(&triggers.Items[n], true)
	}
	for n := range entries.Items {
		r.watches.index.Handler().OnAdd(&entries.Items[n], true)
	}
	for n := range configMaps.Items {
		r.watches.config.Handler().OnAdd(&configMaps.Items[n], true)
	}
	for n := range secrets.Items {
		r.watches.config.Handler().OnAdd(&secrets.Items[n], true)
	}
	instruments, err := intake.NewMetrics(noop.Meter{})
	if err != nil {
		c.t.Fatal(err)
	}
	r.serve(r.watches, instruments)
	r.synced.Store(true)
	return r
}

// pushes returns the ledger as "trigger repository:tag@number of the digest".
func (c *cell) pushes() []string {
	c.t.Helper()
	var entries v1alpha1.ImageVerificationList
	if err := c.client.List(c.t.Context(), &entries); err != nil {
		c.t.Fatal(err)
	}
	got := []string{}
	for _, e := range entries.Items {
		for _, tag := range e.Tags() {
			got = append(got, fmt.Sprintf("%s %s:%s@%s", e.Spec.Trigger.Name, e.Spec.Repository.Name, tag.Tag, strings.TrimLeft(strings.TrimPrefix(e.Spec.Digest, "sha256:"), "0")))
		}
	}
	slices.Sort(got)
	return got
}

func digestOf(n int) string { return fmt.Sprintf("sha256:%064x", n) }

// trigger selects the streams of its own namespace.
func triggerNamed(namespace, name string, change ...func(*v1alpha1.ImageTrigger)) *v1alpha1.ImageTrigger {
	t := &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-of-" + name), CreationTimestamp: metav1.NewTime(noon)},
		Spec:       v1alpha1.ImageTriggerSpec{Images: []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{}}}},
	}
	for _, f := range change {
		f(t)
	}
	return t
}

// streamOf is a stream of namespace shop that has the tags' heads, pushed now; a tag with several digests has history.
func streamOf(name string, tags map[string][]int) *imagev1.ImageStream {
	const namespace, registry = "shop", "image-registry.openshift-image-registry.svc:5000/"
	is := &imagev1.ImageStream{
		TypeMeta:   metav1.TypeMeta{APIVersion: "image.openshift.io/v1", Kind: "ImageStream"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-of-" + name)},
		Status:     imagev1.ImageStreamStatus{DockerImageRepository: registry + namespace + "/" + name},
	}
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		list := imagev1.NamedTagEventList{Tag: tag}
		for _, n := range tags[tag] {
			list.Items = append(list.Items, imagev1.TagEvent{Created: metav1.NewTime(noon), Image: digestOf(n), DockerImageReference: registry + namespace + "/" + name + "@" + digestOf(n)})
		}
		is.Status.Tags = append(is.Status.Tags, list)
	}
	return is
}

// imageOf is an Image object; config and layer are media types.
func imageOf(n int, architecture, layer string) *imagev1.Image {
	metadata, err := json.Marshal(map[string]any{"kind": "DockerImage", "apiVersion": "image.openshift.io/1.0", "Architecture": architecture, "Config": map[string]any{}})
	if err != nil {
		panic(err)
	}
	return &imagev1.Image{
		ObjectMeta:                   metav1.ObjectMeta{Name: digestOf(n)},
		DockerImageMetadata:          runtime.RawExtension{Raw: metadata},
		DockerImageManifestMediaType: "application/vnd.oci.image.manifest.v1+json",
		DockerImageLayers:            []imagev1.ImageLayer{{Name: digestOf(900 + n), MediaType: layer}},
	}
}

const rootFSLayer = "application/vnd.oci.image.layer.v1.tar+gzip"

func asJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// attributes are an ApiServerSource's for an ImageStream.
func attributes(is *imagev1.ImageStream, eventType string) map[string]string {
	return map[string]string{
		"specversion": "1.0", "id": "8e7c1c8e-4f6a-4d0e-9b58-0d6f3a5d7a11", "source": "https://10.96.0.1:443", "type": eventType,
		"subject":    "/apis/image.openshift.io/v1/namespaces/" + is.Namespace + "/imagestreams/" + is.Name,
		"apiversion": "image.openshift.io/v1", "kind": "ImageStream", "name": is.Name, "namespace": is.Namespace,
	}
}

const updated = "dev.knative.apiserver.resource.update"

func binary(t *testing.T, attributes map[string]string, contentType string, body []byte) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body))
	for name, value := range attributes {
		r.Header.Set("Ce-"+name, value)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func update(t *testing.T, is *imagev1.ImageStream) *http.Request {
	t.Helper()
	return binary(t, attributes(is, updated), "application/json", asJSON(is))
}

// structured is an event in JSON.
func structured(attributes map[string]string, data any) json.RawMessage {
	event := map[string]any{"data": data, "datacontenttype": "application/json"}
	for name, value := range attributes {
		event[name] = value
	}
	return asJSON(event)
}

func post(t *testing.T, path, contentType string, body []byte) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, bytes.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

// chunked makes a request's length unknown, as Transfer-Encoding: chunked does.
func chunked(r *http.Request) *http.Request {
	r.ContentLength = -1
	r.TransferEncoding = []string{"chunked"}
	return r
}

// send returns the status and body, and holds every reply to what all must hold.
func send(t *testing.T, r *Receiver, request *http.Request) (int, string) {
	t.Helper()
	return sendTo(t, r.server, request)
}

func sendTo(t *testing.T, s *server, request *http.Request) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.http.Handler.ServeHTTP(w, request)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	for name := range w.Header() {
		if strings.HasPrefix(name, "Ce-") {
			t.Errorf("the reply has the CloudEvent attribute %s, which a Broker takes for a new event", name)
		}
	}
	switch {
	case w.Code == http.StatusInternalServerError:
		t.Errorf("answered 500, which the adapter drops: %s", body)
	case w.Code == http.StatusAccepted && len(body) > 0:
		t.Errorf("answered 202 with a body: %s", body)
	case request.Method == http.MethodPost && (w.Code == http.StatusServiceUnavailable || w.Code == http.StatusTooManyRequests) && w.Header().Get("Retry-After") == "":
		t.Errorf("answered %d without Retry-After", w.Code)
	}
	return w.Code, string(body)
}

func zapReason(reason string) zap.Field { return zap.String("reason", reason) }

// sorted compares lists in any order.
var sorted = cmpopts.SortSlices(strings.Compare)
