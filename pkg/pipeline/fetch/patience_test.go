package fetch_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// fault is how a stub registry answers a request, before it tells the truth.
type fault func(w http.ResponseWriter, r *http.Request)

func limited(code int, after string) fault {
	return func(w http.ResponseWriter, _ *http.Request) {
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		w.WriteHeader(code)
	}
}

// reset ends the connection without an answer.
func reset(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// first answers the first n requests for what lies about with f, and the others
// with the truth. It returns how many there were.
func (s *server) first(n int64, path string, f fault) *atomic.Int64 {
	var asked atomic.Int64
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lie = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || path != "" && r.URL.Path != path {
			return false
		}
		if asked.Add(1) > n {
			return false
		}
		f(w, r)
		return true
	}
	return &asked
}

func manifestPath(w whole) string { return "/v2/" + repository + "/manifests/" + w.manifest.String() }
func layerPath(w whole) string    { return "/v2/" + repository + "/blobs/" + w.layer.String() }
func configPath(w whole) string   { return "/v2/" + repository + "/blobs/" + w.config.String() }

// A registry that fails for now, or asks to be left alone, is asked again.
func TestFetchAsksAgain(t *testing.T) {
	tests := []struct {
		name  string
		path  func(whole) string
		times int64
		fault fault
		least time.Duration
	}{
		{"429 that says how long", manifestPath, 1, limited(429, "1"), time.Second},
		{"503 that says how long", layerPath, 1, limited(503, "1"), time.Second},
		{"429 until a time that is past", layerPath, 3, limited(429, "Mon, 02 Jan 2006 15:04:05 GMT"), 0},
		{"429 that asks for no time at all", configPath, 10, limited(429, "0"), 0},
		{"429 without a word", layerPath, 3, limited(429, ""), 0},
		{"429 with a word that is none", layerPath, 1, limited(429, "soon"), 0},
		{"503 without a word", manifestPath, 5, limited(503, ""), 0},
		{"408", layerPath, 1, limited(408, ""), 0},
		{"500", layerPath, 2, limited(500, ""), 0},
		{"502", configPath, 1, limited(502, ""), 0},
		{"504", manifestPath, 1, limited(504, ""), 0},
		{"a connection that is reset", layerPath, 2, reset, 0},
		{"a connection that is reset in the handshake", func(whole) string { return "/v2/" }, 2, reset, 0},
		{"429 in the handshake", func(whole) string { return "/v2/" }, 2, limited(429, "0"), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			w := pushWhole(t, s)
			asked := s.first(tt.times, tt.path(w), tt.fault)
			begin := time.Now()
			if _, _, err := s.pull(t, w.manifest, setting{}); err != nil {
				t.Fatal(err)
			}
			if n := asked.Load(); n <= tt.times {
				t.Errorf("it was asked %d times: the fault did not show", n)
			}
			if took := time.Since(begin); took < tt.least {
				t.Errorf("it was asked again after %s, and wants %s", took, tt.least)
			}
		})
	}
}

// What is not waited for is told at once, with the time; what lasts is told after
// a bounded number of requests.
func TestFetchGivesUp(t *testing.T) {
	tests := []struct {
		name  string
		fault fault
		set   setting
		want  oci.Reason
		says  string
		asked int64
	}{
		{name: "429 for an hour", fault: limited(429, "3600"), want: oci.ReasonRateLimited, says: "asks to wait 1h0m0s, until 20", asked: 1},
		{name: "503 for an hour", fault: limited(503, "3600"), want: oci.ReasonUnavailable, says: "asks to wait 1h0m0s, until 20", asked: 1},
		{name: "429 until tomorrow", fault: limited(429, time.Now().Add(24*time.Hour).UTC().Format(http.TimeFormat)), want: oci.ReasonRateLimited, says: "longer than Revet waits", asked: 1},
		{name: "429 for longer than there are numbers", fault: limited(429, "99999999999999999999"), want: oci.ReasonRateLimited, says: "asks to wait 8760h", asked: 1},
		{name: "429 past the deadline", fault: limited(429, "60"), want: oci.ReasonRateLimited, says: "raise --timeout", asked: 1},
		{name: "429 past the time of one request", fault: limited(429, "1"), want: oci.ReasonRateLimited, says: "asks to wait 1s", asked: 1,
			set: setting{options: fetch.Options{Patience: fetch.Patience{Total: 500 * time.Millisecond}}}},
		{name: "429 for longer than Revet waits", fault: limited(429, "1"), want: oci.ReasonRateLimited, says: "longer than Revet waits", asked: 1,
			set: setting{options: fetch.Options{Patience: fetch.Patience{Longest: 500 * time.Millisecond}}}},
		{name: "429 without a word, for good", fault: limited(429, ""), want: oci.ReasonRateLimited, says: "pull through a mirror", asked: 6},
		{name: "429 that always asks for no time", fault: limited(429, "0"), want: oci.ReasonRateLimited, says: "4 attempts", asked: 4,
			set: setting{options: fetch.Options{Patience: fetch.Patience{Pause: time.Millisecond, Waits: 3}}}},
		{name: "500 for good", fault: limited(500, ""), want: oci.ReasonUnavailable, says: "6 attempts failed: GET", asked: 6},
		{name: "connections that are reset for good", fault: reset, want: oci.ReasonUnavailable, says: "6 attempts failed"}, // net/http adds its own
		{name: "501", fault: limited(501, ""), want: oci.ReasonUnavailable, says: "501", asked: 1},
		{name: "405", fault: limited(405, ""), want: oci.ReasonUnavailable, says: "405", asked: 1},
		{name: "404", fault: limited(404, ""), want: oci.ReasonMissing, says: "404", asked: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			w := pushWhole(t, s)
			asked := s.first(1<<40, layerPath(w), tt.fault)
			begin := time.Now()
			_, dir, err := s.pull(t, w.manifest, tt.set)
			wantError(t, err, tt.want, tt.says)
			wantNoLayout(t, dir)
			if n := asked.Load(); n != tt.asked && tt.asked > 0 {
				t.Errorf("it was asked %d times, want %d", n, tt.asked)
			}
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// A registry that answers nothing of the handshake's is still pulled from, and one
// is never asked by HEAD.
func TestFetchNeedsNoHandshake(t *testing.T) {
	for _, code := range []int{404, 405, 501} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			s := newServer(t)
			w := pushWhole(t, s)
			s.mu.Lock()
			s.lie = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodHead && r.URL.Path != "/v2/" {
					return false
				}
				rw.WriteHeader(code)
				return true
			}
			s.mu.Unlock()
			if _, _, err := s.pull(t, w.manifest, setting{}); err != nil {
				t.Error(err)
			}
		})
	}
}
