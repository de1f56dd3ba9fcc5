package lifecycle

import "time"

// All times by which the lifecycle moves. Bounds of single requests belong to whoever
// sends them.

// Firing and confirming a run.
const (
	// recordWindow is how long the first run may be fired and not recorded. A run
	// that appears within it costs one write instead of two.
	recordWindow = 50 * time.Millisecond
	// firedBefore is the age from which an earlier process may have fired the first
	// run of an entry. Below it, a second request costs less than a look.
	firedBefore = 2 * time.Second
	// firstLook is how long a sink has before the API server is asked for the run.
	firstLook = 20 * time.Millisecond
	// slowestLook is the longest time between two looks.
	slowestLook = 2 * time.Second
	// confirmWindow is how long a run may take to appear.
	confirmWindow = 10 * time.Second
	// cacheLag is how long the watch of PipelineRuns may miss a confirmed run before
	// the API server is asked for it.
	cacheLag = 2 * time.Second
	// firstBackoff and slowestBackoff bound the time between two requests.
	firstBackoff   = 250 * time.Millisecond
	slowestBackoff = 30 * time.Second
	// overdue is the age of a request from which the trigger's condition is the likely
	// cause of a missing run.
	overdue = 2 * time.Second
	// recoveredBackoff is the shortest time to the next request once a trigger has
	// become ready again.
	recoveredBackoff = 500 * time.Millisecond
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
)
