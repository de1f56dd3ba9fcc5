package lifecycle

import "time"

// The times by which the lifecycle moves, but for those by which a run is confirmed, which
// stand in confirm.go. Bounds of single requests belong to whoever sends them.

// Firing and following a run.
const (
	// firedBefore is the age from which an earlier process may have fired the first
	// run of an entry. Below it, a second request costs less than a look.
	firedBefore = 2 * time.Second
	// cacheLag is how long the watch of PipelineRuns may miss a confirmed run before
	// the API server is asked for it.
	cacheLag = 2 * time.Second
)

// Waiting for something else.
const (
	// triggerRetry is how often a trigger that is not ready is read again. A change of
	// the trigger wakes its entries too.
	triggerRetry = time.Minute
	// queuedRetry is how often a queued entry asks for a slot again. A free slot wakes
	// the first entry of the queue too.
	queuedRetry = 30 * time.Second
	// queuedNote and pauseNote are the waits from which the status says what an entry
	// waits for. Shorter ones are not worth a write for each entry.
	queuedNote = 5 * time.Second
	pauseNote  = 5 * time.Second
	// firstImageRetry and slowestImageRetry bound the time between two attempts to
	// read an image.
	firstImageRetry   = 100 * time.Millisecond
	slowestImageRetry = 30 * time.Second
	// imagePatience is how long an image may be unreadable before it runs without facts.
	imagePatience = 2 * time.Minute
	// routeRetry is how often the sandbox's key is read again.
	routeRetry = 5 * time.Second
	// stopRetry is how often a run that has to end is cancelled again.
	stopRetry = 10 * time.Second
)

// Repeating a run that failed: after 10 s, 30 s, 90 s, ...
const (
	firstRepeat   = 10 * time.Second
	slowestRepeat = 5 * time.Minute
	// slowestRepeatOfMany bounds the wait in a namespace where run after run fails
	// (Trigger.RetryFactor).
	slowestRepeatOfMany = 30 * time.Minute
)
