package attestation_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// Whoever may push there can make what is beside one image impossible to remove. What is beside the
// others is removed all the same.
func TestOneRefusalKeepsNoOtherStatement(t *testing.T) {
	for name, handler := range map[string]http.Handler{
		"referrers API": quiet(registry.WithReferrersSupport(true)), "fallback tag": quiet(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var broken atomic.Pointer[image.Digest]
			w := newWorld(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				root := broken.Load()
				if root != nil && r.Method == http.MethodGet && (strings.HasSuffix(r.URL.Path, "/referrers/"+root.String()) ||
					strings.HasSuffix(r.URL.Path, "/manifests/sha256-"+root.Hex())) {
					_, _ = rw.Write([]byte("no list"))
					return
				}
				handler.ServeHTTP(rw, r)
			}))
			w.mustReconcile()
			w.wantRuns("run-1")
			broken.Store(&w.root)
			w.judged("run-2", v1alpha1.OutcomeFail, w.now)
			if err := w.reconcile(); err == nil && len(w.states()) == 0 {
				t.Error("the record is gone, as if nothing were left")
			}
			for i, child := range w.children[:2] {
				if left := w.holds(child); len(left) != 0 {
					t.Errorf("beside image %d are still %d statements", i, len(left))
				}
			}
		})
	}
}
