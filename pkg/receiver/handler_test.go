package receiver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/intake"
)

// stalled is a body that breaks off after some bytes, until it is let go.
type stalled struct {
	bytes   int64
	started chan struct{} // closed once the bytes were read
	release chan struct{}
	once    sync.Once
}

func (s *stalled) Read(p []byte) (int, error) {
	if s.bytes > 0 {
		n := min(s.bytes, int64(len(p)))
		s.bytes -= n
		return int(n), nil
	}
	s.once.Do(func() { close(s.started) })
	<-s.release
	return 0, io.EOF
}

// from is a request of a source, with a body of which a length is announced; -1 announces
// none.
func from(t *testing.T, source string, body io.Reader, announced int64) *http.Request {
	t.Helper()
	r := eventRequest(t.Context(), nil)
	r.RemoteAddr = net.JoinHostPort(source, "1234")
	r.Body, r.ContentLength = io.NopCloser(body), announced
	return r
}

// hold sends requests whose bodies break off, and returns once each has, or was refused. What
// they hold ends with the test.
func hold(t *testing.T, h *Handler, source string, requests int, sent, announced int64) {
	t.Helper()
	release := make(chan struct{})
	var running sync.WaitGroup
	t.Cleanup(func() { close(release); running.Wait() })
	for range requests {
		body := &stalled{bytes: sent, started: make(chan struct{}), release: release}
		answered := make(chan struct{})
		running.Go(func() {
			defer close(answered)
			h.ServeHTTP(httptest.NewRecorder(), from(t, source, body, announced))
		})
		select {
		case <-body.started:
		case <-answered:
		}
	}
}

// limited returns a handler with limits like the receiver's.
func limited(t *testing.T) *Handler {
	t.Helper()
	limits := Limits{EventBody: 8 << 20, InFlight: 64, InFlightBytes: 32 << 20, Deadline: time.Minute, ReadTimeout: time.Minute, RetryAfter: time.Second}
	return NewHandler(covering(t, 1, 1).intake, nil, limits, func() bool { return true })
}

func answers(t *testing.T, h *Handler, source string) int {
	t.Helper()
	body := benchStream()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, from(t, source, bytes.NewReader(body), int64(len(body))))
	if w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") != "1" {
		t.Errorf("answered 429 with Retry-After %q, want 1", w.Header().Get("Retry-After"))
	}
	return w.Code
}

// What one source holds, whatever it announces or sends, leaves room for others. To announce
// costs nothing, so it keeps nobody out at all.
func TestNoSourceKeepsOthersOut(t *testing.T) {
	const mib = 1 << 20
	for _, test := range []struct {
		name            string
		requests        int
		sent, announced int64
		// same is what the source itself is answered meanwhile.
		same int
	}{
		{"it announces much and sends a byte", 4, 1, 8 * mib, 202},
		{"it announces nothing and sends a byte", 10, 1, -1, 202},
		{"it holds all requests that it may", 64, 1, 100, 429},
		{"it sends much and does not end", 40, 4 * mib, 8 * mib, 429},
		{"it sends much of no announced length", 40, 5 * mib, -1, 429},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := limited(t)
			hold(t, h, "10.0.0.66", test.requests, test.sent, test.announced)
			for _, other := range []string{"10.0.0.1", "10.0.0.2", "fd00::1"} {
				if code := answers(t, h, other); code != http.StatusAccepted {
					t.Errorf("%s was answered %d, want 202", other, code)
				}
			}
			if code := answers(t, h, "10.0.0.66"); code != test.same {
				t.Errorf("the source itself was answered %d, want %d", code, test.same)
			}
		})
	}
}

// Over the bounds, senders are asked to come again, and what ended holds nothing.
func TestOverloadIsAskedToComeAgain(t *testing.T) {
	h := limited(t)
	t.Run("held", func(t *testing.T) {
		hold(t, h, "10.0.0.66", 64, 1, 100)
		if code := answers(t, h, "10.0.0.66"); code != http.StatusTooManyRequests {
			t.Errorf("answered %d, want 429", code)
		}
	})
	if code := answers(t, h, "10.0.0.66"); code != http.StatusAccepted {
		t.Errorf("answered %d after all had ended, want 202", code)
	}
	if h.slots.used != 0 || h.bytes.used != 0 || len(h.slots.held) != 0 || len(h.bytes.held) != 0 {
		t.Errorf("%d requests and %d bytes are still held", h.slots.used, h.bytes.used)
	}
}

// A body is read to its end and not further, whatever is said of its length.
func TestABodyIsReadWhole(t *testing.T) {
	const limit = 3*firstBytes + 7
	for _, test := range []struct {
		name            string
		sent, announced int64
		want            error
	}{
		{"as announced", 100, 100, nil},
		{"empty", 0, 0, nil},
		{"empty, unannounced", 0, -1, nil},
		{"as large as it may be", limit, limit, nil},
		{"as large as it may be, unannounced", limit, -1, nil},
		{"one byte more, unannounced", limit + 1, -1, errTooLarge},
		{"one byte more", limit + 1, limit + 1, errTooLarge},
		{"less than announced", 99, 100, io.ErrUnexpectedEOF},
		{"less than announced, of several reads", 2 * firstBytes, limit, io.ErrUnexpectedEOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := strings.Repeat("x", int(test.sent))
			var asked int64
			content, taken, err := readBody(from(t, "10.0.0.1", strings.NewReader(body), test.announced), limit, func(n int64) bool { asked += n; return true })
			if !errors.Is(err, test.want) || (err == nil && string(content) != body) {
				t.Errorf("read %d bytes, error %v; want %d, %v", len(content), err, test.sent, test.want)
			}
			if taken != asked || taken > limit || taken < int64(cap(content)) {
				t.Errorf("took %d, of which %d are to be given back, for %d", asked, taken, cap(content))
			}
		})
	}
}

// A source that is alone may hold half, and others a quarter of what is left: whoever comes
// next finds room.
func TestShares(t *testing.T) {
	now := epoch
	s := NewShares(100, time.Minute, func() time.Time { return now })
	// fill takes for a source as much as it may, and returns what it holds then.
	fill := func(source string) int64 {
		for s.Take(source, 1) {
		}
		return s.held[source]
	}
	if got := fill("a"); got != 50 {
		t.Errorf("alone it holds %d, want half", got)
	}
	if got := fill("b"); got != 12 {
		t.Errorf("the second holds %d, want a quarter of the rest", got)
	}
	s.Give("a", 50)
	if got := fill("a"); got != 22 {
		t.Errorf("it holds %d while there is another, want a quarter of the rest", got)
	}
	s.Give("b", 12)
	if got := fill("a"); got != 25 {
		t.Errorf("it holds %d shortly after there was another, want a quarter", got)
	}
	now = now.Add(time.Minute)
	if got := fill("a"); got != 50 {
		t.Errorf("alone again it holds %d, want half", got)
	}
	s.Give("a", 50)
	for n := range 12 {
		if got := fill(strconv.Itoa(n)); got < 1 || got > 25 {
			t.Errorf("source %d holds %d, want at least one and at most a quarter", n, got)
		}
	}
	if s.used > 100 {
		t.Errorf("all hold %d of 100", s.used)
	}
}

// A batch is bounded by its number of events too.
func TestBatchIsBounded(t *testing.T) {
	h := covering(t, 1, 1)
	body := "[" + strings.Repeat("{},", maxBatch) + "{}]"
	r := h.batch(t.Context(), "10.0.0.1", []byte(body))
	if r.Status != intake.Refused || !strings.Contains(fmt.Sprint(r.Err), "at most 1000") {
		t.Errorf("result = %+v, want a refusal naming the bound", r)
	}
}
