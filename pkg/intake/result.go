package intake

// Status says what the sender is told.
type Status int

// The statuses. The zero value is the safe one: the sender tries again.
const (
	Again   Status = iota // a retry may cure it
	Done                  // handled, or seen and passed over
	Refused               // the sender's fault; the same again gives the same
)

// Reason says why. The same string goes to logs and metrics.
type Reason string

// The reasons.
const (
	Recorded    Reason = "Recorded"    // at least one push was recorded
	NothingNew  Reason = "NothingNew"  // the ledger covers all that it shows
	NotSelected Reason = "NotSelected" // no trigger selects it
	NotVisible  Reason = "NotVisible"  // no account of a trigger may see it, or the registry refused
	NothingRuns Reason = "NothingRuns" // all that is new cannot run
	OwnEvent    Reason = "OwnEvent"    // sent by Revet, Tekton or a loop through a Broker
	UnknownType Reason = "UnknownType"
	UnknownKind Reason = "UnknownKind"
	Deleted     Reason = "Deleted"    // a deletion is no push
	ImageEvent  Reason = "ImageEvent" // facts about a digest; no push signal
	Gone        Reason = "Gone"       // what the event shows is not there
	Undecodable Reason = "Undecodable"
	Unavailable Reason = "Unavailable" // something that is needed does not answer
	Panicked    Reason = "Panicked"
)

// Result is how one event, or one notification, was handled.
type Result struct {
	Status Status
	Reason Reason
	// Kind is what it was about, for metrics.
	Kind string
	// Recorded is how many pushes were recorded.
	Recorded int
	// Err is for the log; of a refusal it is also told to the sender.
	Err error
}

func done(kind string, reason Reason) Result {
	return Result{Status: Done, Reason: reason, Kind: kind}
}

func again(kind string, err error) Result {
	return Result{Status: Again, Reason: Unavailable, Kind: kind, Err: err}
}

// combine makes one result of two that arrived together. To try again outranks
// everything, as a retry repeats what was handled at no cost; a refusal outranks
// what was handled, so that the sender learns of it.
func combine(a, b Result) Result {
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
	default: // Again, and what is not known
		return 3
	}
}
