package chaos

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// serveName answers every request with a name.
func serveName(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func ask(ctx context.Context, l *link) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url(), nil)
	if err != nil {
		return "", err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func TestLinkSpreadsAndCanBeCut(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	if err != nil {
		t.Fatal(err)
	}
	_ = nobody.Close()
	l, err := newLink(t.Context(), "test", "127.0.0.1:0", serveName(t, "a"), serveName(t, "b"), nobody.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	seen := map[string]int{}
	for range 6 {
		name, err := ask(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		seen[name]++
	}
	if seen["a"] < 2 || seen["b"] < 2 {
		t.Errorf("six requests were spread as %v", seen)
	}

	l.set(refusing)
	if name, err := ask(t.Context(), l); err == nil {
		t.Errorf("a link that refuses lets %q through", name)
	}

	l.set(stalled)
	answer := make(chan error, 1)
	go func() {
		_, err := ask(t.Context(), l)
		answer <- err
	}()
	select {
	case err := <-answer:
		t.Errorf("a link that is stalled lets something through: %v", err)
	case <-time.After(200 * time.Millisecond): // nothing can be awaited that is not to happen
	}
	l.set(passing)
	select {
	case err := <-answer:
		if err != nil {
			t.Errorf("what was held back: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("what was held back does not get through")
	}
}
