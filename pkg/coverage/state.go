package coverage

import (
	"slices"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// state is what became of a push. The zero value claims nothing.
type state int

const (
	pending state = iota // there is no verdict yet
	decided              // a verdict was given
	failed               // no verdict could be had
	skipped              // there was nothing to verify
)

// stateOf says what became of the push that a tag of an entry records.
func stateOf(e *v1alpha1.ImageVerification, tag *v1alpha1.TagStatus) state {
	switch {
	case tag.Run == v1alpha1.RunSkipped:
		return skipped
	case tag.Run > 0:
		i := slices.IndexFunc(e.Status.Runs, func(r v1alpha1.RunStatus) bool { return r.Number == tag.Run })
		if i >= 0 {
			switch e.Status.Runs[i].Outcome {
			case v1alpha1.OutcomePass, v1alpha1.OutcomeFail:
				return decided
			case v1alpha1.OutcomeError: // a later run may have tried it again
			default:
				return pending
			}
		}
		// Of a run that is no longer kept, a later one speaks.
	}
	switch e.Status.Phase {
	case v1alpha1.PhasePassed, v1alpha1.PhaseFailed:
		if tag.Run == 0 {
			return pending // pushed again since, and not decided upon
		}
		return decided
	case v1alpha1.PhaseError:
		return failed
	case v1alpha1.PhaseSkipped:
		return skipped
	default:
		return pending
	}
}
