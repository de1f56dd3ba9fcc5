package replay

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

const (
	// maxRequests is the most requests that an entry keeps.
	maxRequests = 10
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
		image: fmt.Sprintf("%s:%s@%s", e.Spec.Repository.Name, strings.Join(command.TagsNewestFirst(e), ","), shortDigest(e.Spec.Digest)),
	}
	if trigger == nil || string(trigger.UID) != e.Spec.Trigger.UID {
		line.what = fmt.Sprintf("not accepted: ImageTrigger %s is gone, which says what to run; "+
			"a new ImageTrigger makes entries of its own for later pushes, or with existing: Verify for all tags", e.Spec.Trigger.Name)
		return line
	}
	asked := e.DeepCopy()
	requests, err := withRequest(asked, id)
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

// withRequest returns the entry's requests with one more at the end. It drops the oldest
// ones that have had their run.
func withRequest(e *v1alpha1.ImageVerification, id string) ([]string, error) {
	requests := append(slices.Clone(e.Spec.Requests), id)
	for i := 0; len(requests) > maxRequests; {
		if i == len(requests)-1 {
			return nil, fmt.Errorf("%d requests for %q already wait for their run", maxRequests, e.Name)
		}
		if slices.Contains(e.Status.HandledRequests, requests[i]) {
			requests = slices.Delete(requests, i, i+1)
			continue
		}
		i++
	}
	return requests, nil
}

// requestID names the user and the time. unique tells two requests of one second apart.
func requestID(user string, now time.Time, unique string) string {
	return fmt.Sprintf("%s-%s-%s", user, now.UTC().Format("20060102T150405Z"), unique)
}

// renewalID is that of a request for a verdict where none was kept.
func renewalID(now time.Time, unique string) string {
	return fmt.Sprintf("%s%s-%s", lifecycle.RenewalPrefix, now.UTC().Format("20060102T150405Z"), unique)
}

// shortDigest returns enough of a digest for people.
func shortDigest(digest string) string {
	const enough = len("sha256:") + 8
	return digest[:min(len(digest), enough)]
}
