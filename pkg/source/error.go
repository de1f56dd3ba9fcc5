package source

import "time"

// Reason says why a source lastingly refuses to be read. The same word is shown in
// logs, metrics, status and on the command line.
type Reason string

// The reasons for a refusal. The zero value is none.
const (
	// NotFound: what was asked for is not there.
	NotFound Reason = "NotFound"
	// Denied: the account's credentials do not open it.
	Denied Reason = "RegistryDenied"
	// NotAllowed: the operator does not list the registry for the namespace.
	NotAllowed Reason = "RegistryNotAllowed"
	// Unreadable: the answer is too large, malformed, or not what was asked for.
	Unreadable Reason = "RegistryUnreadable"
)

// Refusal is an error that lasts until somebody changes something.
type Refusal struct {
	Reason Reason
	Err    error
}

func (e *Refusal) Error() string { return string(e.Reason) + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Refusal) Unwrap() error { return e.Err }

// RetryAfterError means that the other side asks to be left alone until a time.
type RetryAfterError struct {
	// Host is the host that asked for it, or the name of what did.
	Host  string
	Until time.Time
	Err   error
}

func (e *RetryAfterError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *RetryAfterError) Unwrap() error { return e.Err }
