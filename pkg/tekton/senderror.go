package tekton

import (
	"fmt"
	"net/http"
	"time"

	"github.com/revet-dev/revet/pkg/lifecycle"
)

// SendError says why a sink did not accept a request, and what may follow from it.
//
//	Reason            the request          sending it again
//	SinkUnreachable   did not arrive       may succeed
//	SinkRefused       started nothing      may succeed, unless the error is Permanent
//	SinkSilent        may have arrived     may start a second run, unless the run can be confirmed
//	SinkInvalid       cannot be sent       cannot succeed: the error is Permanent
type SendError struct {
	Reason lifecycle.Reason
	// Status is the HTTP status of the answer, or 0 without an answer.
	Status int
	// RetryAfter is how long the sink asked for no requests, bounded; 0 if it did not.
	RetryAfter time.Duration
	// Err is the cause without an answer.
	Err error
}

// Permanent reports whether the same request will fail again until somebody changes
// the sink or the trigger: the request cannot be sent, or the sink refuses it as such
// (400, 403, a redirect). A 404 is not permanent, because routers and listeners
// answer it while they start.
func (e *SendError) Permanent() bool {
	return e.Reason == lifecycle.SinkInvalid || e.Status != 0 && !retryable(e.Status)
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

// answered is the error of an answer that accepts nothing.
func answered(status int, retryAfter time.Duration) *SendError {
	e := &SendError{Reason: lifecycle.SinkRefused, Status: status, RetryAfter: retryAfter}
	if status >= 500 {
		e.Reason = lifecycle.SinkSilent // a proxy may answer so after it passed the request on
	}
	return e
}

// retryable lists the answers that the same request may not get again.
func retryable(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict,
		http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	default:
		return status >= 500
	}
}
