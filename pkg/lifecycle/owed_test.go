package lifecycle

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Property: an entry gets the run of the first row by which it is owed one. Without one, it
// is looked at again when the first of the others falls due.
func TestCausesThatFallDueByThemselves(t *testing.T) {
	row := func(d Decision, needed bool) CauseRule {
		return CauseRule{owed: func(*v1alpha1.ImageVerification, Facts, time.Time) (Decision, bool) {
			return d, needed
		}}
	}
	never := row(Decision{}, false)
	due := func(after time.Duration) CauseRule { return row(Decision{After: after}, false) }
	first, second := Decision{Action: RecordAndFire, Run: 1}, Decision{Action: RecordAndFire, Run: 2}
	for _, test := range []struct {
		name string
		rows []CauseRule
		want Decision
	}{
		{"none is ever due", []CauseRule{never, never}, Decision{Action: Idle, Reason: Passed}},
		{"the first to fall due counts",
			[]CauseRule{never, due(time.Hour), due(time.Minute), due(2 * time.Minute), never},
			Decision{Action: Idle, Reason: Passed, After: time.Minute}},
		{"what is owed does not wait for it",
			[]CauseRule{due(time.Hour), row(first, true), row(second, true)}, first},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := &v1alpha1.ImageVerification{}
			e.Status.Reason = string(Passed)
			if diff := cmp.Diff(test.want, firstOwed(test.rows, e, Facts{}, time.Time{})); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}
