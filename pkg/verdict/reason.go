package verdict

// Reason says why an entry or a run stands as it does.
type Reason string

// Why an entry waits.
const (
	// TriggerNotReady: the trigger's own reason and message say more.
	TriggerNotReady Reason = "TriggerNotReady"
	// Queued: the trigger's maxConcurrent, or the bound of all triggers, is reached.
	Queued Reason = "Queued"
	// FactsUnreadable: the image's facts could not be read yet.
	FactsUnreadable Reason = "FactsUnreadable"
	// FilterInvalid: the trigger's filter does not compile.
	FilterInvalid Reason = "FilterInvalid"
	// SandboxUndecided: it cannot be decided where the run executes.
	SandboxUndecided Reason = "SandboxUndecided"
	// RetryScheduled: the latest run's infrastructure failed; it is repeated.
	RetryScheduled Reason = "RetryScheduled"
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
	// Superseded: its tags were pushed again before its run, and the trigger
	// wants the newer pushes only.
	Superseded Reason = "Superseded"
)

// Where a run stands.
const (
	// Requested: the sink accepted the request; the run is looked for.
	Requested Reason = "Requested"
	// RequestedOnce: the same, and nothing would keep a second request from
	// starting a second run.
	RequestedOnce Reason = "RequestedOnce"
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
	// Unconfirmed: no run appeared. Of a run that goes on: the request is sent
	// again. Of one that ended: a second request could start a second run.
	Unconfirmed Reason = "Unconfirmed"
	// RunNameTaken: a run of that name exists and is not this entry's.
	RunNameTaken Reason = "RunNameTaken"
	// Vanished: the run was deleted before its outcome was recorded.
	Vanished Reason = "Vanished"
	// Misnamed: a run of another name carries this run's label.
	Misnamed Reason = "Misnamed"
	// RunFailed: the PipelineRun itself failed. It is the one end that a
	// repetition may cure: the others come from what the template, the pipeline
	// or the listener are, and from what somebody wanted.
	RunFailed Reason = "RunFailed"
	// SandboxUnavailable: the run's Pods could not start in the requested RuntimeClass.
	// A repetition may cure it, and so does a RuntimeClass that is made anew.
	SandboxUnavailable Reason = "SandboxUnavailable"
	// RunCancelled: somebody stopped the PipelineRun.
	RunCancelled Reason = "RunCancelled"
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
