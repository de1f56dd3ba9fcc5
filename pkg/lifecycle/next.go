package lifecycle

import (
	"fmt"
	"sort"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Action is the next step of an entry. The zero value is to do nothing. Every action can
// be repeated: each comment says what a crash around it causes.
type Action int

// Steps that end a pass.
const (
	// Idle: nothing to do until something changes, or After has passed. The entry needs
	// no slot.
	Idle Action = iota
	// Wait: not yet. Reason says for what, After when to decide again. A crash loses
	// nothing: a new process decides the same.
	Wait
	// AwaitRun: the first run was fired and is not recorded; wait for it to appear. After
	// a crash the next process finds the run by its name, or sends the same request.
	AwaitRun
	// Stop: cancel the run, whose Pods do not start, and wait until it has ended. That
	// it is to be stopped is in the status; after a crash it is cancelled again.
	Stop
)

// Steps that find out what the next decision needs. They change nothing, so that a crash
// costs only the look.
const (
	// AskSlot: ask the run queue for a slot. The queue is in memory; after a crash the
	// entry asks again.
	AskSlot Action = iota + 100
	// Enrich: read the image and evaluate the trigger's filter.
	Enrich
	// Route: decide where the run executes.
	Route
	// Look: ask the API server whether the run exists.
	Look
	// LookByLabel: ask the API server for PipelineRuns with the run's label.
	LookByLabel
	// Compare: compare the PipelineRun with what the listener makes of the run's request.
	// The status has the UID of one that was compared.
	Compare
	// Inspect: look whether the run's Pods have started.
	Inspect
)

// Steps that send a request.
const (
	// FireFirst: send the request of the entry's first run, and keep it as Sent. The
	// entry's creation was the intent. After a crash the next process finds the run by
	// its name, or sends the same request, which meets AlreadyExists.
	FireFirst Action = iota + 200
	// RecordAndFire: record a new run and the attempt, then send the request. A crash
	// before the write leaves no trace; one before the request costs confirmWindow, or
	// ends the run as Unconfirmed if the sink is not confirmable.
	RecordAndFire
	// FireAgain: send the current run's request again, and keep it as Sent. After a
	// crash it is sent once more, and meets AlreadyExists.
	FireAgain
	// FireOnce: record the attempt, then send the current run's request. A crash
	// between the two ends the run as Unconfirmed: a second request could start a
	// second run.
	FireOnce
)

// Steps that write the status, and nothing else. A crash before the write repeats the
// decision from the same facts; after it there is nothing left to do.
const (
	// RecordSent: record the request in Sent, and the run too if it is there.
	RecordSent Action = iota + 300
	// RecordRun: record a new run that an earlier process fired.
	RecordRun
	// Covered: run Run covers the undecided pushes.
	Covered
	// Skip: the undecided pushes end without a run.
	Skip
	// Confirm: the run exists, and belongs to the entry.
	Confirm
	// Follow: the run started, or has a new UID.
	Follow
	// FailStart: the run's Pods do not start. Stop follows.
	FailStart
	// Judge: the run is done; read its Pods and record what its end means. The
	// PipelineRun has to outlive a crash.
	Judge
	// End: the current run ends without a verdict, for Reason.
	End
	// Abandon: the latest run was to be repeated, and is not.
	Abandon
)

// actionNames are for logs and tests.
var actionNames = map[Action]string{
	Idle: "Idle", Wait: "Wait", AwaitRun: "AwaitRun", Stop: "Stop",
	AskSlot: "AskSlot", Enrich: "Enrich", Route: "Route", Look: "Look", LookByLabel: "LookByLabel", Compare: "Compare", Inspect: "Inspect",
	FireFirst: "FireFirst", RecordAndFire: "RecordAndFire", FireAgain: "FireAgain", FireOnce: "FireOnce",
	RecordSent: "RecordSent", RecordRun: "RecordRun", Covered: "Covered", Skip: "Skip", Confirm: "Confirm",
	Follow: "Follow", FailStart: "FailStart", Judge: "Judge", End: "End", Abandon: "Abandon",
}

// String returns the action's name.
func (a Action) String() string {
	if name, ok := actionNames[a]; ok {
		return name
	}
	return fmt.Sprintf("Action(%d)", int(a))
}

// Decision is what Next decided.
type Decision struct {
	Action  Action
	Reason  Reason
	Message string
	// After is when to decide again if nothing happens before; 0 is never.
	After time.Duration
	// Cause is the cause of the run that the entry needs.
	Cause v1alpha1.Cause
	// Hold is true if the status should say what a Wait is for.
	Hold bool
	// Run is the number of the run that the action is about.
	Run int32
}

// FreesSlot reports whether an entry that waits gives back its slot, or its place in the
// queue. What is worth a note in the status would keep others waiting.
func (d Decision) FreesSlot() bool { return d.Hold && d.Reason != Queued }

// Next decides the next step of an entry.
func Next(e *v1alpha1.ImageVerification, f Facts, now time.Time) Decision {
	run := e.Status.CurrentRun()
	if f.Sent != nil && unrecorded(run, f.Sent) {
		return recordSent(e, run, f, now)
	}
	if run != nil {
		switch {
		case Undecided(e) != nil && joins(run, f.Trigger):
			return Decision{Action: Covered, Reason: Requested, Run: run.Number}
		case run.ConfirmedAt != nil:
			return follow(e, run, f, now)
		default:
			return confirm(e, run, f, now)
		}
	}
	if cause, ok := nameTaken(&e.Status); ok {
		return start(e, cause, f, now)
	}
	return firstOwed(Causes(), e, f, now)
}

// Undecided returns the oldest push that no run covers and that was not skipped, or nil.
func Undecided(e *v1alpha1.ImageVerification) *v1alpha1.TagStatus {
	var open []v1alpha1.TagStatus
	for _, tag := range e.Tags() {
		if tag.Run == 0 {
			open = append(open, tag)
		}
	}
	if len(open) == 0 {
		return nil
	}
	sort.Slice(open, func(i, j int) bool {
		if !open[i].PushedAt.Equal(&open[j].PushedAt) {
			return open[i].PushedAt.Before(&open[j].PushedAt)
		}
		return open[i].Tag < open[j].Tag
	})
	return &open[0]
}

// joins reports whether run covers a push that came while it is under way: only if it
// has not started to fetch, and not with a freshness of 0, which asks for a run after
// every push.
func joins(run *v1alpha1.RunStatus, t Trigger) bool {
	return run.StartedAt == nil && !t.Gone && t.Freshness > 0 && run.TriggerGeneration == t.Generation
}

// follow decides while the run exists.
func follow(e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus, f Facts, now time.Time) Decision {
	switch seen := f.Run; seen.Lookup {
	case Found:
		switch {
		case uncompared(e, run, f):
			return Decision{Action: Compare, Run: run.Number}
		case foreign(e, run.Name, seen) != "":
			return Decision{Action: End, Reason: Vanished, Run: run.Number,
				Message: "the PipelineRun was deleted, and another one has its name"}
		case seen.Run.Done:
			return Decision{Action: Judge, Run: run.Number}
		case run.UID != seen.Run.UID, run.StartedAt == nil && !seen.Run.Started.IsZero():
			return Decision{Action: Follow, Reason: Running, Run: run.Number}
		default:
			return outlasts(run, f, watchStart(run, f, now), now)
		}
	case Absent:
		return Decision{Action: End, Reason: Vanished, Run: run.Number,
			Message: "the PipelineRun was deleted before its outcome was recorded"}
	case NotLooked:
		if since := now.Sub(run.ConfirmedAt.Time); since < cacheLag {
			return Decision{Action: Wait, Reason: Running, After: max(cacheLag-since, firstLook), Run: run.Number}
		}
		return Decision{Action: Look, Run: run.Number}
	default:
		return Decision{Action: Look, Reason: Unknown, Run: run.Number}
	}
}

// outlasts makes the status of a run that goes on say when it has taken longer than the
// operator's limit: it goes on, and holds no slot of the bound of all triggers any more.
func outlasts(run *v1alpha1.RunStatus, f Facts, d Decision, now time.Time) Decision {
	if d.Action != Wait || f.LongestRun <= 0 {
		return d
	}
	left := run.RequestedAt.Add(f.LongestRun).Sub(now)
	if left > 0 {
		if d.After == 0 || left < d.After {
			d.After = left
		}
		return d
	}
	d.Hold = true
	d.Message = fmt.Sprintf("the run was requested more than %s ago, the controller's --longest-run; it goes on, and counts "+
		"for the trigger's maxConcurrent only", f.LongestRun)
	return d
}
