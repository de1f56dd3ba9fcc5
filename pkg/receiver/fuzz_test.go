package receiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/intake"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
	"github.com/revet-dev/revet/pkg/source/registry/webhook"
)

const (
	fuzzToken = "a-token-of-the-registry-hub"
	fuzzHost  = "hub.example"
)

// witness is all that a handler reaches outside, and remembers what it showed:
// nothing else may be recorded.
type witness struct {
	stream   push.Stream
	registry image.Digest
	vendor   webhook.Vendor

	mu       sync.Mutex
	shown    map[string]bool // "repository:tag@digest"
	recorded int
	invented []string
}

func told(repository, tag string, d image.Digest) string {
	return repository + ":" + tag + "@" + d.String()
}

func (w *witness) Stream(_ context.Context, namespace, name string) (*openshift.StreamState, error) {
	if namespace+"/"+name != w.stream.Repository.Name {
		return nil, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.stream.Tags {
		for _, i := range t.Items {
			w.shown[w.stream.Repository.Name+":"+t.ClaimedName+"@"+i.ClaimedDigest] = true
		}
	}
	return &openshift.StreamState{Stream: w.stream}, nil
}

func (w *witness) Image(context.Context, image.Digest) (openshift.ImageState, error) {
	return openshift.ImageState{}, nil
}

func (w *witness) MayGet(context.Context, source.Account, string, string) (bool, error) {
	return true, nil
}

// hub is the registry.
type hub struct{ *witness }

func (h hub) Head(_ context.Context, r image.Repository, tag string, _ source.Account) (image.Digest, error) {
	if r.Host() != fuzzHost {
		return image.Digest{}, &source.Refusal{Reason: source.NotAllowed, Err: errors.New("another host")}
	}
	if tag == "gone" {
		return image.Digest{}, &source.Refusal{Reason: source.NotFound, Err: errors.New("gone")}
	}
	h.shown[told(r.String(), tag, h.registry)] = true
	return h.registry, nil
}

func (h hub) Tagged(ctx context.Context, r image.Repository, tag string, _ image.Digest, as source.Account) (image.Digest, error) {
	return h.Head(ctx, r, tag, as)
}

func (h hub) Content(context.Context, image.Reference, source.Account) (image.Content, error) {
	return image.Content{}, nil
}

// Known and Record are the ledger, which has nothing.
func (w *witness) Known(t *v1alpha1.ImageTrigger, r push.Repository) ledger.Coverage {
	return ledger.New(nil, ledger.NewIndex(time.Now)).Known(t, r)
}

func (w *witness) Record(_ context.Context, _ *v1alpha1.ImageTrigger, p push.Push, _ *v1alpha1.ImageFacts, _ v1alpha1.PushSource, _ time.Time) (ledger.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recorded++
	if what := told(p.Repository.Name, p.Tag, p.Digest); !w.shown[what] || !image.ValidTag(p.Tag) {
		w.invented = append(w.invented, what)
	}
	return ledger.Result{Outcome: ledger.Created, Entry: &v1alpha1.ImageVerification{}}, nil
}

// Host, Allows, Vendor and Secrets are what the operator says of registries.
func (w *witness) Host(name string) (string, bool) { return fuzzHost, name == "hub" }

func (w *witness) Allows(string, string) bool { return true }

func (w *witness) Vendor(string) webhook.Vendor { return w.vendor }

func (w *witness) Secrets(string) [][]byte { return [][]byte{[]byte(fuzzToken)} }

// witnessed returns a handler with the production's limits, made smaller where
// that costs nothing.
func witnessed(tb testing.TB) (*Handler, *witness, *observer.ObservedLogs) {
	tb.Helper()
	o, err := openshift.DecodeObject(openshift.Update, benchStream())
	if err != nil {
		tb.Fatal(err)
	}
	registry, err := image.ParseDigest(benchDigest(99))
	if err != nil {
		tb.Fatal(err)
	}
	instruments, err := intake.NewMetrics(noop.Meter{})
	if err != nil {
		tb.Fatal(err)
	}
	vendor, ok := webhook.VendorOf(webhook.DefaultVendor)
	if !ok {
		tb.Fatal("no default vendor")
	}
	w := &witness{stream: *o.Stream, registry: registry, vendor: vendor, shown: map[string]bool{}}
	set := intake.NewTriggers(func(_ *v1alpha1.ImageTrigger, err error) { tb.Error(err) })
	set.Handler().OnAdd(&v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "all", UID: "all", CreationTimestamp: metav1.NewTime(epoch)},
		Spec: v1alpha1.ImageTriggerSpec{Images: []v1alpha1.ImageSelector{
			{ImageStreams: &v1alpha1.ImageStreamSelector{NamespaceSelector: &metav1.LabelSelector{}}}, {Repository: fuzzHost + "/**"},
		}},
	}, true)
	core, logs := observer.New(zap.ErrorLevel)
	in := intake.New(intake.Dependencies{
		Triggers: set, Namespaces: fixedLabels{}, Cluster: w, Registry: hub{w}, Ledger: w,
		Metrics: instruments, Log: zap.New(core), Now: func() time.Time { return epoch }, RegistryTimeout: time.Second,
		Sleep: func(context.Context, time.Duration) error { return nil },
	})
	limits := Limits{EventBody: 64 << 10, WebhookBody: 16 << 10, InFlight: 4, InFlightBytes: 256 << 10, Deadline: time.Minute, RetryAfter: time.Second}
	return NewHandler(in, w, limits, func() bool { return true }), w, logs
}

// Whatever is sent: the answer is one that its sender understands and never 500,
// nothing panics, a forged event records nothing but what the API server or the
// registry shows, and nothing is answered 202 before that is recorded.
func FuzzRequest(f *testing.F) {
	h, w, logs := witnessed(f)
	const events, notifications = "/", "/registries/hub"
	const update, distribution = "dev.knative.apiserver.resource.update", "application/vnd.docker.distribution.events.v2+json"
	stream := string(benchStream())
	f.Add(http.MethodPost, events, "application/json", "Ce-Specversion: 1.0\nCe-Type: "+update+"\nCe-Id: 1\nCe-Source: s\nCe-Kind: ImageStream\nCe-Name: app", stream, false)
	f.Add(http.MethodPost, events, "application/json", "Ce-Specversion: 1.0\nCe-Type: "+update+"\nCe-Id: 1\nCe-Source: s", strings.ReplaceAll(stream, "v1.3", "forged"), true)
	f.Add(http.MethodPost, events, "application/cloudevents+json", "", `{"specversion":"1.0","type":"dev.knative.apiserver.ref.add","id":"1","source":"s","data":{"kind":"ImageStream","apiVersion":"image.openshift.io/v1","namespace":"demo","name":"app"}}`, false)
	f.Add(http.MethodPost, events, "application/cloudevents-batch+json", "", `[{"specversion":"1.0"}, 7, null]`, true)
	f.Add(http.MethodPost, events, "text/plain", "Ce-Specversion: 9", "x", false)
	f.Add(http.MethodPost, notifications, distribution, "Authorization: Bearer "+fuzzToken,
		`{"events":[{"action":"push","target":{"mediaType":"application/vnd.oci.image.manifest.v1+json","repository":"team/app","tag":"v1","digest":"`+benchDigest(98)+`"}}]}`, false)
	f.Add(http.MethodPost, notifications, distribution, "Authorization: Basic eDp5", `{"events":[]}`, false)
	f.Add(http.MethodPost, "/registries/other", distribution, "", "", false)
	f.Add(http.MethodGet, events, "", "", "", false)
	f.Fuzz(func(t *testing.T, method, path, contentType, headers, body string, chunked bool) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://receiver/", strings.NewReader(body))
		if err != nil || !strings.HasPrefix(path, "/") {
			return // no client can send it
		}
		r.URL.Path = path
		r.Header = header(headers)
		r.Header.Set("Content-Type", contentType)
		if chunked {
			r.ContentLength = -1
			r.Body = io.NopCloser(strings.NewReader(body))
		}
		clear(w.shown)
		w.recorded, w.invented = 0, nil
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		if wrong := wrongAnswer(answer, w.recorded); wrong != "" {
			t.Errorf("%s %q is answered %d: %s: %s", method, path, answer.Code, wrong, answer.Body)
		}
		if len(w.invented) > 0 {
			t.Errorf("recorded without being read: %q", w.invented)
		}
		for _, l := range logs.TakeAll() {
			t.Errorf("%s: %v", l.Message, l.ContextMap())
		}
		if h.bytes.used != 0 || h.slots.used != 0 {
			t.Errorf("%d bytes and %d requests still count as under way", h.bytes.used, h.slots.used)
		}
	})
}

// header reads lines of "Name: value".
func header(lines string) http.Header {
	h := http.Header{}
	for line := range strings.SplitSeq(lines, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			h.Add(name, value)
		}
	}
	return h
}

// wrongAnswer says what no answer may be.
func wrongAnswer(w *httptest.ResponseRecorder, recorded int) string {
	for name := range w.Header() {
		if strings.HasPrefix(name, "Ce-") {
			return "a Broker takes it for an event"
		}
	}
	switch w.Code {
	case http.StatusAccepted:
		if w.Body.Len() > 0 {
			return "202 has a body"
		}
		return ""
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return "everything is there, and nothing else is under way"
	case http.StatusBadRequest, http.StatusUnsupportedMediaType:
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestEntityTooLarge:
		if recorded > 0 {
			return fmt.Sprintf("%d pushes were recorded all the same", recorded)
		}
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusMovedPermanently, http.StatusTemporaryRedirect:
		// What the router answers: to another method, or to a path that is not clean.
		if recorded > 0 {
			return fmt.Sprintf("%d pushes were recorded all the same", recorded)
		}
		return ""
	default:
		return "its sender does not expect it"
	}
	if w.Body.Len() > 4096 {
		return "it is too long"
	}
	return ""
}
