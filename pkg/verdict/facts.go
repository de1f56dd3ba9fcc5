package verdict

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// defaultFreshness holds where the API server did not fill the field in.
const defaultFreshness = 24 * time.Hour

// Trigger is what a decision needs to know of an entry's ImageTrigger. The zero
// value is a trigger that is not ready.
type Trigger struct {
	// Gone is true if the trigger was deleted, or another has its name.
	Gone bool
	// Ready is true if its status speaks of its current spec and says so.
	Ready bool
	// Reason and Message are its own, of why it is not ready.
	Reason  string
	Message string

	Generation int64
	// Confirmable is true if a request may be sent again, as the run's name
	// keeps a second one from starting a second run.
	Confirmable bool
	// Freshness is how long a verdict covers further pushes; 0 is not at all.
	Freshness time.Duration
	// RuntimeClass is what the run's Pods must have; empty asks for none.
	RuntimeClass string
}

// TriggerOf returns what decisions need to know of t. Nil is a trigger that is gone.
func TriggerOf(t *v1alpha1.ImageTrigger) Trigger {
	if t == nil {
		return Trigger{Gone: true}
	}
	facts := Trigger{
		Ready:        t.IsReady(),
		Generation:   t.Generation,
		Confirmable:  t.Status.Confirmable,
		Freshness:    defaultFreshness,
		RuntimeClass: t.Spec.Sandbox.RuntimeClassName,
	}
	if t.Spec.Freshness != nil {
		facts.Freshness = max(t.Spec.Freshness.Duration, 0)
	}
	if facts.Ready {
		return facts
	}
	facts.Reason, facts.Message = string(TriggerNotReady), "the trigger was not checked yet"
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady)
	if c != nil && c.ObservedGeneration == t.Generation && c.Reason != "" {
		facts.Reason, facts.Message = c.Reason, c.Message
	}
	return facts
}

// Sight says what is known of whether a run exists. The zero value is "nobody looked".
type Sight int

// The sights.
const (
	NotLooked Sight = iota
	// Absent: the API server itself was asked, and has no such PipelineRun.
	Absent
	// Found: the PipelineRun exists, as a watch or the API server said.
	Found
)

// Sighting is what was seen of the entry's current run, or of the next one's name.
type Sighting struct {
	Sight Sight
	Run   PipelineRun
}

// PipelineRun is what a decision needs to know of a Tekton PipelineRun.
type PipelineRun struct {
	Name string
	UID  string
	// RunLabel, EntryUID and Digest are what its label and annotations claim.
	RunLabel string
	EntryUID string
	Digest   string

	// Started and Finished are zero while it has not.
	Started  time.Time
	Finished time.Time
	// Done is true once it succeeded or failed for good.
	Done      bool
	Succeeded bool
	Reason    string
	Message   string
	// Results are those of its results that are strings.
	Results map[string]string
}

// Pod is what a decision needs to know of a Pod of a run.
type Pod struct {
	Name string
	// RuntimeClass is the class it has; empty for none.
	RuntimeClass string
	Node         string
}
