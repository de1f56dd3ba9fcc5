package lifecycle

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// What holds where the API server did not fill a field in.
const (
	defaultFreshness = 24 * time.Hour
	defaultRetries   = 2
	// defaultStartTimeout leaves a node the time to be made, where nodes are.
	defaultStartTimeout = 5 * time.Minute
)

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
	// Retries is how often a run whose infrastructure failed is repeated.
	Retries int
	// SkipSuperseded is true if a push that waits is given up for a newer one.
	SkipSuperseded bool

	// ClassSince is when the RuntimeClass that the trigger names was made; zero if
	// there is none.
	ClassSince time.Time
	// FallsBack is true if a run that could not start in the class is repeated without.
	FallsBack bool
	// StartTimeout is how long the Pods of a run in the class may take to start.
	StartTimeout time.Duration

	// SinkLog says where to read what the sink did with a request.
	SinkLog string
	// SinkDoubt is what the sink says of itself that may keep it from working.
	SinkDoubt string
	// PausedUntil is until when the sink asked to be left alone; zero if it did not.
	PausedUntil time.Time
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
		Retries:      defaultRetries,
		StartTimeout: defaultStartTimeout,

		FallsBack:      t.Spec.Sandbox.Fallback == v1alpha1.FallbackDefault,
		SkipSuperseded: t.Spec.Superseded == v1alpha1.SupersededSkip,
		SinkLog:        sinkLog(t),
	}
	if t.Spec.Freshness != nil {
		facts.Freshness = max(t.Spec.Freshness.Duration, 0)
	}
	if since := t.Status.RuntimeClassSince; since != nil {
		facts.ClassSince = since.Time
	}
	if limit := t.Spec.Sandbox.StartTimeout; limit != nil {
		facts.StartTimeout = limit.Duration
	}
	if t.Spec.Retries != nil {
		facts.Retries = int(max(*t.Spec.Retries, 0))
	}
	resolved := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionSinkResolved)
	if resolved != nil && resolved.ObservedGeneration == t.Generation && resolved.Reason != v1alpha1.ReasonSinkResolved {
		facts.SinkDoubt = resolved.Message
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

// sinkLog is the command that shows what became of requests: a listener tells
// nobody but its log.
func sinkLog(t *v1alpha1.ImageTrigger) string {
	ref := t.Spec.Sink.Ref
	switch {
	case ref == nil:
		return "the log of " + t.Spec.Sink.URI
	case ref.Kind == "" || ref.Kind == "EventListener":
		return fmt.Sprintf("kubectl logs -n %s deploy/el-%s", t.Namespace, ref.Name)
	default:
		return fmt.Sprintf("the log of %s %q", ref.Kind, ref.Name)
	}
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
	// PodsStarted is true if the run's Pods were looked at after the time in which they
	// have to start, and had.
	PodsStarted bool
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
	// Overhead is what its RuntimeClass adds to its resources.
	Overhead map[string]string
	// Started is true once any of its containers did.
	Started bool
	// Waiting is why it has not, as far as is known.
	Waiting string
	// Failure is what its first container that failed said; empty if none did.
	Failure string
	// Error is the result by which that container itself says why; empty if it did not.
	Error string
}
