package doctor

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
)

const (
	// sweepLate is several of the controller's intervals between two sweeps.
	sweepLate = 30 * time.Minute
	// firstSweep is how long a new ImageTrigger may be without a sweep.
	firstSweep = 2 * time.Minute
)

// sweep checks that the latest sweep is recent, saw everything and found no gap.
func (d *doctor) sweep(t *v1alpha1.ImageTrigger) Finding {
	const check = "sweep"
	logs := fmt.Sprintf("kubectl logs -n %s deployment/controller", d.system)
	last := t.Status.LastSweep
	if last == nil {
		if d.now.Sub(t.CreationTimestamp.Time) < firstSweep {
			return warn(check, "wait a minute", "the new ImageTrigger has had no sweep yet")
		}
		return problem(check, logs, "there was no sweep: a push that sent no event is lost")
	}
	age := d.now.Sub(last.FinishedAt.Time)
	result := fmt.Sprintf("%s ago: %d repositories, %d pushes recovered, gap %d",
		command.Ago(last.FinishedAt.Time, d.now), last.Repositories, last.Recovered, last.Gap)
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionSwept)
	switch {
	case age > sweepLate:
		return problem(check, logs, "the latest sweep ended %s", result)
	case c != nil && c.Status == metav1.ConditionFalse:
		return problem(check, command.Cure(c.Reason), "%s: %s (%s)", c.Reason, c.Message, result)
	case last.Gap > 0 || last.Coverage == v1alpha1.CoverageGap:
		return problem(check, "kubectl revet coverage --verify lists the pushes", "%s", result)
	case c == nil || c.Status != metav1.ConditionTrue:
		return unknown(check, logs, "the controller does not say whether the latest sweep saw everything (%s)", result)
	case c.ObservedGeneration != t.Generation:
		return unknown(check, "wait for the next sweep", "the spec has changed since the latest sweep (%s)", result)
	case last.Coverage != v1alpha1.CoverageCovered:
		return notCovered(last, logs, result)
	default:
		return ok(check, "%s", result)
	}
}

// notCovered is the finding for a sweep after which coverage is not known. A Revet that
// does not report coverage proves nothing either.
func notCovered(last *v1alpha1.SweepStatus, logs, result string) Finding {
	const check = "sweep"
	if len(last.Unknown) == 0 {
		return unknown(check, logs, "the latest sweep does not say whether every push is covered (%s)", result)
	}
	var reasons []string
	for _, u := range last.Unknown {
		reasons = append(reasons, fmt.Sprintf("%s (%d times): %s", u.Reason, u.Count, u.Message))
	}
	first := last.Unknown[0]
	cure := cmp.Or(first.Cure, command.Cure(first.Reason), "kubectl revet coverage shows what the sweep could not see")
	return unknown(check, cure, "the latest sweep could not see everything: %s (%s)", strings.Join(reasons, "; "), result)
}
