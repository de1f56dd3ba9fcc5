package intake

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/image"
)

// Limits bound what a request may cost. What is above is refused, never cut.
type Limits struct {
	EventBody   int64 // of POST /
	WebhookBody int64 // of POST /registries/<name>
	// InFlight and InFlightBytes bound the requests under way, and the bodies
	// held in memory for them.
	InFlight      int
	InFlightBytes int64
	// Deadline is how long one request may take.
	Deadline time.Duration
	// RetryAfter is what senders are told to wait.
	RetryAfter time.Duration
}

// Handler serves POST / for CloudEvents and POST /registries/<name> for the
// notifications of registries.
type Handler struct {
	intake   *Intake
	webhooks Webhooks
	limits   Limits
	// ready is false while caches are incomplete: until then what is known would
	// seem to be less than it is, and no trigger would seem to select anything.
	ready func() bool
	slots chan struct{}
	bytes budget
	mux   *http.ServeMux
}

// NewHandler returns the handler.
func NewHandler(i *Intake, webhooks Webhooks, limits Limits, ready func() bool) *Handler {
	h := &Handler{
		intake:   i,
		webhooks: webhooks,
		limits:   limits,
		ready:    ready,
		slots:    make(chan struct{}, limits.InFlight),
		bytes:    budget{free: limits.InFlightBytes},
		mux:      http.NewServeMux(),
	}
	// The method is part of the pattern: others are answered 405 with Allow.
	h.mux.HandleFunc("POST /{$}", h.event)
	h.mux.HandleFunc("POST /registries/{name}", h.notification)
	return h
}

// ServeHTTP admits a request, or asks its sender to come again.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.ready() {
		h.later(w, http.StatusServiceUnavailable, "the ledger is not reachable yet")
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

// recover answers 503, not 500: the adapter drops what was answered 500, and
// whether the next delivery panics too is not known.
func (h *Handler) recover(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	h.intake.Metrics.event(r.Context(), v1alpha1.SourceEvent, Result{Kind: otherKind, Reason: Panicked})
	h.intake.Log.Error("handler panicked", zap.String("path", r.URL.Path), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
	h.later(w, http.StatusServiceUnavailable, "try again later")
}

func (h *Handler) later(w http.ResponseWriter, status int, cause string) {
	seconds := int64((h.limits.RetryAfter + time.Second - 1) / time.Second)
	w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	refuse(w, status, cause)
}

// maxCause bounds the cause in an answer, in bytes: it may quote what was sent.
const maxCause = 1024

// refuse answers with a cause. The reply is plain text with no attribute of a
// CloudEvent, which a Broker would take for a new event.
func refuse(w http.ResponseWriter, status int, cause string) {
	http.Error(w, image.Cut(cause, maxCause), status)
}

// reply answers what became of a request.
func (h *Handler) reply(ctx context.Context, w http.ResponseWriter, source v1alpha1.PushSource, r Result) {
	h.intake.Metrics.event(ctx, source, r)
	log := h.intake.Log
	switch r.Status {
	case Done:
		if r.Recorded > 0 {
			failpoint.Hit("intake.recorded")
		}
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusAccepted)
	case Refused:
		log.Info("event refused", zap.String("reason", string(r.Reason)), zap.String("source", string(source)), zap.Error(r.Err))
		refuse(w, http.StatusBadRequest, fmt.Sprint(r.Err))
	default:
		log.Warn("event not recorded yet, its sender is asked to try again",
			zap.String("reason", string(r.Reason)), zap.String("source", string(source)), zap.Int("recorded", r.Recorded), zap.Error(r.Err))
		h.later(w, http.StatusServiceUnavailable, "not recorded yet; try again later")
	}
}
