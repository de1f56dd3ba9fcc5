package tekton

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/runrequest"
)

// Property: what goes to an EventListener is signed, over the bytes that arrive and for the
// trigger's namespace, and has the form that the interceptor lets pass. Nothing else is signed.
func TestRequestsToAListenerAreSigned(t *testing.T) {
	keys, err := runrequest.ParseKeys(map[string][]byte{"a": bytes.Repeat([]byte("k"), runrequest.MinKey)})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		sink   v1alpha1.Sink
		signed bool
	}{
		{"an EventListener", ref("triggers.tekton.dev/v1beta1", "EventListener", "scan"), true},
		{"a Service", ref("v1", "Service", "scan"), false},
		{"a Broker", ref("eventing.knative.dev/v1", "Broker", "scan"), false},
		{"another kind of that name", ref("example.com/v1", "EventListener", "scan"), false},
		{"an address", v1alpha1.Sink{URI: "http://hooks.example.com"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var header []string
			var body []byte
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				header = r.Header.Values(runrequest.Header)
				body, _ = io.ReadAll(r.Body)
			}))
			defer server.Close()
			o := testOptions()
			o.Sign = func(_ context.Context, namespace string, body []byte) (string, error) {
				return keys.Sign(time.Now(), namespace, body)
			}
			trigger, entry, run := testObjects()
			entry.UID = "0f4e3a52-3c1f-4a1c-9d6e-2f0d6c1f7b11"
			trigger.Spec.Sink, trigger.Status.SinkURI = test.sink, server.URL
			if err := newTestSender(t, o).Send(t.Context(), trigger, entry, run); err != nil {
				t.Fatal(err)
			}
			if !test.signed {
				if len(header) > 0 {
					t.Errorf("it has the signature %q, which nobody there can check without the key", header)
				}
				return
			}
			s, err := runrequest.ParseSignature(header)
			if err == nil {
				err = errors.Join(keys.Verify(s, time.Now(), trigger.Namespace, body), runrequest.CheckForm(body))
			}
			if err != nil {
				t.Errorf("%q for %s: %v", header, body, err)
			}
		})
	}
}

// Whatever a trigger asks for, and whichever facts are known, the form is one that passes.
func TestEveryRequestHasTheForm(t *testing.T) {
	weight := int32(50)
	for name, change := range map[string]func(*v1alpha1.Sandbox, *v1alpha1.RunStatus){
		"in the class":    func(*v1alpha1.Sandbox, *v1alpha1.RunStatus) {},
		"without a class": func(_ *v1alpha1.Sandbox, r *v1alpha1.RunStatus) { r.Sandbox.Requested = "" },
		"around the class": func(s *v1alpha1.Sandbox, r *v1alpha1.RunStatus) {
			s.Weight, r.Sandbox.Requested, r.Sandbox.Route = &weight, "", "Weight"
		},
		"with nodes": func(s *v1alpha1.Sandbox, _ *v1alpha1.RunStatus) {
			s.NodeSelector = map[string]v1alpha1.LabelValue{"example.com/pool": ""}
			s.Tolerations = []v1alpha1.Toleration{{Key: "", Operator: "Exists", Effect: "NoExecute"}}
		},
	} {
		trigger, entry, run := testObjects()
		entry.UID = "0f4e3a52-3c1f-4a1c-9d6e-2f0d6c1f7b11"
		change(&trigger.Spec.Sandbox, run)
		request, err := NewRequest(trigger, entry, run)
		if err != nil {
			t.Fatal(err)
		}
		s, err := newSample(t.Context(), name, request)
		if err == nil {
			err = runrequest.CheckForm(s.body)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What cannot be signed is not sent, and is tried again.
func TestWithoutAKeyNothingIsSent(t *testing.T) {
	var arrived atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
	defer server.Close()
	o := testOptions()
	o.Sign = func(context.Context, string, []byte) (string, error) { return "", errors.New("there is no Secret") }
	trigger, entry, run := testObjects()
	trigger.Spec.Sink, trigger.Status.SinkURI = ref("triggers.tekton.dev/v1beta1", "EventListener", "scan"), server.URL
	err := newTestSender(t, o).Send(t.Context(), trigger, entry, run)
	var failed *SendError
	if !errors.As(err, &failed) || failed.Reason != lifecycle.SinkUnreachable || failed.Permanent() || arrived.Load() != 0 || !strings.Contains(err.Error(), "there is no Secret") {
		t.Errorf("error %v, %d arrived; want one that says why, may succeed later, and none", err, arrived.Load())
	}
}
