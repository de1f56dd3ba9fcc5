package tekton

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

const testDigest = "sha256:8d3b1e7f3ab0d2c5f9a6b4c3d2e1f00112233445566778899aabbccddeeff001"

func testObjects() (*v1alpha1.ImageTrigger, *v1alpha1.ImageVerification, *v1alpha1.RunStatus) {
	trigger := &v1alpha1.ImageTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "all"}}
	built := metav1.NewTime(time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC))
	entry := &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "app-1", UID: "5f0c"},
		Spec: v1alpha1.ImageVerificationSpec{
			Repository: v1alpha1.RepositoryReference{
				Kind: v1alpha1.RepositoryImageStream, Name: "team-a/app", UID: "77",
				Pull: "image-registry.openshift-image-registry.svc:5000/team-a/app",
			},
			Digest:    testDigest,
			FirstPush: v1alpha1.PushRecord{Tag: "v1", Source: v1alpha1.SourceEvent},
		},
		Status: v1alpha1.ImageVerificationStatus{
			Tags: []v1alpha1.TagStatus{
				{PushRecord: v1alpha1.PushRecord{Tag: "v1", PushedAt: built}, Run: 1},
				{PushRecord: v1alpha1.PushRecord{Tag: "v2", PushedAt: metav1.NewTime(built.Add(time.Hour))}, Run: 2},
			},
			Image: &v1alpha1.ImageFacts{MediaType: "application/vnd.oci.image.manifest.v1+json", Created: &built,
				Platforms: []string{"linux/amd64"}, Size: 42, Labels: map[string]string{"tier": "prod"}},
		},
	}
	run := &v1alpha1.RunStatus{Number: 2, Name: "app-0011", Cause: v1alpha1.Cause{Type: v1alpha1.CausePush, Key: "v2@now"},
		Sandbox: v1alpha1.SandboxStatus{Requested: "kata"}}
	return trigger, entry, run
}

// testOptions bounds what goes to servers of this process.
func testOptions() SenderOptions {
	return SenderOptions{Timeout: 5 * time.Second, DialTimeout: 2 * time.Second, IdleConnections: 16}
}

func newTestSender(t *testing.T, o SenderOptions) *Sender {
	t.Helper()
	s, err := NewSender(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.CloseIdleConnections)
	return s
}

// What a listener sees of a request is fixed: bindings of users depend on it.
func TestSendPostsABinaryCloudEvent(t *testing.T) {
	type received struct {
		Method string
		Header map[string]string
		Body   string
	}
	var got received
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = received{Method: r.Method, Header: map[string]string{}, Body: string(body)}
		for name := range r.Header {
			if strings.HasPrefix(name, "Ce-") || name == "Content-Type" {
				got.Header[name] = r.Header.Get(name)
			}
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	request, err := NewRequest(testObjects())
	if err != nil {
		t.Fatal(err)
	}
	if err := newTestSender(t, testOptions()).Post(t.Context(), server.URL, request); err != nil {
		t.Fatal(err)
	}
	want := received{
		Method: http.MethodPost,
		Header: map[string]string{
			"Ce-Specversion":     "1.0",
			"Ce-Type":            "dev.revet.verification.requested.v1",
			"Ce-Id":              "app-0011",
			"Ce-Source":          "/apis/revet.dev/v1alpha1/namespaces/team-a/imagetriggers/all",
			"Ce-Subject":         "team-a/app@" + testDigest,
			"Ce-Imagerepository": "team-a/app",
			"Ce-Imagetag":        "v2",
			"Ce-Imagedigest":     testDigest,
			"Ce-Verifycause":     "Push",
			"Content-Type":       "application/json",
		},
		Body: `{"run":"app-0011","entryUID":"5f0c","cause":"Push","causeKey":"v2@now",` +
			`"image":{"reference":"image-registry.openshift-image-registry.svc:5000/team-a/app@` + testDigest + `",` +
			`"repository":"team-a/app","digest":"` + testDigest + `","tags":["v1","v2"],` +
			`"mediaType":"application/vnd.oci.image.manifest.v1+json","platforms":["linux/amd64"],"labels":{"tier":"prod"},` +
			`"created":"2025-03-01T12:00:00Z","size":42,"base":""},"source":"event",` +
			`"sandbox":{"runtimeClassName":"kata","podField":"runtimeClassName","podValue":"kata","tolerations":[]},"previous":{"digest":"","verdict":""}}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

// A field that is missing makes a listener drop the request after its 202.
func TestRequestOfAnEntryOfWhichNothingIsKnownHasEveryFieldButTheClass(t *testing.T) {
	trigger, entry, run := testObjects()
	entry.Status = v1alpha1.ImageVerificationStatus{}
	run.Sandbox = v1alpha1.SandboxStatus{}
	request, err := NewRequest(trigger, entry, run)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(request.Data)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"run":"app-0011","entryUID":"5f0c","cause":"Push","causeKey":"v2@now",` +
		`"image":{"reference":"image-registry.openshift-image-registry.svc:5000/team-a/app@` + testDigest + `",` +
		`"repository":"team-a/app","digest":"` + testDigest + `","tags":["v1"],"mediaType":"","platforms":[],"labels":{},` +
		`"created":"","size":0,"base":""},"source":"event","sandbox":{"tolerations":[]},"previous":{"digest":"","verdict":""}}`
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	if request.Tag != "v1" {
		t.Errorf("tag %q, want that of the first push", request.Tag)
	}
}

func TestNewRequestRefusesWhatCannotBePulled(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.ImageVerification){
		"a repository without a host": func(e *v1alpha1.ImageVerification) { e.Spec.Repository.Pull = "app" },
		"a digest that is none":       func(e *v1alpha1.ImageVerification) { e.Spec.Digest = "sha256:12" },
	} {
		t.Run(name, func(t *testing.T) {
			trigger, entry, run := testObjects()
			change(entry)
			if _, err := NewRequest(trigger, entry, run); err == nil {
				t.Error("accepted")
			}
		})
	}
}

// A hostile value cannot break out of its header, nor make a request unsendable.
func TestHostileValuesArePercentEncoded(t *testing.T) {
	var got http.Header
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Clone() }))
	defer server.Close()
	request, err := NewRequest(testObjects())
	if err != nil {
		t.Fatal(err)
	}
	request.Tag = "a\r\nX-Evil: 1\" % ü"
	if err := newTestSender(t, testOptions()).Post(t.Context(), server.URL, request); err != nil {
		t.Fatal(err)
	}
	if want := "a%0D%0AX-Evil:%201%22%20%25%20%C3%BC"; got.Get("Ce-Imagetag") != want {
		t.Errorf("Ce-Imagetag is %q, want %q", got.Get("Ce-Imagetag"), want)
	}
	if got.Get("X-Evil") != "" {
		t.Error("a value became a header")
	}
}

// Every way a sink can fail says whether to try again and whether the request
// may have arrived: a sink that cannot be confirmed must not be asked twice.
func TestSendSaysWhatAFailureMeans(t *testing.T) {
	status := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
		}
	}
	type means struct {
		SendError
		Permanent bool
	}
	refused := func(status int, after time.Duration) SendError {
		return SendError{Reason: lifecycle.SinkRefused, Status: status, RetryAfter: after}
	}
	silent := func(status int, after time.Duration) SendError {
		return SendError{Reason: lifecycle.SinkSilent, Status: status, RetryAfter: after}
	}
	inAnHour := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		want    *means
	}{
		{"200 is success", status(200), nil},
		{"202 is success", status(202), nil},
		{"204 is success", status(204), nil},
		{"a redirect is not followed and lasts", status(302, "Location", "/elsewhere"), &means{refused(302, 0), true}},
		{"a redirect that keeps the method is not followed either", status(307, "Location", "/elsewhere"), &means{refused(307, 0), true}},
		{"400 lasts", status(400), &means{refused(400, 0), true}},
		{"401 lasts", status(401), &means{refused(401, 0), true}},
		{"403 lasts", status(403), &means{refused(403, 0), true}},
		{"405 lasts", status(405), &means{refused(405, 0), true}},
		{"404 may pass, as a listener answers so while it starts", status(404), &means{refused(404, 0), false}},
		{"408 may pass", status(408), &means{refused(408, 0), false}},
		{"409 may pass", status(409), &means{refused(409, 0), false}},
		{"425 may pass", status(425), &means{refused(425, 0), false}},
		{"429 with a time to wait", status(429, "Retry-After", "7"), &means{refused(429, 7*time.Second), false}},
		{"a time to wait is bounded", status(503, "Retry-After", "99999999999"), &means{silent(503, maxRetryAfter), false}},
		{"a date to wait for is bounded", status(503, "Retry-After", inAnHour), &means{silent(503, maxRetryAfter), false}},
		{"a date that is over asks for nothing", status(503, "Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT"), &means{silent(503, 0), false}},
		{"500 may pass, and the request may have arrived", status(500), &means{silent(500, 0), false}},
		{"504 may pass, and the request may have arrived", status(504), &means{silent(504, 0), false}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var calls atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				test.handler(w, r)
			}))
			defer server.Close()
			request, err := NewRequest(testObjects())
			if err != nil {
				t.Fatal(err)
			}
			err = newTestSender(t, testOptions()).Post(t.Context(), server.URL, request)
			var failed *SendError
			if err != nil && !errors.As(err, &failed) {
				t.Fatalf("error %v is no SendError", err)
			}
			var got *means
			if failed != nil {
				got = &means{*failed, failed.Permanent()}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if calls.Load() != 1 {
				t.Errorf("the sink was asked %d times, want once", calls.Load())
			}
		})
	}
}

func TestSinkThatIsNotThereDidNotGetTheRequest(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	request, err := NewRequest(testObjects())
	if err != nil {
		t.Fatal(err)
	}
	err = newTestSender(t, testOptions()).Post(t.Context(), "http://"+address, request)
	var got *SendError
	if !errors.As(err, &got) || got.Reason != lifecycle.SinkUnreachable || got.Permanent() {
		t.Errorf("error %#v, want SinkUnreachable that did not arrive", err)
	}
	if strings.Contains(err.Error(), "team-a") {
		t.Errorf("error %q repeats the request", err)
	}
}

func TestSinkThatHangsEndsWithTheTimeoutAndMayHaveTheRequest(t *testing.T) {
	server := hangingServer(t)
	request, err := NewRequest(testObjects())
	if err != nil {
		t.Fatal(err)
	}
	sender := newTestSender(t, SenderOptions{Timeout: 100 * time.Millisecond, DialTimeout: 100 * time.Millisecond})
	err = sender.Post(t.Context(), server.URL, request)
	var got *SendError
	if !errors.As(err, &got) || got.Reason != lifecycle.SinkSilent || got.Permanent() {
		t.Errorf("error %#v, want SinkSilent that may have arrived", err)
	}
}

// hangingServer takes requests and never answers.
func hangingServer(t *testing.T) *httptest.Server {
	t.Helper()
	end := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }))
	t.Cleanup(func() {
		close(end)
		server.Close()
	})
	return server
}

// The lease's context ends a request, whatever the sender's own timeout is.
func TestSendEndsWithItsContext(t *testing.T) {
	server := hangingServer(t)
	request, err := NewRequest(testObjects())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	started := time.Now()
	if err := newTestSender(t, SenderOptions{Timeout: time.Minute, DialTimeout: time.Second}).Post(ctx, server.URL, request); err == nil {
		t.Error("no error")
	}
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("it took %v, although its context ended after 50ms", took)
	}
}

// A sink that answers without end costs neither time nor memory.
func TestHugeReplyIsNotRead(t *testing.T) {
	var wrote atomic.Int64
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		defer close(ended)
		w.WriteHeader(http.StatusAccepted)
		chunk := make([]byte, 64<<10)
		for wrote.Load() < 1<<30 {
			n, err := w.Write(chunk)
			wrote.Add(int64(n))
			if err != nil {
				return
			}
		}
	}))
	defer server.Close()
	request, err := NewRequest(testObjects())
	if err != nil {
		t.Fatal(err)
	}
	if err := newTestSender(t, testOptions()).Post(t.Context(), server.URL, request); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the sink still writes 10 s after its answer was taken")
	}
	if wrote.Load() >= 1<<30 {
		t.Error("the whole reply was read")
	}
}

func TestSendRefusesAnAddressThatIsNone(t *testing.T) {
	request, err := NewRequest(testObjects())
	if err != nil {
		t.Fatal(err)
	}
	for _, sink := range []string{"", "listener", "ftp://listener/", "http://", "http://bad host/"} {
		err := newTestSender(t, testOptions()).Post(t.Context(), sink, request)
		var got *SendError
		if !errors.As(err, &got) || got.Reason != lifecycle.SinkInvalid || !got.Permanent() {
			t.Errorf("sink %q: error %#v, want SinkInvalid", sink, err)
		}
	}
}

func TestSenderOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]SenderOptions{
		"no timeout":                 {DialTimeout: time.Second},
		"dialling longer than all":   {Timeout: time.Second, DialTimeout: 2 * time.Second},
		"negative connections":       {Timeout: time.Second, DialTimeout: time.Second, IdleConnections: -1},
		"Services that nobody lists": {Timeout: time.Second, DialTimeout: time.Second, Listed: testPolicy},
	} {
		if _, err := NewSender(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// unnoticed is a context whose deadline no timer notices.
type unnoticed struct {
	context.Context
	deadline time.Time
}

func (u *unnoticed) Deadline() (time.Time, bool) { return u.deadline, true }

// Property: a request is not written after its deadline, although its context has
// not noticed yet: a process that was stopped goes on with what it was about to
// do before any timer fires.
func TestALateRequestIsNotSent(t *testing.T) {
	var arrived atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err == nil {
			arrived.Add(1)
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(server.Close)
	s := newTestSender(t, testOptions())
	request, err := NewRequest(testObjects())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Post(t.Context(), server.URL, request); err != nil { // a connection is kept
		t.Fatal(err)
	}
	soon := time.Now().Add(50 * time.Millisecond)
	for _, test := range []struct {
		name string
		ctx  context.Context
	}{
		{"late before it begins", &unnoticed{t.Context(), time.Now().Add(-time.Millisecond)}},
		{"late once its connection is there", httptrace.WithClientTrace(&unnoticed{t.Context(), soon}, &httptrace.ClientTrace{
			GotConn: func(httptrace.GotConnInfo) { <-time.After(time.Until(soon)) },
		})},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := arrived.Load()
			err := s.Post(test.ctx, server.URL, request)
			var failed *SendError
			if !errors.As(err, &failed) || failed.Reason != lifecycle.SinkUnreachable || failed.Permanent() {
				t.Errorf("sending gave %+v, want SinkUnreachable that certainly did not arrive", err)
			}
			if arrived.Load() != before {
				t.Error("the request arrived")
			}
		})
	}
	if err := s.Post(t.Context(), server.URL, request); err != nil || arrived.Load() != 2 {
		t.Errorf("sending in time afterwards: %v; %d arrived, want 2", err, arrived.Load())
	}
}

// Send posts to the address that the trigger's status names. What it can never send
// does not arrive, and lasts.
func TestSendOfATrigger(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(*v1alpha1.ImageTrigger, *v1alpha1.ImageVerification)
		arrived int32
		want    lifecycle.Reason
		says    string
	}{
		{"to its sink", func(*v1alpha1.ImageTrigger, *v1alpha1.ImageVerification) {}, 1, "", ""},
		{"without an address", func(t *v1alpha1.ImageTrigger, _ *v1alpha1.ImageVerification) { t.Status.SinkURI = "" }, 0, lifecycle.SinkInvalid, "its condition Ready says why"},
		{"of a repository that is none", func(_ *v1alpha1.ImageTrigger, e *v1alpha1.ImageVerification) { e.Spec.Repository.Pull = "/" }, 0, lifecycle.SinkInvalid, "making a request of entry"},
		{"of a digest that is none", func(_ *v1alpha1.ImageTrigger, e *v1alpha1.ImageVerification) { e.Spec.Digest = "latest" }, 0, lifecycle.SinkInvalid, "making a request of entry"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var arrived atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
			defer server.Close()
			trigger, entry, run := testObjects()
			trigger.Status.SinkURI = server.URL
			test.change(trigger, entry)
			err := newTestSender(t, testOptions()).Send(t.Context(), trigger, entry, run)
			failed := &SendError{}
			if (err != nil) != errors.As(err, &failed) {
				t.Fatalf("error %v is no SendError", err)
			}
			if failed.Reason != test.want || failed.Permanent() != (test.want != "") || arrived.Load() != test.arrived {
				t.Errorf("sending gave %v (%q), %d requests; want %q, %d", err, failed.Reason, arrived.Load(), test.want, test.arrived)
			}
			if err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %q does not say %q", err, test.says)
			}
		})
	}
}
