package lifecycle

import (
	"slices"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// CauseRule is everything that differs between the causes of a run. To add a cause,
// add a row to causes and a value to the enum of v1alpha1.CauseType.
type CauseRule struct {
	Type v1alpha1.CauseType
	// Class orders the queue of a trigger: entries of a lower class run first.
	Class int
	// Filtered: the trigger's filter, and the check that the digest is an image,
	// can end the pushes without a run.
	Filtered bool
	// Supersedable: newer pushes of the same tags can replace the run, where the
	// trigger says superseded: Skip.
	Supersedable bool
	// FireFirst: the first run may be fired before it is recorded. The entry's
	// creation is then the record of the intent.
	FireFirst bool
	// ReadsImage: the image's facts are read before each run. Otherwise they are
	// read only if no earlier run left them in the status.
	ReadsImage bool
	// AnswersPush: the time from a push to the run is worth a metric.
	AnswersPush bool
	// EventTrigger is the value of trigger.type in CDEvents.
	EventTrigger string

	// rank orders entries of one class.
	rank func(*v1alpha1.ImageVerification, []Head) Rank
}

// causes is the table of causes.
var causes = []CauseRule{
	{
		Type: v1alpha1.CauseVanished, Class: classPush, EventTrigger: "event",
		rank: rankFirstPush,
	},
	{
		Type: v1alpha1.CauseRecreated, Class: classPush, EventTrigger: "event",
		Filtered: true, Supersedable: true, FireFirst: true, ReadsImage: true,
		rank: rankPush,
	},
	{
		Type: v1alpha1.CausePush, Class: classPush, EventTrigger: "event",
		Filtered: true, Supersedable: true, FireFirst: true, ReadsImage: true, AnswersPush: true,
		rank: rankPush,
	},
	{
		Type: v1alpha1.CauseManual, Class: classManual, EventTrigger: "manual",
		ReadsImage: true,
		rank:       rankFirstPush,
	},
	{
		Type: v1alpha1.CauseRetry, Class: classRetry, EventTrigger: "event",
		rank: rankRetry,
	},
}

// unknownCause is the rule of a type that is not in the table, which is a bug: it
// goes last, and nothing ends it without a run.
var unknownCause = CauseRule{
	Class: classUnknown, ReadsImage: true, EventTrigger: "other",
	rank: func(*v1alpha1.ImageVerification, []Head) Rank { return Rank{} },
}

// Causes returns the table of causes.
func Causes() []CauseRule { return slices.Clone(causes) }

// RuleOf returns the rule of a cause.
func RuleOf(t v1alpha1.CauseType) CauseRule {
	for _, c := range causes {
		if c.Type == t {
			return c
		}
	}
	return unknownCause
}
