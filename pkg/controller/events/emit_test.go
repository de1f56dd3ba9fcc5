package events

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"
)

// sink is a broker that answers as it is told, and keeps what it accepted.
type sink struct {
	*httptest.Server
	mu       sync.Mutex
	accepted []cloudevents.Event
	requests int
	// answer is the status for the n-th request, from 1.
	answer func(n int) int
}

func newSink(t *testing.T, answer func(n int) int) *sink {
	t.Helper()
	s := &sink{answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests++
		status := s.answer(s.requests)
		if status < 300 {
			var e cloudevents.Event
			if err := e.UnmarshalJSON(body); err != nil {
				t.Errorf("event cannot be read: %v", err)
			}
			s.accepted = append(s.accepted, e)
		}
		if status == http.StatusTemporaryRedirect {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s
}

func newTestEmitter(t *testing.T, url, overrides string) *Emitter {
	t.Helper()
	o := DefaultOptions()
	o.Sink, o.Overrides = url, overrides
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func keysOf(events []Event) []string {
	var keys []string
	for _, e := range events {
		keys = append(keys, e.Key)
	}
	return keys
}

// What was sent and remembered is not sent again; what was not remembered is.
func TestEmitSendsEachEventUntilItIsRemembered(t *testing.T) {
	server := newSink(t, func(int) int { return http.StatusAccepted })
	emitter := newTestEmitter(t, server.URL, "")
	entry := testEntry()
	all := keysOf(Derive(entry))

	sent, err := emitter.Emit(t.Context(), entry)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all, sent); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if again, err := emitter.Emit(t.Context(), entry); err != nil || len(again) != len(all) {
		t.Errorf("not remembered, yet sent %v, %v", again, err)
	}
	entry.Status.Emitted = all[:len(all)-1]
	rest, err := emitter.Emit(t.Context(), entry)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all[len(all)-1:], rest); diff != "" {
		t.Errorf("rest (-want +got):\n%s", diff)
	}
	if got := server.accepted[0]; got.ID() != string(entry.UID)+"-"+all[0] || got.Extensions()["imagetag"] != "v1" {
		t.Errorf("first event %v", got)
	}
}

// Later events never overtake one that failed.
func TestEmitStopsAtATransientFailure(t *testing.T) {
	for _, status := range []int{http.StatusNotFound, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusTemporaryRedirect} {
		server := newSink(t, func(n int) int {
			if n == 3 {
				return status
			}
			return http.StatusAccepted
		})
		entry := testEntry()
		sent, err := newTestEmitter(t, server.URL, "").Emit(t.Context(), entry)
		var failure *EmitError
		if !errors.As(err, &failure) || failure.Status != status || failure.Permanent {
			t.Errorf("%d: error %v", status, err)
		}
		if diff := cmp.Diff(keysOf(Derive(entry))[:2], sent); diff != "" {
			t.Errorf("%d: keys (-want +got):\n%s", status, diff)
		}
		if server.requests != 3 {
			t.Errorf("%d: %d requests, want 3", status, server.requests)
		}
	}
}

// An event that the sink can never take must not hold up the others for ever.
func TestEmitPassesOverWhatIsRefusedForGood(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType} {
		server := newSink(t, func(n int) int {
			if n == 2 {
				return status
			}
			return http.StatusAccepted
		})
		entry := testEntry()
		sent, err := newTestEmitter(t, server.URL, "").Emit(t.Context(), entry)
		var failure *EmitError
		if !errors.As(err, &failure) || failure.Status != status || !failure.Permanent {
			t.Errorf("%d: error %v", status, err)
		}
		if diff := cmp.Diff(keysOf(Derive(entry)), sent); diff != "" {
			t.Errorf("%d: keys (-want +got):\n%s", status, diff)
		}
	}
}

func TestEmitToASinkThatHangsEndsWithTheTimeout(t *testing.T) {
	end := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }))
	t.Cleanup(func() {
		close(end)
		server.Close()
	})
	o := DefaultOptions()
	o.Sink, o.Timeout = server.URL, 50*time.Millisecond
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	sent, err := e.Emit(t.Context(), testEntry())
	if err == nil || len(sent) > 0 {
		t.Errorf("sent %v, %v; want an error", sent, err)
	}
}

func TestOverridesAreAdded(t *testing.T) {
	server := newSink(t, func(int) int { return http.StatusOK })
	if _, err := newTestEmitter(t, server.URL, `{"extensions":{"cluster":"east","imagetag":"fixed"}}`).Emit(t.Context(), testEntry()); err != nil {
		t.Fatal(err)
	}
	for _, e := range server.accepted {
		if e.Extensions()["cluster"] != "east" || e.Extensions()["imagetag"] != "fixed" {
			t.Errorf("extensions %v", e.Extensions())
		}
	}
}

func TestWithoutASinkNothingIsEmitted(t *testing.T) {
	e := newTestEmitter(t, "", "")
	if e.Enabled() {
		t.Error("enabled")
	}
	if sent, err := e.Emit(t.Context(), testEntry()); err != nil || sent != nil {
		t.Errorf("sent %v, %v", sent, err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, test := range []struct {
		name    string
		options Options
		names   string
	}{
		{"a sink that is no URL", Options{Sink: "broker", Timeout: time.Second}, "K_SINK"},
		{"a sink of another scheme", Options{Sink: "ftp://broker/", Timeout: time.Second}, "K_SINK"},
		{"overrides that are no JSON", Options{Sink: "http://broker/", Overrides: "{", Timeout: time.Second}, "K_CE_OVERRIDES"},
		{"an override that no attribute may be called", Options{Sink: "http://broker/", Overrides: `{"extensions":{"My-Cluster":"east"}}`, Timeout: time.Second}, "K_CE_OVERRIDES"},
		{"no timeout", Options{}, "Timeout"},
	} {
		if _, err := New(test.options); err == nil || !strings.Contains(err.Error(), test.names) {
			t.Errorf("%s: error %v, want one that names %s", test.name, err, test.names)
		}
	}
}
