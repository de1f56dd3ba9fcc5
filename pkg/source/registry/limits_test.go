package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
)

// clock moves only when somebody sleeps.
type clock struct {
	at    time.Time
	slept []time.Duration
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time { return c.at }

func (c *clock) sleep(ctx context.Context, d time.Duration) error {
	c.slept = append(c.slept, d)
	c.at = c.at.Add(d)
	return ctx.Err()
}

// answers gives one answer after another, the last one for ever.
type answers struct {
	all   []answer
	asked int
}

type answer struct {
	status int
	after  string
}

func (a *answers) RoundTrip(*http.Request) (*http.Response, error) {
	now := a.all[min(a.asked, len(a.all)-1)]
	a.asked++
	resp := &http.Response{StatusCode: now.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}
	if now.after != "" {
		resp.Header.Set("Retry-After", now.after)
	}
	return resp, nil
}

// Property: a registry that limits requests is asked again when it says, a bounded
// number of times, and otherwise not at all.
func TestARegistryThatLimitsRequestsIsLeftAlone(t *testing.T) {
	date := newClock().at.Add(4 * time.Second).UTC().Format(http.TimeFormat)
	for _, test := range []struct {
		name    string
		answers []answer
		slept   []time.Duration
		asked   int
		limited time.Duration // 0: an answer is had
	}{
		{"one that does not", []answer{{200, ""}}, nil, 1, 0},
		{"a number of seconds is waited for", []answer{{429, "3"}, {200, ""}}, []time.Duration{3 * time.Second}, 2, 0},
		{"so is a date", []answer{{429, date}, {200, ""}}, []time.Duration{4 * time.Second}, 2, 0},
		{"and a while where nothing is said", []answer{{429, ""}, {200, ""}}, []time.Duration{usualRest}, 2, 0},
		{"503 with a time is the same", []answer{{503, "2"}, {200, ""}}, []time.Duration{2 * time.Second}, 2, 0},
		{"503 without one is an answer", []answer{{503, ""}}, nil, 1, 0},
		{"0 is no leave for a fast loop", []answer{{429, "0"}, {200, ""}}, []time.Duration{time.Second}, 2, 0},
		{"what cannot be read is a while", []answer{{429, "soon"}, {200, ""}}, []time.Duration{usualRest}, 2, 0},
		{"a long time is told and not waited for", []answer{{429, "60"}}, nil, 1, time.Minute},
		{"nobody is asked for more than an hour", []answer{{429, "999999999999"}}, nil, 1, time.Hour},
		{"a number that no computer holds is an hour too", []answer{{429, "99999999999999999999"}}, nil, 1, time.Hour},
		{"one that goes on is given up", []answer{{429, "1"}}, []time.Duration{time.Second, time.Second}, 3, time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClock()
			a := &answers{all: test.answers}
			rests := newRests()
			rests.now, rests.sleep = c.now, c.sleep
			l := &limiter{next: a, rests: rests}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://registry.example.com/v2/", http.NoBody)
			r.Body = nil
			resp, err := l.RoundTrip(r)
			if err == nil {
				_ = resp.Body.Close()
			}
			var limited *source.RetryAfterError
			if errors.As(err, &limited) != (test.limited > 0) {
				t.Fatalf("error %v", err)
			}
			if limited != nil && limited.Until.Sub(c.at) != test.limited {
				t.Errorf("left alone for %s, want %s", limited.Until.Sub(c.at), test.limited)
			}
			if diff := cmp.Diff(test.slept, c.slept); diff != "" || a.asked != test.asked {
				t.Errorf("asked %d times, want %d; slept (-want +got):\n%s", a.asked, test.asked, diff)
			}
			// What is longer than anybody waits is kept in mind: nobody asks before.
			if test.limited <= longestWait {
				return
			}
			if _, err := l.RoundTrip(r); !errors.As(err, &limited) || a.asked != test.asked { //nolint:bodyclose // there is none beside an error
				t.Errorf("the next request: error %v, and the registry was asked %d times", err, a.asked)
			}
		})
	}
}

// A caller with little time is told at once, instead of waiting for nothing.
func TestWaitingEndsBeforeADeadline(t *testing.T) {
	rests := newRests()
	rests.begin("team", "registry.example.com", 5*time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	began := time.Now()
	var limited *source.RetryAfterError
	if err := rests.wait(ctx, "team", "registry.example.com"); !errors.As(err, &limited) || time.Since(began) > time.Second {
		t.Errorf("error %v after %s", err, time.Since(began))
	}
	if err := rests.wait(ctx, "team", "other.example.com"); err != nil {
		t.Errorf("another registry: %v", err)
	}
}

// Property: what a registry asks of one namespace's credentials counts for that namespace. What it
// asks of two counts for all, for a bounded time, and then at least as long not.
func TestARegistryRestsForWhomItAsked(t *testing.T) {
	const host, hour = "registry.example.com", time.Hour
	c := newClock()
	r := newRests()
	r.now, r.sleep = c.now, c.sleep
	rest := func(scope string) time.Duration { return max(r.until(scope, host).Sub(c.at), 0) }
	want := func(when string, want map[string]time.Duration) {
		t.Helper()
		for scope, left := range want {
			if got := rest(scope); got != left {
				t.Errorf("%s: %q rests %s, want %s", when, scope, got, left)
			}
		}
	}
	r.begin("hostile", host, hour)
	r.begin("hostile", host, time.Second) // it does not become shorter
	want("one was asked", map[string]time.Duration{"hostile": hour, "victim": 0, "": 0})
	r.begin("", host, 2*time.Second)
	want("anonymous requests were too", map[string]time.Duration{"hostile": hour, "victim": 0, "": 2 * time.Second})
	r.begin("accomplice", host, hour)
	want("two were asked", map[string]time.Duration{"hostile": hour, "accomplice": hour, "victim": longestShared, "": longestShared})
	c.at = c.at.Add(longestShared)
	r.begin("accomplice", host, hour)
	want("right after", map[string]time.Duration{"accomplice": hour, "victim": 0, "": 0})
	c.at = c.at.Add(longestShared)
	r.begin("accomplice", host, hour)
	want("a minute later", map[string]time.Duration{"victim": longestShared})
}

// Requests with a namespace's credentials rest for that namespace, and those without for all.
func TestWhoRestsDependsOnTheCredentials(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _, known := r.BasicAuth()
		switch {
		case r.URL.Path == "/v2/" && !known:
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		case r.URL.Path == "/v2/":
			return
		}
		asked = append(asked, user)
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer server.Close()
	repository, err := image.ParseRepository(strings.TrimPrefix(server.URL, "http://") + "/team/a")
	if err != nil {
		t.Fatal(err)
	}
	c := New(func(string, string) (bool, bool) { return true, true })
	as := func(namespace, user string) Credentials {
		as := Credentials{Namespace: namespace}
		if user != "" {
			as.Keychain = oneLogin{authn.FromConfig(authn.AuthConfig{Username: user, Password: "x"})}
		}
		return as
	}
	for _, credentials := range []Credentials{as("a", "alice"), as("a", "alice"), as("b", "bob")} {
		var limited *source.RetryAfterError
		if _, err := c.Head(t.Context(), repository, "v1", credentials); !errors.As(err, &limited) {
			t.Errorf("error %v, want a RetryAfterError", err)
		}
	}
	if diff := cmp.Diff([]string{"alice", "bob"}, asked); diff != "" {
		t.Errorf("who asked (-want +got):\n%s", diff)
	}
	c, asked = New(func(string, string) (bool, bool) { return true, true }), nil
	for _, namespace := range []string{"a", "b"} {
		_, _ = c.Head(t.Context(), repository, "v1", as(namespace, ""))
	}
	if len(asked) != 1 {
		t.Errorf("anonymous requests were sent %d times, want once", len(asked))
	}
}

// oneLogin is a keychain with the same login for every registry.
type oneLogin struct{ authn.Authenticator }

func (l oneLogin) Resolve(authn.Resource) (authn.Authenticator, error) { return l.Authenticator, nil }

// The pace is each host's own, and even.
func TestPaceSpacesTheRequestsToAHost(t *testing.T) {
	c := newClock()
	p := newPace(10)
	p.now, p.sleep = c.now, c.sleep
	for _, host := range []string{"a", "a", "b", "a"} {
		if err := p.wait(t.Context(), host); err != nil {
			t.Fatal(err)
		}
	}
	// The sleep of 100 ms for the second of a makes b's first one free.
	if diff := cmp.Diff([]time.Duration{100 * time.Millisecond, 100 * time.Millisecond}, c.slept); diff != "" {
		t.Errorf("slept (-want +got):\n%s", diff)
	}
}

// The limits hold through the client library, from a real server's answers.
func TestLimitsHoldThroughTheClient(t *testing.T) {
	var asked int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		if asked++; asked == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/tags/list") {
			_, _ = fmt.Fprint(w, `{"tags":["v1"]}`)
			return
		}
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	c := New(func(string, string) (bool, bool) { return true, true }).Paced(100)
	repository, err := image.ParseRepository(host + "/team/a")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var tags []string
	if err := c.Tags(t.Context(), repository, Credentials{}, func(tag string) { tags = append(tags, tag) }); err != nil || len(tags) != 1 {
		t.Fatalf("tags %q, %v", tags, err)
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("the answer was had after %s, though the registry asked for 1 s", took)
	}
	for range 3 {
		_, err = c.Head(t.Context(), repository, "v1", Credentials{})
		var limited *source.RetryAfterError
		if !errors.As(err, &limited) {
			t.Errorf("error %v, want a RetryAfterError", err)
		}
	}
	if asked != 3 {
		t.Errorf("the registry was asked %d times, want 3: it wants to be left alone for two minutes", asked)
	}
}
