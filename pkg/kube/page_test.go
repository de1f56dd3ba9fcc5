package kube_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"

	"github.com/revet-dev/revet/pkg/kube"
)

// lister serves a list of objects of one size each.
type lister struct {
	objects, size int
	// asked are the limits that were asked for.
	asked []int64
}

func (l *lister) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from, _ := strconv.Atoi(r.FormValue("from"))
	limit, _ := strconv.Atoi(r.FormValue("limit"))
	l.asked = append(l.asked, int64(limit))
	until := min(from+limit, l.objects)
	if until < l.objects {
		w.Header().Set("More", strconv.Itoa(until))
	}
	object := make([]byte, l.size)
	for range until - from {
		if _, err := w.Write(object); err != nil {
			return // it was too large
		}
	}
}

func (l *lister) list(t *testing.T, limit int64) (total int, err error) {
	t.Helper()
	server := httptest.NewServer(l)
	defer server.Close()
	c := http.Client{Transport: kube.LimitPages(http.DefaultTransport)}
	err = kube.EachPage(t.Context(), limit, func(ctx context.Context, limit int64, next string) (string, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s?limit=%d&from=%s", server.URL, limit, next), nil)
		if err != nil {
			return "", err
		}
		answer, err := c.Do(r)
		if err != nil {
			return "", err
		}
		defer func() { _ = answer.Body.Close() }()
		raw, err := io.ReadAll(answer.Body)
		if err == nil {
			total += len(raw)
		}
		return answer.Header.Get("More"), err
	})
	return total, err
}

// A page holds no more than MaxPage, whatever the objects' size. All objects are read once.
func TestPagesAreBounded(t *testing.T) {
	large := &lister{objects: 40, size: 1 << 20}
	if total, err := large.list(t, 500); err != nil || total != large.objects*large.size {
		t.Errorf("read %d bytes, %v; want %d", total, err, large.objects*large.size)
	}
	if want := []int64{500, 125, 31, 7}; !slices.Equal(large.asked[:4], want) || !slices.Contains(large.asked, 14) {
		t.Errorf("asked for pages of %v, want them to become smaller, and larger again: %v", large.asked, want)
	}
	small := &lister{objects: 1200, size: 100}
	if total, err := small.list(t, 500); err != nil || total != small.objects*small.size || !slices.Equal(small.asked, []int64{500, 500, 500}) {
		t.Errorf("read %d bytes in pages of %v, %v", total, small.asked, err)
	}
}

// One object that is too large fails the list, which is not read without it.
func TestAnObjectThatIsTooLarge(t *testing.T) {
	l := &lister{objects: 1, size: kube.MaxPage + 1}
	if _, err := l.list(t, 500); !errors.Is(err, kube.ErrPageTooLarge) {
		t.Errorf("got %v", err)
	}
}

// Only pages are bounded.
func TestOtherAnswersAreNotBounded(t *testing.T) {
	server := httptest.NewServer(&lister{objects: 1, size: kube.MaxPage + 1})
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"?limit=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Client{Transport: kube.LimitPages(http.DefaultTransport)}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if n, err := io.Copy(io.Discard, answer.Body); err != nil || n != kube.MaxPage+1 {
		t.Errorf("read %d bytes, %v", n, err)
	}
}
