package receiver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/revet-dev/revet/pkg/receiver"
	"github.com/revet-dev/revet/pkg/runrequest"
)

const (
	runDigest = "sha256:9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab"
	runBody   = `{"run":"app-9c56cc51","entryUID":"0f4e3a52-3c1f-4a1c-9d6e-2f0d6c1f7b11",` +
		`"image":{"reference":"r.example.com/a/app@` + runDigest + `","digest":"` + runDigest + `"},"sandbox":{"tolerations":[]}}`
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// asked is what an EventListener asks about a body.
func asked(signature, trigger, body string) triggersv1beta1.InterceptorRequest {
	r := triggersv1beta1.InterceptorRequest{Body: body, Header: map[string][]string{}, Context: &triggersv1beta1.TriggerContext{TriggerID: trigger}}
	if signature != "" {
		r.Header[runrequest.Header] = []string{signature}
	}
	return r
}

type gateway struct {
	*receiver.Interceptor
	keys runrequest.Keys
	err  error
	now  time.Time
	logs *observer.ObservedLogs
}

func newGateway(t testing.TB, limits receiver.Limits) *gateway {
	t.Helper()
	g := &gateway{now: noon}
	var err error
	if g.keys, err = runrequest.ParseKeys(map[string][]byte{"2026-11-30": bytes.Repeat([]byte("k"), runrequest.MinKey)}); err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	g.logs = logs
	keys := func(context.Context, string) (runrequest.Keys, error) { return g.keys, g.err }
	if g.Interceptor, err = receiver.NewInterceptor(keys, limits, noop.Meter{}, zap.New(core), func() time.Time { return g.now }); err != nil {
		t.Fatal(err)
	}
	return g
}

func roomy() receiver.Limits {
	return receiver.Limits{EventBody: 1 << 20, InFlight: 16, InFlightBytes: 4 << 20, Deadline: time.Minute, ReadTimeout: time.Minute, RetryAfter: time.Second}
}

func (g *gateway) sign(t testing.TB, namespace, body string) string {
	t.Helper()
	s, err := g.keys.Sign(g.now, namespace, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (g *gateway) ask(t testing.TB, body any) (int, triggersv1beta1.InterceptorResponse) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(raw)))
	var reply triggersv1beta1.InterceptorResponse
	if w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &reply); err != nil {
			t.Fatalf("answered %q: %v", w.Body, err)
		}
	}
	return w.Code, reply
}

// Property: a listener goes on with a request of Revet's for its own namespace, and with no other.
func TestOnlyRequestsOfRevetPassTheInterceptor(t *testing.T) {
	const mine = "namespaces/team-a/triggers/scan-and-validate"
	g := newGateway(t, roomy())
	other := strings.Replace(runBody, `"sandbox":{`, `"sandbox":{"podField":"schedulerName","podValue":"mine",`, 1)
	for _, test := range []struct {
		name    string
		request triggersv1beta1.InterceptorRequest
		want    string // in the message; empty passes
	}{
		{"Revet's", asked(g.sign(t, "team-a", runBody), mine, runBody), ""},
		{"to a group of Triggers", asked(g.sign(t, "team-a", runBody), "namespaces/team-a/triggerGroups/all", runBody), ""},
		{"unsigned", asked("", mine, runBody), "no header Revet-Signature"},
		{"signed for what the sender's own listener gets", asked(g.sign(t, "team-b", runBody), mine, runBody), `in namespace "team-a"`},
		{"of another body", asked(g.sign(t, "team-a", runBody), mine, runBody+" "), "not that of key"},
		{"for a Trigger that is nowhere", asked(g.sign(t, "team-a", runBody), "team-a", runBody), "not that of key"},
		{"another scheduler, although signed", asked(g.sign(t, "team-a", other), mine, other), "sandbox.podField"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, reply := g.ask(t, test.request)
			if code != http.StatusOK || reply.Continue != (test.want == "") || !strings.Contains(reply.Status.Message, test.want) {
				t.Errorf("answered %d %+v, want %q", code, reply, test.want)
			}
			if !reply.Continue && reply.Status.Code == 0 {
				t.Error("it refuses with the code OK")
			}
		})
	}
	g.now = noon.Add(runrequest.MaxAge + time.Second)
	late := asked("", mine, runBody)
	g.now = noon
	late.Header["revet-signature"] = []string{g.sign(t, "team-a", runBody)} // whatever the case of its name
	if _, reply := g.ask(t, late); !reply.Continue {
		t.Errorf("a header in lower case: %+v", reply)
	}
	g.now = noon.Add(runrequest.MaxAge + time.Second)
	if _, reply := g.ask(t, late); reply.Continue || !strings.Contains(reply.Status.Message, "old") {
		t.Errorf("the same one later: %+v", reply)
	}
}

// What is no question of a listener is answered 4xx, and what cannot be told now 503: a listener
// takes either for an error, drops the request, and the controller sends it again.
func TestTheInterceptorSaysNothingOfWhatItCannotTell(t *testing.T) {
	g := newGateway(t, roomy())
	for body, want := range map[string]int{"": 400, "[]": 400, "{}": 400, `{"context":null}`: 400} {
		w := httptest.NewRecorder()
		g.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body)))
		if w.Code != want {
			t.Errorf("%q is answered %d, want %d", body, w.Code, want)
		}
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET is answered %d", w.Code)
	}
	good := asked(g.sign(t, "team-a", runBody), "namespaces/team-a/triggers/x", runBody)
	g.err = errors.New("the API server is away")
	if code, reply := g.ask(t, good); code != http.StatusServiceUnavailable || reply.Continue {
		t.Errorf("without keys: answered %d %+v", code, reply)
	}
	limits := roomy()
	limits.EventBody = 100
	if code, _ := newGateway(t, limits).ask(t, good); code != http.StatusRequestEntityTooLarge {
		t.Errorf("a body above the limit is answered %d", code)
	}
	limits = roomy()
	limits.InFlightBytes = 1
	if code, _ := newGateway(t, limits).ask(t, good); code != http.StatusTooManyRequests {
		t.Errorf("a body without room is answered %d", code)
	}
	limits = roomy()
	limits.InFlight = 0
	if code, _ := newGateway(t, limits).ask(t, good); code != http.StatusTooManyRequests {
		t.Errorf("one more than may be under way is answered %d", code)
	}
}

// Whoever reaches the port may be refused as often as it likes, and fills no log.
func TestRefusalsAreLoggedOnceASecond(t *testing.T) {
	g := newGateway(t, roomy())
	for range 50 {
		g.ask(t, asked("", "namespaces/team-a/triggers/x", runBody))
	}
	g.now = noon.Add(time.Second)
	g.ask(t, asked("", "namespaces/team-a/triggers/x", runBody))
	lines := g.logs.FilterMessage("refused a request for a run").All()
	if len(lines) != 2 || lines[0].ContextMap()["reason"] != "Unsigned" || lines[1].ContextMap()["unlogged"] != int64(49) {
		t.Errorf("logged %v", lines)
	}
}

// What a question costs: in the interceptor alone, and as a listener asks, over a connection that
// is kept and over one of its own.
func BenchmarkInterceptor(b *testing.B) {
	g := newGateway(b, roomy())
	raw, err := json.Marshal(asked(g.sign(b, "team-a", runBody), "namespaces/team-a/triggers/x", runBody))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			w := httptest.NewRecorder()
			g.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/", bytes.NewReader(raw)))
			if w.Code != http.StatusOK {
				b.Fatal(w.Code)
			}
		}
	})
	server := httptest.NewServer(g)
	defer server.Close()
	for name, kept := range map[string]bool{"kept connection": true, "own connection": false} {
		b.Run(name, func(b *testing.B) {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: !kept}}
			for b.Loop() {
				request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL, bytes.NewReader(raw))
				if err != nil {
					b.Fatal(err)
				}
				response, err := client.Do(request)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
		})
	}
}
