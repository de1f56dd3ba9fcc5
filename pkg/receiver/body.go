package receiver

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// firstBytes is how much a body takes before its first byte: most events fit.
const firstBytes = 64 << 10

var (
	errTooLarge = errors.New("the body is too large")
	errBusy     = errors.New("too many bytes are under way")
)

// sourceOf returns who sent a request: the address that its connection comes from, without
// the port. What a header says of it may be a lie.
func sourceOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// body reads a whole body, or answers why it cannot. The caller calls release when it no
// longer needs the bytes.
func (a *admission) body(w http.ResponseWriter, r *http.Request, limit int64) (content []byte, release func(), ok bool) {
	source := sourceOf(r)
	content, taken, err := readBody(r, limit, func(n int64) bool { return a.bytes.Take(source, n) })
	release = func() { a.bytes.Give(source, taken) }
	if err == nil {
		return content, release, true
	}
	release()
	switch {
	case errors.Is(err, errTooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", limit))
	case errors.Is(err, errBusy):
		a.later(w, http.StatusTooManyRequests, "too many requests are under way")
	default:
		refuse(w, http.StatusBadRequest, "the body ended early")
	}
	return nil, nil, false
}

// readBody takes memory as the bytes come, whatever length the request announces: to
// announce costs nothing. What it took is given back by the caller, also after an error.
func readBody(r *http.Request, limit int64, take func(int64) bool) (content []byte, taken int64, err error) {
	if r.ContentLength > limit {
		return nil, 0, errTooLarge
	}
	most := limit
	if r.ContentLength >= 0 {
		most = r.ContentLength // net/http gives no more
	}
	size := min(most, firstBytes)
	if !take(size) {
		return nil, 0, errBusy
	}
	content, taken = make([]byte, 0, size), size
	for {
		if int64(len(content)) == most {
			return content, taken, ended(r.Body, most == r.ContentLength)
		}
		if len(content) == cap(content) {
			grown := min(most, 2*int64(cap(content)))
			if !take(grown - taken) {
				return nil, taken, errBusy
			}
			content, taken = append(make([]byte, 0, grown), content...), grown
		}
		n, err := r.Body.Read(content[len(content):cap(content)])
		content = content[:len(content)+n]
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF):
			return nil, taken, fmt.Errorf("after %d bytes: %w", len(content), err)
		case r.ContentLength >= 0 && int64(len(content)) < r.ContentLength:
			return nil, taken, io.ErrUnexpectedEOF
		default:
			return content, taken, nil
		}
	}
}

// ended returns errTooLarge if there is more of a body than its limit.
func ended(body io.Reader, announced bool) error {
	if announced {
		return nil
	}
	n, err := io.ReadFull(body, make([]byte, 1))
	switch {
	case n > 0:
		return errTooLarge
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}
