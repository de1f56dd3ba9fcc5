package verdict

// Reason says why an entry or a run stands as it does.
type Reason string

// Why an entry waits.
const (
	// TriggerNotReady: the trigger's own reason and message say more.
	TriggerNotReady Reason = "TriggerNotReady"
	// Queued: the trigger's maxConcurrent is reached.
	Queued Reason = "Queued"
	// FactsUnreadable: the image's facts could not be read yet.
	FactsUnreadable Reason = "FactsUnreadable"
	// FilterInvalid: the trigger's filter does not compile.
	FilterInvalid Reason = "FilterInvalid"
)

// Why a push has no run.
const (
	TriggerDeleted Reason = "TriggerDeleted"
	NotRunnable    Reason = "NotRunnable"
	FilteredOut    Reason = "FilteredOut"
	// FilterFailed: the filter compiles but could not be evaluated for this image.
	FilterFailed Reason = "FilterFailed"
	// Existing: it was there before the trigger.
	Existing Reason = "Existing"
)

// Where a run stands.
const (
	// Requested: the sink accepted the request; the run is looked for.
	Requested Reason = "Requested"
	// SinkUnreachable: nothing was sent; the request is sent again.
	SinkUnreachable Reason = "SinkUnreachable"
	// SinkRefused: the sink answered with an error; the request is sent again.
	SinkRefused Reason = "SinkRefused"
	// SinkSilent: it is not known whether the sink took the request.
	SinkSilent Reason = "SinkSilent"
	// SinkInvalid: the sink cannot be sent to at all.
	SinkInvalid Reason = "SinkInvalid"
	// Running: the PipelineRun exists.
	Running Reason = "Running"
)

// How a run ended.
const (
	Passed Reason = "Passed"
	Failed Reason = "Failed"
	// Unconfirmed: no run appeared, and a second request could start a second run.
	Unconfirmed Reason = "Unconfirmed"
	// RunNameTaken: a run of that name exists and is not this entry's.
	RunNameTaken Reason = "RunNameTaken"
	// Vanished: the run was deleted before its outcome was recorded.
	Vanished Reason = "Vanished"
	// RunFailed: the PipelineRun itself failed.
	RunFailed Reason = "RunFailed"
	// NoVerdict: the PipelineRun succeeded without the result "verdict".
	NoVerdict Reason = "NoVerdict"
	// BadVerdict: the result "verdict" is neither pass nor fail.
	BadVerdict Reason = "BadVerdict"
	// DigestMismatch: what was scanned is not what was pushed, or is not told.
	DigestMismatch Reason = "DigestMismatch"
	// NotSandboxed: a pass, but not every Pod had the requested RuntimeClass.
	NotSandboxed Reason = "NotSandboxed"
)

// Unknown stands for a value that a switch did not expect: a bug.
const Unknown Reason = "Unknown"
