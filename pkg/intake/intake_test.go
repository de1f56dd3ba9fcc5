package intake

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

	"github.com/google/go-cmp/cmp"
)

// The zero result asks the sender to come again: nothing is lost by a mistake.
func TestCombineAnswersTheWorst(t *testing.T) {
	recorded := Result{Status: Done, Reason: Recorded, Recorded: 1}
	nothing := done(streamKind, NothingNew)
	refused := Result{Status: Refused, Reason: Undecodable}
	for _, test := range []struct {
		name string
		a, b Result
		want Result
	}{
		{"recorded outranks nothing new", nothing, recorded, recorded},
		{"a refusal outranks what was recorded, which still counts", recorded, refused, Result{Status: Refused, Reason: Undecodable, Recorded: 1}},
		{"again outranks a refusal", again("", nil), refused, again("", nil)},
		{"the zero value is again", Result{}, refused, Result{}},
		{"an unknown status is treated as again", Result{Status: 99}, refused, Result{Status: 99}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, combine(test.a, test.b)); diff != "" {
				t.Errorf("combine (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, combine(test.b, test.a)); diff != "" {
				t.Errorf("combine, the other way round (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := newMemory[int](10)
	for n := range 1000 {
		if !m.add(n) {
			t.Errorf("%d is not new", n)
		}
		if m.add(n) {
			t.Errorf("%d is new twice", n)
		}
		if !m.has(0) {
			t.Fatalf("what is asked for again and again was forgotten after %d", n)
		}
	}
	if size := len(m.young) + len(m.old); size > 10 {
		t.Errorf("%d are remembered, want at most 10", size)
	}
	if m.has(500) {
		t.Error("what is long past is remembered")
	}
}

func TestLocksAdmitOneAtATime(t *testing.T) {
	var l locks
	var wg sync.WaitGroup
	var inside, most int
	var mu sync.Mutex
	for range 50 {
		wg.Go(func() {
			unlock, err := l.lock(t.Context(), "name")
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			inside++
			most = max(most, inside)
			mu.Unlock()
			mu.Lock()
			inside--
			mu.Unlock()
			unlock()
		})
	}
	wg.Wait()
	if most != 1 {
		t.Errorf("%d were inside at once", most)
	}
	if len(l.held) != 0 {
		t.Errorf("%d names are still held", len(l.held))
	}
}

// Nobody waits for another name, or longer than its context.
func TestLockIsOfItsNameAndEndsWithItsContext(t *testing.T) {
	var l locks
	unlock, err := l.lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if other, err := l.lock(t.Context(), "b"); err != nil {
		t.Error(err)
	} else {
		other()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.lock(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; want the context's", err)
	}
	unlock()
	if len(l.held) != 0 {
		t.Errorf("%d names are still held", len(l.held))
	}
}

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
	r := h.intake.batch(t.Context(), []byte(body))
	if r.Status != Refused || !strings.Contains(fmt.Sprint(r.Err), "at most 1000") {
		t.Errorf("result = %+v, want a refusal naming the bound", r)
	}
}
