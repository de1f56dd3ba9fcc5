package intake

// Status says what to answer the sender.
type Status int

// The statuses. The zero value is the safe one: the sender tries again.
const (
	Again   Status = iota // a retry may succeed
	Done                  // handled, or not relevant
	Refused               // the sender's fault; a retry gives the same
)

// Reason says why. The same word appears in logs and metrics.
type Reason string

// The reasons.
const (
	Recorded    Reason = "Recorded"    // at least one push was recorded
	NothingNew  Reason = "NothingNew"  // the ledger covers everything that it shows
	NotSelected Reason = "NotSelected" // no trigger selects it
	NotVisible  Reason = "NotVisible"  // no trigger's account may see it, or the registry refused
	NothingRuns Reason = "NothingRuns" // everything that is new cannot run
	OwnEvent    Reason = "OwnEvent"    // Revet, Tekton or a loop through a Broker sent it
	UnknownType Reason = "UnknownType"
	UnknownKind Reason = "UnknownKind"
	Deleted     Reason = "Deleted"    // a deletion is not a push
	ImageEvent  Reason = "ImageEvent" // it describes a digest, and is not a push
	Gone        Reason = "Gone"       // what the event shows no longer exists
	NotShown    Reason = "NotShown"   // the registry does not show what the notification claims
	PutOff      Reason = "PutOff"     // what is new is another namespace's to wait for: see others.go
	Undecodable Reason = "Undecodable"
	Unavailable Reason = "Unavailable" // something that Revet needs does not answer
	Panicked    Reason = "Panicked"
	// SenderLimited: the sender's address made the receiver ask the API server in vain too often.
	SenderLimited Reason = "SenderLimited"
)

// The kinds that a Result is counted under.
const (
	KindOther    = "other"
	KindStream   = "ImageStream"
	KindImage    = "Image"
	KindRegistry = "Registry"
)

// Result says how one event, or one notification, was handled.
type Result struct {
	Status Status
	Reason Reason
	// Kind is what it was about, for metrics.
	Kind string
	// Recorded is how many pushes were recorded.
	Recorded int
	// Err goes to the log. A sender that is refused gets it too.
	Err error
}

// Handled returns the result of something that was handled without trouble.
func Handled(kind string, reason Reason) Result {
	return Result{Status: Done, Reason: reason, Kind: kind}
}

func again(kind string, err error) Result {
	return Result{Status: Again, Reason: Unavailable, Kind: kind, Err: err}
}

// Combine makes one result of two that arrived in one request. Again outranks everything,
// because a retry repeats at no cost what was handled. A refusal outranks what was handled,
// so that the sender learns of it.
func Combine(a, b Result) Result {
	worse := a
	if rank(b) > rank(a) {
		worse = b
	}
	worse.Recorded = a.Recorded + b.Recorded
	return worse
}

func rank(r Result) int {
	switch r.Status {
	case Done:
		if r.Reason == Recorded {
			return 1
		}
		return 0
	case Refused:
		return 2
	default: // Again, or a status that is not known
		return 3
	}
}
