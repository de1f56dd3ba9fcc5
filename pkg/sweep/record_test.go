package sweep

import (
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// A head, or an item since the trigger was made, whose digest is of another algorithm makes
// the trigger's coverage not known. The rest is recorded.
func TestADigestOfAnotherAlgorithmIsNotKnown(t *testing.T) {
	is := stream("team-a", "app", map[string][]item{"v1": {{2, 20}, {1, 10}}, "v2": {{3, 10}}})
	for i := range is.Status.Tags {
		if is.Status.Tags[i].Tag == "v1" {
			is.Status.Tags[i].Items[0].Image = "sha512:" + strings.Repeat("1", 128)
		}
	}
	w := newEnv(t, is)
	r := w.sweep(trigger())
	if got := r.Coverage(); got != v1alpha1.CoverageNotKnown || r.Reason != DigestUnsupported || r.Recovered != 2 {
		t.Errorf("coverage %s, result %+v; want not known, DigestUnsupported and two recovered", got, r)
	}
	if len(r.Unknown) != 1 || r.Unknown[0].Reason != DigestUnsupported || r.Unknown[0].Cure == "" {
		t.Errorf("unknown %+v, want DigestUnsupported with a cure", r.Unknown)
	}
}
