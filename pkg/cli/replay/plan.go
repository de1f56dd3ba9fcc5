package replay

import (
	"fmt"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// replayLine says what a request for an entry leads to.
type replayLine struct {
	name, image string
	// id is the ID of the request, or "" if none was made.
	id       string
	what     string
	accepted bool
}

// plan says what a request for a run of the entry leads to. It decides as the controller
// does. The trigger is nil if it is gone.
func plan(e *v1alpha1.ImageVerification, trigger *v1alpha1.ImageTrigger, id string, now time.Time) replayLine {
	line := replayLine{
		name:  e.Name,
		image: command.ImageName(e),
	}
	if trigger == nil || string(trigger.UID) != e.Spec.Trigger.UID {
		line.what = fmt.Sprintf("not accepted: ImageTrigger %s is gone, which says what to run; "+
			"a new ImageTrigger makes entries of its own for later pushes, or with existing: Verify for all tags", e.Spec.Trigger.Name)
		return line
	}
	asked := e.DeepCopy()
	requests, err := command.WithRequest(asked, id)
	if err != nil {
		line.what = "not accepted: " + err.Error()
		return line
	}
	asked.Spec.Requests = requests
	line.accepted = true
	facts := lifecycle.TriggerOf(trigger)
	if !facts.Ready {
		line.what = fmt.Sprintf("waits until ImageTrigger %s is ready: %s: %s", trigger.Name, facts.Reason, facts.Message)
		return line
	}
	cause := v1alpha1.Cause{Type: v1alpha1.CauseManual, Key: id}
	d := lifecycle.Next(asked, lifecycle.Facts{Trigger: facts}, now)
	switch run := asked.Status.CurrentRun(); {
	case run != nil:
		line.what = fmt.Sprintf("runs after run %[2]d, which is under way, by ImageTrigger %[1]s", trigger.Name, run.Number)
	case d.Cause == cause && lifecycle.Renewal(cause):
		line.what = fmt.Sprintf("runs when nothing else of ImageTrigger %s waits", trigger.Name)
	case d.Cause == cause:
		line.what = fmt.Sprintf("runs as soon as ImageTrigger %s has a free slot", trigger.Name)
	default:
		line.what = fmt.Sprintf("runs after the run that the entry already waits for, by ImageTrigger %s", trigger.Name)
	}
	return line
}

// renewalID is that of a request for a verdict where none was kept.
func renewalID(now time.Time, unique string) string {
	return fmt.Sprintf("%s%s-%s", lifecycle.RenewalPrefix, now.UTC().Format("20060102T150405Z"), unique)
}
