package tekton

import (
	"fmt"
	"net/http"
	"time"
)

// Reason says what is wrong with a sink. The same string goes to conditions,
// logs and metrics.
type Reason string

// The reasons of a SinkError.
const (
	SinkNotFound       Reason = "SinkNotFound"       // no such object in the trigger's namespace
	SinkNotReady       Reason = "SinkNotReady"       // the object has no address yet
	SinkNotAddressable Reason = "SinkNotAddressable" // the object can never have an address
	SinkHostNotAllowed Reason = "SinkHostNotAllowed" // config-sinks does not list the host
	SinkInvalid        Reason = "SinkInvalid"        // neither a ref nor a usable URL
	SinkForbidden      Reason = "SinkForbidden"      // Revet may not read the object
)

// The reasons of a SendError.
const (
	SinkUnreachable Reason = "SinkUnreachable" // no answer
	SinkRefused     Reason = "SinkRefused"     // an answer other than 2xx
	RequestInvalid  Reason = "RequestInvalid"  // the request cannot be written as a CloudEvent
)

// SinkError says why a sink cannot be used, and what cures it.
type SinkError struct {
	Reason  Reason
	Message string
}

func (e *SinkError) Error() string { return string(e.Reason) + ": " + e.Message }

func sinkError(reason Reason, format string, args ...any) *SinkError {
	return &SinkError{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// SendError says why a request was not accepted.
type SendError struct {
	Reason Reason
	// Status is the answer's, or 0 without an answer.
	Status int
	// Permanent: the same request will be refused again.
	Permanent bool
	// MayHaveArrived: the sink may have taken the request, so that a sink which
	// cannot be confirmed must not be asked again. False only if no connection
	// was made, or if the sink answered that it refuses.
	MayHaveArrived bool
	// RetryAfter is what the sink asked for, bounded; 0 if nothing.
	RetryAfter time.Duration
	// Err is the cause without an answer.
	Err error
}

func (e *SendError) Error() string {
	switch {
	case e.Status >= 300 && e.Status < 400:
		return fmt.Sprintf("the sink answered %d %s; redirects are not followed: let the sink name its final address",
			e.Status, http.StatusText(e.Status))
	case e.Status != 0:
		return fmt.Sprintf("the sink answered %d %s", e.Status, http.StatusText(e.Status))
	default:
		return fmt.Sprintf("sending the request: %v", e.Err)
	}
}

// Unwrap returns the cause.
func (e *SendError) Unwrap() error { return e.Err }
