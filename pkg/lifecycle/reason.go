package lifecycle

import "github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"

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
	// RegistryNotAllowed: somebody asked to verify what is in a registry that the operator
	// does not list for the namespace.
	RegistryNotAllowed Reason = "RegistryNotAllowed"
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
	FilteredOut    Reason = "FilteredOut"
	// FilterFailed: the filter compiles but could not be evaluated for this image.
	FilterFailed Reason = "FilterFailed"
	// Existing: it was there before the trigger.
	Existing Reason = "Existing"
	// EntryForged: somebody created an entry that is not what it claims to be.
	EntryForged Reason = "EntryForged"
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
	// SinkRejected: the sink answered that it will never take this request. Of a run that
	// goes on: the run is looked for once more. Of one that ended: it was not there.
	SinkRejected Reason = "SinkRejected"
	// SinkInvalid: no request can be made for the sink. It ends as SinkRejected does.
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
	// RunFailed: the PipelineRun itself failed, of what a repetition may cure. What
	// it cannot cure has a reason of its own: see how a step says why it failed.
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

// How a step says why it failed, where the same again would end the same: the word
// that its result "error" begins with. Table stepErrors lists these and the others.
const (
	// NotAnImage: it is proven that the digest names something that no runtime runs, by
	// the content that the controller read before a run, or by the run.
	NotAnImage Reason = v1alpha1.ReasonNotAnImage
	// ContentCorrupted: bytes do not have the digest or the size they go by.
	ContentCorrupted Reason = "ContentCorrupted"
	// ContentUnreadable: a manifest or a configuration is malformed, or ambiguous.
	ContentUnreadable Reason = "ContentUnreadable"
	// TooLarge: a limit would be exceeded.
	TooLarge Reason = "TooLarge"
	// AddressRefused: the registry led to an address that must not be used.
	AddressRefused Reason = "AddressRefused"
	// PushRefused: the registry refuses what a step pushes to it, such as the report.
	PushRefused Reason = "PushRefused"
	// PackagesUnreadable: the image's list of packages cannot be read.
	PackagesUnreadable Reason = "PackagesUnreadable"
	// DatabaseNotConfigured: no vulnerability database is named.
	DatabaseNotConfigured Reason = "DatabaseNotConfigured"
	// DatabaseTooOld: the vulnerability database is older than it may be.
	DatabaseTooOld Reason = "DatabaseTooOld"
	// DatabaseTooNew: the scanner is too old for the vulnerability database.
	DatabaseTooNew Reason = "DatabaseTooNew"
	// DatabaseFormat: it is no vulnerability database.
	DatabaseFormat Reason = "DatabaseFormat"
	// DatabaseEmpty: the vulnerability database has no record.
	DatabaseEmpty Reason = "DatabaseEmpty"
	// DatabaseBroken: the vulnerability database contradicts itself.
	DatabaseBroken Reason = "DatabaseBroken"
	// DatabaseTampered: the vulnerability database is not of its digest.
	DatabaseTampered Reason = "DatabaseTampered"
)

// Unknown stands for a value that a switch did not expect: a bug.
const Unknown Reason = "Unknown"
