package doctor

import (
	"fmt"
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
	case last.Gap > 0:
		return problem(check, "kubectl revet coverage --verify lists the pushes", "%s", result)
	case c == nil || c.Status != metav1.ConditionTrue:
		return unknown(check, logs, "the controller does not say whether the latest sweep saw everything (%s)", result)
	case c.ObservedGeneration != t.Generation:
		return unknown(check, "wait for the next sweep", "the spec has changed since the latest sweep (%s)", result)
	default:
		return ok(check, "%s", result)
	}
}
