package receiver

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
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
	// their bodies take. One source, that is one address, holds at most a quarter of what
	// others leave: see Shares.
	InFlight      int
	InFlightBytes int64
	// Deadline is how long one request may take.
	Deadline time.Duration
	// ReadTimeout is how long the server lets a body take to come.
	ReadTimeout time.Duration
	// RetryAfter is how long senders are asked to wait before they try again.
	RetryAfter time.Duration
}

// alone is for how long no other source came before one counts as alone: as long as one
// request may hold what it took.
func (l Limits) alone() time.Duration { return l.ReadTimeout + l.Deadline }

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
	admission

	intake   *intake.Intake
	webhooks Webhooks
	// ready is false while the caches are incomplete. Until then the ledger would seem
	// to cover too little, and no trigger would seem to select anything.
	ready func() bool
	// tokens checks the senders of events, if it is not nil.
	tokens *Tokens
	mux    *http.ServeMux
}

// NewHandler returns a Handler.
func NewHandler(i *intake.Intake, webhooks Webhooks, limits Limits, ready func() bool) *Handler {
	h := &Handler{
		admission: newAdmission(limits),
		intake:    i,
		webhooks:  webhooks,
		ready:     ready,
		mux:       http.NewServeMux(),
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
	source := sourceOf(r)
	if !h.slots.Take(source, 1) {
		h.later(w, http.StatusTooManyRequests, "too many requests are under way")
		return
	}
	defer h.slots.Give(source, 1)
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
