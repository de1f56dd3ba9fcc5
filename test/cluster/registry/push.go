package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Push is one manifest that the registry has stored.
type Push struct {
	// Repository is the name without the registry's host.
	Repository string
	// Tag is empty for a push by digest.
	Tag string
	// Digest is of the manifest's bytes, computed by the registry.
	Digest v1.Hash
}

// PushFunc is told of a push before the client is answered.
type PushFunc func(context.Context, Push) error

// Refused is an error of a [PushFunc] that trying again does not cure.
type Refused struct {
	// Reason is what the client is told.
	Reason string
	// Status is the HTTP status of the answer. Default: 403.
	Status int
}

// Error returns the reason.
func (r *Refused) Error() string { return r.Reason }

// manifestLimit is the largest manifest that Distribution takes; one byte more lets it refuse the push itself.
const manifestLimit = 4<<20 + 1

var manifestPath = regexp.MustCompile(`^/v2/(.+)/manifests/([^/]+)$`)

// pushHandler calls onPush between the registry's handling of a manifest and its answer.
type pushHandler struct {
	registry http.Handler
	onPush   PushFunc
	locks    keyedLocks
}

// ServeHTTP passes everything on; for a manifest's PUT it holds the answer back until onPush has returned.
func (h *pushHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := manifestPath.FindStringSubmatch(r.URL.Path)
	if r.Method != http.MethodPut || path == nil {
		h.registry.ServeHTTP(w, r)
		return
	}
	// The body is read before the lock is taken, so that a slow client does not hold up others.
	body, err := io.ReadAll(io.LimitReader(r.Body, manifestLimit))
	if err != nil {
		writeError(w, http.StatusBadRequest, "MANIFEST_INVALID", "the manifest could not be read")
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))

	// One at a time for each repository: otherwise two pushes of one tag could be stored in one order and told in another.
	unlock := h.locks.lock(path[1])
	defer unlock()

	answer := &heldAnswer{header: http.Header{}, status: http.StatusOK}
	h.registry.ServeHTTP(answer, r)
	if answer.status == http.StatusCreated {
		if err := h.tell(r.Context(), path[1], path[2], answer.header); err != nil {
			refuse(w, path[1], err)
			return
		}
	}
	answer.release(w)
}

func (h *pushHandler) tell(ctx context.Context, repository, reference string, header http.Header) error {
	digest, err := v1.NewHash(header.Get("Docker-Content-Digest"))
	if err != nil {
		return fmt.Errorf("reading the digest of the stored manifest: %w", err)
	}
	push := Push{Repository: repository, Digest: digest}
	if !strings.Contains(reference, ":") {
		push.Tag = reference
	}
	return h.onPush(ctx, push)
}

func refuse(w http.ResponseWriter, repository string, err error) {
	message := fmt.Sprintf("the image was stored, but the push to %q is not complete: %v", repository, err)
	if refused := (*Refused)(nil); errors.As(err, &refused) {
		if refused.Status != 0 {
			writeError(w, refused.Status, "UNKNOWN", message)
			return
		}
		writeError(w, http.StatusForbidden, "DENIED", message)
		return
	}
	w.Header().Set("Retry-After", "1")
	writeError(w, http.StatusServiceUnavailable, "UNAVAILABLE", message)
}

// writeError writes an error as the distribution specification shapes it, so that clients show its message.
func writeError(w http.ResponseWriter, status int, code, message string) {
	type entry struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The client is gone if this fails, and there is nobody else to tell.
	_ = json.NewEncoder(w).Encode(map[string][]entry{"errors": {{Code: code, Message: message}}})
}

// heldAnswer keeps an answer back. A manifest's answer has headers and at most a short error.
type heldAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *heldAnswer) Header() http.Header         { return a.header }
func (a *heldAnswer) WriteHeader(status int)      { a.status = status }
func (a *heldAnswer) Write(p []byte) (int, error) { return a.body.Write(p) }

func (a *heldAnswer) release(w http.ResponseWriter) {
	for k, v := range a.header {
		w.Header()[k] = v
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes())
}

// keyedLocks is one lock for each key. Keys are never removed: there are as many as there are repositories.
type keyedLocks struct {
	mu    sync.Mutex
	locks map[string]*sync.Mutex
}

func (k *keyedLocks) lock(key string) (unlock func()) {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = map[string]*sync.Mutex{}
	}
	l, ok := k.locks[key]
	if !ok {
		l = &sync.Mutex{}
		k.locks[key] = l
	}
	k.mu.Unlock()
	l.Lock()
	return l.Unlock
}
