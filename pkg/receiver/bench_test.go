package receiver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/intake"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

var epoch = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const benchTags = 20

// unreachable fails whoever makes a request.
type unreachable struct{}

var errRequest = errors.New("a request was made")

func (unreachable) Stream(context.Context, string, string) (*openshift.StreamState, error) {
	return nil, errRequest
}
func (unreachable) Image(context.Context, image.Digest) (openshift.ImageState, error) {
	return openshift.ImageState{}, errRequest
}
func (unreachable) MayGet(context.Context, source.Account, string, string) (bool, error) {
	return false, errRequest
}

type fixedLabels map[string]string

func (f fixedLabels) Labels(context.Context, string) (map[string]string, error) { return f, nil }

func benchDigest(n int) string { return fmt.Sprintf("sha256:%064x", n+1) }

// benchStream is an ImageStream as ApiServerSource sends it: 20 tags of one
// item, as pushes make them, managed fields included.
func benchStream() []byte {
	type object = map[string]any
	var tags, fields []any
	for n := range benchTags {
		tags = append(tags, object{"tag": fmt.Sprintf("v1.%d", n), "items": []any{object{
			"created":              epoch.Format(time.RFC3339),
			"dockerImageReference": "image-registry.openshift-image-registry.svc:5000/demo/app@" + benchDigest(n),
			"image":                benchDigest(n),
			"generation":           1,
		}}})
		fields = append(fields, fmt.Sprintf("f:v1.%d", n))
	}
	body, err := json.Marshal(object{
		"kind": "ImageStream", "apiVersion": "image.openshift.io/v1",
		"metadata": object{
			"name": "app", "namespace": "demo", "uid": "stream-uid", "resourceVersion": "601", "generation": 1,
			"creationTimestamp": epoch.Format(time.RFC3339),
			"annotations":       object{"note": strings.Repeat("x", 200)},
			"managedFields": []any{object{"manager": "openshift-apiserver", "operation": "Update", "apiVersion": "image.openshift.io/v1",
				"time": epoch.Format(time.RFC3339), "fieldsType": "FieldsV1", "fieldsV1": object{"f:status": fields}}},
		},
		"spec":   object{"lookupPolicy": object{"local": false}},
		"status": object{"dockerImageRepository": "image-registry.openshift-image-registry.svc:5000/demo/app", "tags": tags},
	})
	if err != nil {
		panic(err)
	}
	return body
}

// covering returns an intake whose ledger covers benchStream for some triggers, which are spread
// over some namespaces; the stream's own is the first.
func covering(tb testing.TB, triggers, namespaces int) *Handler {
	tb.Helper()
	instruments, err := intake.NewMetrics(noop.Meter{})
	if err != nil {
		tb.Fatal(err)
	}
	now := func() time.Time { return epoch }
	index := ledger.NewIndex(now)
	entries := index.Handler()
	set := intake.NewTriggers(func(_ *v1alpha1.ImageTrigger, err error) { tb.Error(err) })
	for t := range triggers {
		namespace := "demo"
		if n := t % namespaces; n > 0 {
			namespace = fmt.Sprintf("team-%d", n)
		}
		trigger := &v1alpha1.ImageTrigger{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("t%d", t), UID: types.UID(fmt.Sprintf("uid-%d", t)), CreationTimestamp: metav1.NewTime(epoch)},
			Spec:       v1alpha1.ImageTriggerSpec{Images: []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{Names: []string{"app*"}}}}},
		}
		set.Handler().OnAdd(trigger, true)
		if namespace != "demo" {
			continue
		}
		for n := range benchTags {
			entries.OnAdd(&v1alpha1.ImageVerification{
				ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: fmt.Sprintf("e%d-%d", t, n), ResourceVersion: "1"},
				Spec: v1alpha1.ImageVerificationSpec{
					Trigger:    v1alpha1.TriggerReference{Name: trigger.Name, UID: string(trigger.UID)},
					Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryImageStream, Name: "demo/app", UID: "stream-uid"},
					Digest:     benchDigest(n),
					FirstPush:  v1alpha1.PushRecord{Tag: fmt.Sprintf("v1.%d", n), PushedAt: metav1.NewTime(epoch)},
				},
			}, true)
		}
	}
	in := intake.New(intake.Dependencies{
		Triggers: set, Namespaces: fixedLabels{}, Cluster: unreachable{}, Ledger: ledger.New(nil, index),
		Metrics: instruments, Log: zap.NewNop(), Now: now,
	})
	return NewHandler(in, nil, Limits{EventBody: 8 << 20, InFlight: 256, InFlightBytes: 32 << 20, Deadline: time.Minute}, func() bool { return true })
}

func eventRequest(ctx context.Context, body []byte) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(body))
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Ce-Specversion": "1.0", "Ce-Id": "0c6c3f2e-5b3c-4bd6-8a2b-3b4c5d6e7f80",
		"Ce-Source": "https://10.96.0.1:443", "Ce-Type": "dev.knative.apiserver.resource.update", "Ce-Time": epoch.Format(time.RFC3339Nano),
		"Ce-Subject": "/apis/image.openshift.io/v1/namespaces/demo/imagestreams/app", "Ce-Apiversion": "image.openshift.io/v1",
		"Ce-Kind": "ImageStream", "Ce-Name": "app", "Ce-Namespace": "demo", "Kn-Namespace": "demo",
	} {
		r.Header.Set(name, value)
	}
	return r
}

// cpuTime is what the process used of all cores, garbage collection included:
// unlike the time on the wall it does not tell of what else the machine does.
func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// What an event costs that shows nothing new, through the whole handler. The
// goal is 5,000 a second and core, 200 microseconds each, however many triggers
// other namespaces have.
func BenchmarkIgnoredEvent(b *testing.B) {
	body := benchStream()
	for _, size := range []struct{ triggers, namespaces int }{{1, 1}, {10, 1}, {100, 100}, {2000, 2000}} {
		b.Run(fmt.Sprintf("%d bytes, %d triggers in %d namespaces", len(body), size.triggers, size.namespaces), func(b *testing.B) {
			h := covering(b, size.triggers, size.namespaces)
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, eventRequest(b.Context(), body))
				if w.Code != http.StatusAccepted {
					b.Fatalf("answered %d %s", w.Code, w.Body)
				}
			}
			b.ReportMetric(float64(b.N)/(cpuTime(b)-before).Seconds(), "events/s/core")
		})
	}
}
