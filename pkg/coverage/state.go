package coverage

import (
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

// stateOf says what became of the push that a tag of an entry records. The run that covers
// the push decides it, or else a later run: as far as runs are kept they tell, and then the
// verdict does.
func stateOf(e *v1alpha1.ImageVerification, tag *v1alpha1.TagStatus) state {
	switch {
	case tag.Run == v1alpha1.RunSkipped:
		return skipped
	case tag.Run > 0:
		for i := range e.Status.Runs {
			run := &e.Status.Runs[i]
			switch {
			case run.Number == tag.Run && run.Outcome == "":
				return pending
			case run.Number >= tag.Run && gaveVerdict(run):
				return decided
			}
		}
		if v := e.Status.Verdict; v != nil && v.Number >= tag.Run {
			return decided
		}
	}
	switch e.Status.Phase {
	case v1alpha1.PhaseError:
		return failed
	case v1alpha1.PhaseSkipped:
		return skipped
	default:
		return pending // without a verdict, or pushed again since it was given
	}
}
