package receiver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/intake"
	"github.com/revet-dev/revet/pkg/source/registry/webhook"
)

// Limits bound what requests may cost. The Handler refuses a request above a limit; it
// never cuts one short.
type Limits struct {
	EventBody   int64 // of POST /
	WebhookBody int64 // of POST /registries/<name>
	// InFlight and InFlightBytes bound the requests under way, and the memory that
	// their bodies take.
	InFlight      int
	InFlightBytes int64
	// Deadline is how long one request may take.
	Deadline time.Duration
	// RetryAfter is how long senders are asked to wait before they try again.
	RetryAfter time.Duration
}

// Webhooks is what the operator configured for registries that notify.
type Webhooks interface {
	// Host returns the host of the registry of a name.
	Host(name string) (host string, ok bool)
	// Allows reports whether triggers of a namespace may use the registry.
	Allows(name, namespace string) bool
	// Vendor returns how the registry notifies. It returns the default for a name that is
	// not listed.
	Vendor(name string) webhook.Vendor
	// Secrets returns what may prove a notification of the registry.
	Secrets(name string) [][]byte
}

// Handler serves POST / and POST /registries/<name>.
type Handler struct {
	intake   *intake.Intake
	webhooks Webhooks
	limits   Limits
	// ready is false while the caches are incomplete. Until then the ledger would seem
	// to cover too little, and no trigger would seem to select anything.
	ready func() bool
	slots chan struct{}
	bytes budget
	mux   *http.ServeMux
}

// NewHandler returns a Handler.
func NewHandler(i *intake.Intake, webhooks Webhooks, limits Limits, ready func() bool) *Handler {
	h := &Handler{
		intake:   i,
		webhooks: webhooks,
		limits:   limits,
		ready:    ready,
		slots:    make(chan struct{}, limits.InFlight),
		bytes:    budget{free: limits.InFlightBytes},
		mux:      http.NewServeMux(),
	}
	// The mux answers other methods with 405 and Allow.
	h.mux.HandleFunc("POST /{$}", h.event)
	h.mux.HandleFunc("POST /registries/{name}", h.notification)
	return h
}

// ServeHTTP admits a request, or asks its sender to try again later.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.ready() {
		h.later(w, http.StatusServiceUnavailable, "the receiver has not read the ledger yet")
		return
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		h.later(w, http.StatusTooManyRequests, "too many requests are under way")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.limits.Deadline)
	defer cancel()
	defer h.recover(w, r)
	h.mux.ServeHTTP(w, r.WithContext(ctx))
}

// recover answers a panic with 503. The adapter would drop the event after a 500, and the
// next delivery may well succeed.
func (h *Handler) recover(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	h.intake.Metrics.Event(r.Context(), v1alpha1.SourceEvent, intake.Result{Kind: intake.KindOther, Reason: intake.Panicked})
	h.intake.Log.Error("handler panicked", zap.String("path", r.URL.Path), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
	h.later(w, http.StatusServiceUnavailable, "the receiver failed; try again later")
}

func (h *Handler) later(w http.ResponseWriter, status int, cause string) {
	seconds := int64((h.limits.RetryAfter + time.Second - 1) / time.Second)
	w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	refuse(w, status, cause)
}

// maxCause bounds, in bytes, the cause in an answer: it may quote the request.
const maxCause = 1024

// refuse answers with a cause, as plain text without the headers of a CloudEvent.
func refuse(w http.ResponseWriter, status int, cause string) {
	http.Error(w, image.Cut(cause, maxCause), status)
}

// reply answers with what intake did.
func (h *Handler) reply(ctx context.Context, w http.ResponseWriter, source v1alpha1.PushSource, r intake.Result) {
	h.intake.Metrics.Event(ctx, source, r)
	log := h.intake.Log
	switch r.Status {
	case intake.Done:
		if r.Recorded > 0 {
			failpoint.Hit("intake.recorded")
		}
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusAccepted)
	case intake.Refused:
		log.Info("event refused", zap.String("reason", string(r.Reason)), zap.String("source", string(source)), zap.Error(r.Err))
		refuse(w, http.StatusBadRequest, fmt.Sprint(r.Err))
	default:
		log.Warn("event not recorded yet; its sender is asked to try again",
			zap.String("reason", string(r.Reason)), zap.String("source", string(source)), zap.Int("recorded", r.Recorded), zap.Error(r.Err))
		h.later(w, http.StatusServiceUnavailable, "not recorded yet; try again later")
	}
}

// budget bounds the bytes that all bodies under way hold together.
type budget struct {
	mu   sync.Mutex
	free int64
}

func (b *budget) take(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.free {
		return false
	}
	b.free -= n
	return true
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
}

// chunk is how many bytes a body of unknown length takes from the budget at a time.
const chunk = 64 << 10

var (
	errTooLarge = errors.New("the body is too large")
	errBusy     = errors.New("too many bytes are under way")
)

// body reads a whole body, or answers why it cannot. The caller calls release when it no
// longer needs the bytes.
func (h *Handler) body(w http.ResponseWriter, r *http.Request, limit int64) (content []byte, release func(), ok bool) {
	content, taken, err := h.readBody(r, limit)
	release = func() { h.bytes.give(taken) }
	if err == nil {
		return content, release, true
	}
	release()
	switch {
	case errors.Is(err, errTooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", limit))
	case errors.Is(err, errBusy):
		h.later(w, http.StatusTooManyRequests, "too many requests are under way")
	default:
		refuse(w, http.StatusBadRequest, "the body ended early")
	}
	return nil, nil, false
}

func (h *Handler) readBody(r *http.Request, limit int64) (content []byte, taken int64, err error) {
	if r.ContentLength > limit {
		return nil, 0, errTooLarge
	}
	if size := r.ContentLength; size >= 0 {
		if !h.bytes.take(size) {
			return nil, 0, errBusy
		}
		content = make([]byte, size)
		_, err = io.ReadFull(r.Body, content)
		return content, size, err
	}
	// Transfer-Encoding: chunked. Take from the budget as the body grows.
	var read bytes.Buffer
	for {
		if !h.bytes.take(chunk) {
			return nil, taken, errBusy
		}
		taken += chunk
		n, err := io.CopyN(&read, r.Body, chunk)
		if int64(read.Len()) > limit {
			return nil, taken, errTooLarge
		}
		if errors.Is(err, io.EOF) {
			return read.Bytes(), taken, nil
		}
		if err != nil {
			return nil, taken, fmt.Errorf("after %d bytes: %w", n, err)
		}
	}
}
