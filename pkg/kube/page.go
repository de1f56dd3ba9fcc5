package kube

import (
	"context"
	"errors"
	"io"
	"net/http"
)

// MaxPage bounds a page of a list, in bytes. Whoever may make objects makes them as large as the
// API server stores them, 1.5 MiB each: 500 of those would take all the memory that a process has.
const MaxPage = 16 << 20

// ErrPageTooLarge means that a page was larger than MaxPage.
var ErrPageTooLarge = errors.New("the page is too large")

// EachPage calls read for each page of a list until there is none left. Read asks for at most limit
// objects from next on, and returns where the next page begins, or "". It is called again for a
// page that is too large, with a smaller limit. Clients bound pages if their transport is one of
// LimitPages.
func EachPage(
	ctx context.Context, limit int64,
	read func(ctx context.Context, limit int64, next string) (more string, err error),
) error {
	most, next := limit, ""
	for {
		more, err := read(context.WithValue(ctx, pageKey{}, true), limit, next)
		switch {
		case errors.Is(err, ErrPageTooLarge) && limit > 1:
			limit = max(1, limit/4)
			continue
		case err != nil:
			return err
		case more == "":
			return nil
		}
		next, limit = more, min(2*limit, most)
	}
}

// pageKey is the key of contexts of requests for a page.
type pageKey struct{}

// LimitPages bounds the answers to requests for a page. Others pass as they are.
func LimitPages(next http.RoundTripper) http.RoundTripper { return pageLimiter{next} }

type pageLimiter struct{ next http.RoundTripper }

func (l pageLimiter) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.next.RoundTrip(r)
	if err == nil && r.Context().Value(pageKey{}) != nil {
		answer.Body = &pageBody{answer.Body, MaxPage}
	}
	return answer, err
}

// pageBody is the body of a page, of which left bytes may still come.
type pageBody struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (b *pageBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, ErrPageTooLarge
	}
	return n, err
}
