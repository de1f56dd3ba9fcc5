//go:build linux && bench

package bench

import (
	"testing"

	"github.com/revet-dev/revet/test/rig"
)

// requests reads the API server's own metrics.
func (e *bed) requests(b *testing.B) rig.Requests {
	b.Helper()
	all, err := rig.ReadRequests(b.Context(), e.cluster.RESTConfig())
	if err != nil {
		b.Fatal(err)
	}
	return all
}
