package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// newHealthServer serves health on a port of its own: whoever may send events need not reach it.
func newHealthServer(check func(context.Context) error, now func() time.Time, log *zap.Logger) (*health, *server) {
	h := &health{check: check, now: now}
	mux := http.NewServeMux()
	h.register(mux)
	return h, newServer(mux, log)
}

// health answers /healthz and /readyz.
type health struct {
	// check is asked at most once in readyCacheTime.
	check func(context.Context) error
	now   func() time.Time

	mu       sync.Mutex
	draining bool
	checked  time.Time
	last     error
}

func (h *health) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", h.ready)
}

func (h *health) ready(w http.ResponseWriter, r *http.Request) {
	if err := h.state(r.Context()); err != nil {
		http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

var errDraining = errors.New("shutting down")

// state checks while it holds the lock, so that concurrent requests share the answer.
func (h *health) state(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return errDraining
	}
	if now := h.now(); h.checked.IsZero() || now.Sub(h.checked) >= readyCacheTime {
		// All requests share the check, so it must not end with the first one.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
		defer cancel()
		h.last = h.check(ctx)
		h.checked = h.now()
		if errors.Is(h.last, errNotSynced) {
			h.checked = time.Time{} // cheap to check, and changes soon
		}
	}
	return h.last
}

func (h *health) drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
}

// ledgerReachable reads the ledger from the API server.
func ledgerReachable(ctx context.Context, c client.Reader, namespace string) error {
	var entries v1alpha1.ImageVerificationList
	if err := c.List(ctx, &entries, client.InNamespace(namespace), client.Limit(1)); err != nil {
		return fmt.Errorf("the ledger is not reachable: listing ImageVerifications: %w", err)
	}
	return nil
}
