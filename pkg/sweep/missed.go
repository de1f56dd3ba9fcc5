package sweep

import (
	"time"

	"github.com/revet-dev/revet/pkg/push"
)

// Missed says why no event brought a push, as far as that can be known here.
type Missed string

// The reasons. The zero value is invalid.
const (
	// MissedBeforeTrigger: it is older than the trigger, by no more than clocks may
	// differ or because existing heads are verified too.
	MissedBeforeTrigger Missed = "BeforeTrigger"
	// MissedSpecChanged: the trigger's spec has changed since the sweep before, and
	// may not have selected it.
	MissedSpecChanged Missed = "SpecChanged"
	// MissedBeforeProcess: it is older than this process. What was down then,
	// besides, is not known.
	MissedBeforeProcess Missed = "BeforeProcess"
	// MissedInFlight: it is so young that its event may be on its way.
	MissedInFlight Missed = "InFlight"
	// MissedOverwritten: a later push of the tag came before an event was processed.
	MissedOverwritten Missed = "Overwritten"
	// MissedUnknown: the source, the way or the receiver lost it.
	MissedUnknown Missed = "Unknown"
)

// inFlight is how long an event may take from the push to its record.
const inFlight = 5 * time.Second

// circumstances are what is known when a push is recovered.
type circumstances struct {
	now     time.Time
	trigger time.Time // when the trigger was made
	process time.Time // when this process began
	// respecified: the sweep before was of another spec.
	respecified bool
}

// missed returns why a push was missed: the first reason that holds.
func missed(p push.Push, c circumstances) Missed {
	timed := p.Repository.Kind == push.ImageStream // a registry shows no times
	switch {
	case timed && !p.PushedAt.After(c.trigger):
		return MissedBeforeTrigger
	case c.respecified:
		return MissedSpecChanged
	case timed && p.PushedAt.Before(c.process):
		return MissedBeforeProcess
	case timed && c.now.Sub(p.PushedAt) < inFlight:
		return MissedInFlight
	case p.Reason == push.History:
		return MissedOverwritten
	default:
		return MissedUnknown
	}
}
