package app

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Readiness asks the API server at most once a second, whoever asks it.
func TestReadinessIsCachedForASecond(t *testing.T) {
	now := noon
	asked := 0
	var answer error
	h := &health{
		check: func(context.Context) error { asked++; return answer },
		now:   func() time.Time { return now },
	}
	mux := http.NewServeMux()
	h.register(mux)
	for n, step := range []struct {
		name   string
		change func()
		want   int
		body   string
		asked  int
	}{
		{"ready", func() {}, 200, "ok", 1},
		{"a failure shows after a second", func() { answer = errors.New("the ledger is away") }, 200, "ok", 1},
		{"and then it does", func() { now = now.Add(readyCacheTime) }, 503, "the ledger is away", 2},
		{"what only waits for caches is asked each time", func() { answer, now = errNotSynced, now.Add(readyCacheTime) }, 503, "caches", 3},
		{"as it changes soon", func() { answer = nil }, 200, "ok", 4},
		{"draining is not cached", h.drain, 503, "shutting down", 4},
	} {
		step.change()
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, get(t, "/readyz"))
		if w.Code != step.want || !strings.Contains(w.Body.String(), step.body) || asked != step.asked {
			t.Errorf("step %d, %s: answered %d %q after asking %d times; want %d naming %q after %d", n, step.name, w.Code, w.Body, asked, step.want, step.body, step.asked)
		}
	}
}

func TestOptionsThatCannotWorkNameTheirField(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*ReceiverOptions)
		want   string
	}{
		{"an address without a port", func(o *ReceiverOptions) { o.Address = "localhost" }, `address "localhost" is not host:port`},
		{"a health address without a port", func(o *ReceiverOptions) { o.HealthAddress = "8081" }, `health-address "8081" is not host:port`},
		{"an interceptor address without a port", func(o *ReceiverOptions) { o.InterceptorAddress = "8082" }, `interceptor-address "8082" is not host:port`},
		{"a metrics address without a port", func(o *ReceiverOptions) { o.MetricsAddress = "9090" }, `metrics-address "9090" is not host:port`},
		{"no namespace", func(o *ReceiverOptions) { o.SystemNamespace = "" }, `system-namespace ""`},
		{"an unknown level", func(o *ReceiverOptions) { o.LogLevel = "loud" }, `log-level "loud" is none of debug, info, warn and error`},
		{"a negative delay", func(o *ReceiverOptions) { o.DrainDelay = -time.Second }, "drain-delay -1s"},
		{"a delay longer than a Pod is given", func(o *ReceiverOptions) { o.DrainDelay = time.Hour }, "drain-delay 1h0m0s"},
		{"no clock", func(o *ReceiverOptions) { o.Now = nil }, "clock"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := DefaultReceiverOptions()
			test.change(&o)
			_, err := NewReceiver(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want one naming %q", err, test.want)
			}
		})
	}
	if err := DefaultReceiverOptions().validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
}

// Outside a cluster the error says what is missing.
func TestReceiverWithoutAnAPIServerSaysWhatIsMissing(t *testing.T) {
	o := DefaultReceiverOptions()
	o.MetricsAddress = ""
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := NewReceiver(t.Context(), o); err == nil || !strings.Contains(err.Error(), "--kubeconfig") {
		t.Errorf("error = %v, want one that names --kubeconfig", err)
	}
	o.Kubeconfig = "does-not-exist"
	if _, err := NewReceiver(t.Context(), o); err == nil || !strings.Contains(err.Error(), `"does-not-exist"`) {
		t.Errorf("error = %v, want one that names the file", err)
	}
}
