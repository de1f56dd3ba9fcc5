package receiver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

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
