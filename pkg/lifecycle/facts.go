package lifecycle

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/sandbox"
)

// Defaults for fields that the API server did not fill in.
const (
	defaultFreshness     = 24 * time.Hour
	defaultRetries       = 2
	defaultMaxConcurrent = 10
	// defaultStartTimeout leaves an autoscaler time to add a node.
	defaultStartTimeout = 5 * time.Minute
)

// Facts are what Next knows beside the entry. The zero value is a trigger that is not
// ready, and nothing else known: Next then asks for a look before it decides.
type Facts struct {
	Trigger Trigger
	// Run is what was observed of the current run, or of the next run's name: a process
	// may have ended after it fired a run and before it recorded that.
	Run RunObservation
	// Sent is a request of the current or next run that this process sent and has
	// not recorded; nil if there is none.
	Sent *Sent
	// Heads are what the entry's tags show now, in the order of its tags. Only a
	// trigger with superseded: Skip needs them.
	Heads []Head
	// Slot is what the run queue says.
	Slot Slot
	// Image is what is known of the digest's content.
	Image Image
	// Routing is where the next run executes.
	Routing Routing
	// Forged says why the entry is not what it claims to be; empty if it is.
	Forged string
	// RecreatedFrom is the UID of a deleted entry of the same name, as far as this
	// process saw the deletion.
	RecreatedFrom string
	// LongestRun is how long after its request a run holds a slot of the bound of all
	// triggers; 0 is as long as it takes.
	LongestRun time.Duration
}

// Sent is a request that was sent and is not recorded yet.
type Sent struct {
	// Run is the run's name.
	Run string
	// Cause, Image and Routing are what the first run was decided with.
	Cause   v1alpha1.Cause
	Image   *v1alpha1.ImageFacts
	Routing Routing
	At      time.Time
	// Trigger is the trigger as it was when the request was sent.
	Trigger Trigger
	// Failure says why the sink did not take the request; zero if it did.
	Failure Failure
}

// Failure says why a request was not taken. The zero value is a request that was.
type Failure struct {
	Reason  Reason
	Message string
}

// SlotState says whether an entry may have a run. The zero value is "nobody asked".
type SlotState int

// The states of a slot.
const (
	SlotNotAsked SlotState = iota
	// SlotGranted: the entry may have a run.
	SlotGranted
	// SlotQueued: the entry waits in the queue, which wakes it.
	SlotQueued
)

// Slot is what the run queue says of an entry.
type Slot struct {
	State SlotState
	// Bound is the bound of all triggers, if that is what the entry waits for; 0 if it
	// waits for its own trigger's.
	Bound int
	// Share is how many runs one namespace may have, if that is what the entry waits for;
	// else 0.
	Share int
}

// ImageState says what is known of an image. The zero value is "nobody read it".
type ImageState int

// The states of an image.
const (
	ImageNotRead ImageState = iota
	// ImageRead: its facts are known.
	ImageRead
	// ImageMissing: neither the API server nor the registry has it any more.
	ImageMissing
	// ImageUnreadable: it could not be read this time.
	ImageUnreadable
)

// Image is what is known of an image's content.
type Image struct {
	State ImageState
	// Facts are what was read; nil if nothing was.
	Facts   *v1alpha1.ImageFacts
	Content image.Content
	// Recomputed is true if the facts were read from bytes that have the digest. Other
	// facts are somebody's claim: they are shown, and end nothing without a run.
	Recomputed bool
	// Filter is what the trigger's filter says of the image.
	Filter FilterResult
	// UnreadableSince and Error tell of an image that is unreadable.
	UnreadableSince time.Time
	Error           string
	// NotAllowed is true for one that is unreadable because the operator does not list its
	// registry for the trigger's namespace.
	NotAllowed bool
}

// FilterState is the result of a trigger's filter. The zero value is "not evaluated".
type FilterState int

// The results of a filter.
const (
	FilterNotEvaluated FilterState = iota
	FilterMatches
	FilterRefuses
	// FilterFails: the filter cannot be evaluated for this image.
	FilterFails
	// FilterDoesNotCompile: the filter cannot be evaluated for any.
	FilterDoesNotCompile
)

// FilterResult is what a trigger's filter says of an image.
type FilterResult struct {
	State   FilterState
	Message string
}

// RoutingState says whether it is decided where a run executes. The zero value is
// "not decided".
type RoutingState int

// The states of a routing.
const (
	RoutingUndecided RoutingState = iota
	RoutingDecided
	// RoutingFailed: it cannot be decided now.
	RoutingFailed
)

// Routing is where the next run executes.
type Routing struct {
	State RoutingState
	Route sandbox.Route
	// Error says why it cannot be decided.
	Error string
}

// Trigger is what a decision needs to know of an entry's ImageTrigger. The zero
// value is a trigger that is not ready.
type Trigger struct {
	// Gone is true if the trigger was deleted, or another one has its name now.
	Gone bool
	// Ready is true if the status is of the current spec and says so.
	Ready bool
	// Reason and Message say why the trigger is not ready.
	Reason  string
	Message string

	Generation int64
	// Confirmable is true if a request may be sent again, as the run's name
	// keeps a second one from starting a second run.
	Confirmable bool
	// HasFilter is true if the trigger has a filter of images.
	HasFilter bool
	// MaxConcurrent bounds the runs of the trigger that are under way.
	MaxConcurrent int
	// Freshness is how long a verdict covers further pushes; 0 is not at all.
	Freshness time.Duration
	// Retries bounds how often a run is repeated whose infrastructure failed.
	Retries int
	// RetryFactor is how many times longer a repetition waits, because run after run of the
	// trigger's namespace failed. 0 is 1.
	RetryFactor int
	// SkipSuperseded is true if a newer push of a tag replaces one that waits.
	SkipSuperseded bool

	// ClassSince is when the trigger's RuntimeClass was created; zero if it does not
	// exist.
	ClassSince time.Time
	// FallsBack is true if a run that cannot start in the class is repeated without it.
	FallsBack bool
	// StartTimeout is how long the Pods of a run in the class may take to start.
	StartTimeout time.Duration

	// SinkLog says where to read what the sink did with a request.
	SinkLog string
	// SinkDoubt is what the sink reports of itself that may keep it from working.
	SinkDoubt string
	// PausedUntil is the time before which the sink asked for no requests; zero if it
	// did not ask.
	PausedUntil time.Time
}

// TriggerOf returns what decisions need to know of t. Nil is a deleted trigger.
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

		MaxConcurrent:  defaultMaxConcurrent,
		HasFilter:      t.Spec.Filter != "",
		FallsBack:      t.Spec.Sandbox.Fallback == v1alpha1.FallbackDefault,
		SkipSuperseded: t.Spec.Superseded == v1alpha1.SupersededSkip,
		SinkLog:        sinkLog(t),
	}
	if t.Spec.MaxConcurrent > 0 {
		facts.MaxConcurrent = int(t.Spec.MaxConcurrent)
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

// sinkLog is the command that shows what became of a request: only the listener's log
// says.
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
