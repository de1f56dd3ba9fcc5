package tekton

import "fmt"

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

// SinkError says why a sink cannot be used, and what cures it.
type SinkError struct {
	Reason  Reason
	Message string
}

func (e *SinkError) Error() string { return string(e.Reason) + ": " + e.Message }

func sinkError(reason Reason, format string, args ...any) *SinkError {
	return &SinkError{Reason: reason, Message: fmt.Sprintf(format, args...)}
}
