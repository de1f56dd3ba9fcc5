package v1alpha1

// The conditions of an ImageGate, besides Ready.
const (
	// ConditionTrustResolved: every trigger that the gate trusts exists.
	ConditionTrustResolved = "TrustResolved"
	// ConditionAllRunningVerified: every Pod in the gated namespaces would be admitted.
	// A gate goes to mode Deny only while it is True for its present spec, or with force.
	ConditionAllRunningVerified = "AllRunningVerified"
	// ConditionUpToDate: what the API server looks up is what the ledger says.
	ConditionUpToDate = "UpToDate"
	// ConditionComplete: every verified digest found room.
	ConditionComplete = "Complete"
)

// Reasons of an ImageGate's conditions.
const (
	// ReasonEnforced: the admission policies of the gate's spec are in force.
	ReasonEnforced = "Enforced"
	// ReasonInvalidSpec: the spec cannot be made into policies. What was in force stays.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonNameTaken: an object that the gate needs exists, and is not the gate's.
	ReasonNameTaken = "NameTaken"
	// ReasonPreparing: the policies are put in force once what they look up is written.
	ReasonPreparing = "Preparing"
	// ReasonDividing: the policies of another division are put in force, beside the present.
	ReasonDividing = "Dividing"
	// ReasonUnverifiedRunning: mode Deny waits, as images run that it would refuse.
	ReasonUnverifiedRunning = "UnverifiedRunning"
	// ReasonWriteFailed: the API server refused a write. It is tried again.
	ReasonWriteFailed = "WriteFailed"
	// ReasonTrustResolved: all trusted triggers exist.
	ReasonTrustResolved = "TrustResolved"
	// ReasonTriggersMissing: trusted triggers do not exist.
	ReasonTriggersMissing = "TriggersMissing"
	// ReasonNotObserved: nobody has listed yet what runs.
	ReasonNotObserved = "NotObserved"
	// ReasonAllVerified: all that runs is verified.
	ReasonAllVerified = "AllVerified"
	// ReasonUpToDate: nothing waits to be written.
	ReasonUpToDate = "UpToDate"
	// ReasonWritesPending: verdicts wait to be written.
	ReasonWritesPending = "WritesPending"
	// ReasonComplete: everything found room.
	ReasonComplete = "Complete"
	// ReasonNoRoom: verified digests found no room, and are refused.
	ReasonNoRoom = "NoRoom"
)
