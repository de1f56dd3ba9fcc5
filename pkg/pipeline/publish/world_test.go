package publish

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Registries that know less than others, answer in other ways, or fail for now, are
// published to; the report is found by a stock client, or by the fallback tag.
func TestPushSurvivesTheWorld(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	referrers := func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/referrers/") }
	once := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(code)
		}
	}
	tests := []struct {
		name  string
		real  http.Handler
		when  func(r *http.Request) bool
		fault http.HandlerFunc
		times int64 // 0: each time
	}{
		{"HEAD is no method", quiet(), func(r *http.Request) bool { return r.Method == http.MethodHead }, status(405), 0},
		{"HEAD is not implemented", quiet(), func(r *http.Request) bool { return r.Method == http.MethodHead }, status(501), 0},
		{"referrers are no method", quiet(), referrers, status(405), 0},
		{"referrers are not implemented", quiet(), referrers, status(501), 0},
		{"referrers are a bad request", quiet(), referrers, status(400), 0},
		{"referrers accept nothing", quiet(), referrers, status(406), 0},
		{"the manifest is limited for now", quiet(), func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/")
		}, once(429), 1},
		{"uploads are limited for now", quiet(), func(r *http.Request) bool { return r.Method == http.MethodPost }, once(503), 1},
		{"the list fails for now", quiet(registry.WithReferrersSupport(true)), referrers, once(502), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var on atomic.Bool
			var shown atomic.Int64
			s := newSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if on.Load() && tt.when(r) {
					if n := shown.Add(1); tt.times == 0 || n <= tt.times {
						tt.fault(w, r)
						return
					}
				}
				tt.real.ServeHTTP(w, r)
			}))
			s.push()
			on.Store(true)
			digest, err := s.to.Push(t.Context(), s.artifact("application/sarif+json", "{}"))
			if err != nil {
				t.Fatal(err)
			}
			if shown.Load() == 0 {
				t.Error("the fault did not show")
			}
			on.Store(false)
			if got := s.listed(); len(got) != 1 || got[0].Digest.String() != digest.String() {
				t.Errorf("listed are %v, want %s", got, digest)
			}
		})
	}
	t.Run("the list has pages", func(t *testing.T) {
		s := newSite(t, paged(quiet(registry.WithReferrersSupport(true))))
		s.push()
		for i := range 5 {
			if _, err := s.to.Push(t.Context(), s.artifact("application/sarif+json", fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("manifests are elsewhere, for reading and for writing", func(t *testing.T) {
		real := quiet()
		s := newSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/manifests/") && r.URL.RawQuery == "" {
				w.Header().Set("Location", r.URL.Path+"?moved")
				w.WriteHeader(http.StatusTemporaryRedirect)
				return
			}
			real.ServeHTTP(w, r)
		}))
		s.push()
		if _, err := s.to.Push(t.Context(), s.artifact("application/sarif+json", "{}")); err != nil {
			t.Error(err)
		}
	})
}

// paged serves one referrer a page.
func paged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/referrers/") {
			next.ServeHTTP(w, r)
			return
		}
		whole := httptest.NewRecorder()
		next.ServeHTTP(whole, r)
		var list v1.IndexManifest
		if err := json.Unmarshal(whole.Body.Bytes(), &list); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		// The registry lists in a random order, in which a page could leave one out.
		slices.SortFunc(list.Manifests, func(a, b v1.Descriptor) int { return strings.Compare(a.Digest.String(), b.Digest.String()) })
		n := 0
		_, _ = fmt.Sscanf(r.URL.Query().Get("page"), "%d", &n) // none is the first
		if n+1 < len(list.Manifests) {
			w.Header().Set("Link", fmt.Sprintf(`<%s?page=%d>; rel="next"`, r.URL.Path, n+1))
		}
		list.Manifests = list.Manifests[min(n, len(list.Manifests)):min(n+1, len(list.Manifests))]
		_ = json.NewEncoder(w).Encode(list)
	})
}
