package receiver

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/intake"
)

// slow is a body that comes only when it is let.
type slow struct {
	started chan struct{}
	release chan struct{}
	once    sync.Once
}

func (s *slow) Read([]byte) (int, error) {
	s.once.Do(func() { close(s.started) })
	<-s.release
	return 0, io.EOF
}

// Over the bound on what is under way, senders are asked to come again.
func TestOverloadIsAskedToComeAgain(t *testing.T) {
	for _, test := range []struct {
		name   string
		limits Limits
		length int64
	}{
		{"too many requests", Limits{InFlight: 1, InFlightBytes: 1 << 20, EventBody: 1 << 20}, 10},
		{"too many bytes", Limits{InFlight: 9, InFlightBytes: 100, EventBody: 1 << 20}, 60},
		{"too many bytes of unknown length", Limits{InFlight: 9, InFlightBytes: 100 << 10, EventBody: 1 << 20}, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := covering(t, 1)
			test.limits.Deadline, test.limits.RetryAfter = time.Minute, time.Second
			h = NewHandler(h.intake, nil, test.limits, func() bool { return true })
			first := &slow{started: make(chan struct{}), release: make(chan struct{})}
			request := func(body io.Reader) *http.Request {
				r := eventRequest(t.Context(), nil)
				r.Body, r.ContentLength = io.NopCloser(body), test.length
				return r
			}
			finished := make(chan struct{})
			go func() {
				h.ServeHTTP(httptest.NewRecorder(), request(first))
				close(finished)
			}()
			<-first.started
			w := httptest.NewRecorder()
			h.ServeHTTP(w, request(strings.NewReader(strings.Repeat("x", 60))))
			if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" {
				t.Errorf("answered %d with Retry-After %q, want 429 and 1", w.Code, w.Header().Get("Retry-After"))
			}
			close(first.release)
			<-finished
			w = httptest.NewRecorder()
			h.ServeHTTP(w, eventRequest(t.Context(), []byte("{}")))
			if w.Code == http.StatusTooManyRequests {
				t.Error("what was under way still counts after it ended")
			}
		})
	}
}

// A batch is bounded by its number of events too.
func TestBatchIsBounded(t *testing.T) {
	h := covering(t, 1)
	body := "[" + strings.Repeat("{},", maxBatch) + "{}]"
	r := h.batch(t.Context(), []byte(body))
	if r.Status != intake.Refused || !strings.Contains(fmt.Sprint(r.Err), "at most 1000") {
		t.Errorf("result = %+v, want a refusal naming the bound", r)
	}
}
