package sweep

import (
	"fmt"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/selector"
	"github.com/revet-dev/revet/pkg/source"
)

// target is a trigger under sweep.
type target struct {
	trigger  *v1alpha1.ImageTrigger
	selector *selector.Selector
	account  source.Account
	started  time.Time
	tally    *tally
	// backoff holds the registries that the rest of this sweep leaves alone.
	backoff *backoff
	// respecified: the sweep before was of another spec.
	respecified bool
	// names is the size of the names that the sweep keeps.
	names int
	// doubtful are pushes that no Image object shows to run, once each.
	doubtful *doubtful
}

func newTarget(trigger *v1alpha1.ImageTrigger) (*target, error) {
	s, err := selector.Compile(trigger)
	if err != nil {
		return nil, fmt.Errorf("trigger %q: %w", trigger.Name, err)
	}
	return &target{trigger: trigger, selector: s, account: source.AccountOf(trigger)}, nil
}

// begin starts the count for one part. Two loops sweep a target that is in both queues,
// each with a count of its own.
func (t *target) begin(now time.Time) *target {
	part := *t
	part.started, part.tally, part.doubtful = now, &tally{account: t.account}, &doubtful{}
	return &part
}
