package source

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Reason says why a source refuses to be read until somebody changes something. The
// same word appears in logs, metrics, status and on the command line.
type Reason string

// The reasons for a refusal. The zero value means no refusal.
const (
	// NotFound: the source does not have what was asked for.
	NotFound Reason = "NotFound"
	// Denied: the account's credentials do not open it.
	Denied Reason = "RegistryDenied"
	// NotAllowed: the operator does not list the registry for the namespace.
	NotAllowed Reason = "RegistryNotAllowed"
	// NotListed: the caller cannot read which registries the operator lists.
	NotListed Reason = "NotListed"
	// Unreadable: the answer is too large, malformed, or not what was asked for.
	Unreadable Reason = "RegistryUnreadable"
	// Untrusted: no known certificate authority signed the registry's certificate.
	Untrusted Reason = "RegistryUntrusted"
	// DigestUnsupported: the tag points to a digest that is not sha256.
	DigestUnsupported Reason = "DigestUnsupported"
	// InvalidRepository: the name is not a repository's.
	InvalidRepository Reason = "InvalidRepository"
)

// Refusal is an error that lasts until somebody changes something.
type Refusal struct {
	Reason Reason
	Err    error
}

func (e *Refusal) Error() string { return string(e.Reason) + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Refusal) Unwrap() error { return e.Err }

// ErrIncomplete means that a list broke off or reached a bound. What was listed until then
// is not all: the rest is not known.
var ErrIncomplete = errors.New("the list is not complete")

// ReasonOf returns the reason of the Refusal that err is or wraps. It returns the zero
// Reason for any other error, and for nil.
func ReasonOf(err error) Reason {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal.Reason
	}
	return ""
}

// RetryAfterError means that the other side asks for no more requests before a time.
type RetryAfterError struct {
	// Host is the host that asked for it, or the name of what did.
	Host  string
	Until time.Time
	Err   error
}

func (e *RetryAfterError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *RetryAfterError) Unwrap() error { return e.Err }

// RetryAfter reads the value of a Retry-After header, which is either a number of
// seconds or a date. The result lies between 0 and longest, whatever the header
// says. It returns false if the header holds neither.
func RetryAfter(header string, now time.Time, longest time.Duration) (time.Duration, bool) {
	header = strings.TrimSpace(header)
	seconds, err := strconv.ParseInt(header, 10, 64)
	if err == nil {
		// Compared as seconds: as a Duration, a large number would overflow.
		return time.Duration(min(max(seconds, 0), int64(longest/time.Second))) * time.Second, true
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), longest), true
	}
	if header != "" && strings.Trim(header, "0123456789") == "" {
		return longest, true // more seconds than an int64 holds
	}
	return 0, false
}
