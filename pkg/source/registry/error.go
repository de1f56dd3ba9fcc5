package registry

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Reason says why a read failed.
type Reason string

// The reasons. The zero value is no failure.
const (
	NotFound    Reason = "NotFound"    // the registry does not have it
	Denied      Reason = "Denied"      // the account may not read it
	NotAllowed  Reason = "NotAllowed"  // the operator does not list the host for the namespace
	Invalid     Reason = "Invalid"     // too large, undecodable, or not the digest asked for
	RateLimited Reason = "RateLimited" // it was asked too much; a Limited tells until when to wait
	Unavailable Reason = "Unavailable" // no answer, or one that a retry may cure
)

// Error is a failed read.
type Error struct {
	Reason Reason
	// What was read, for people: a reference, without credentials.
	What string
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("reading %s: %s: %v", e.What, e.Reason, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ReasonOf returns why a read failed; Unavailable for an error that is not
// this package's, and nothing for nil.
func ReasonOf(err error) Reason {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return Unavailable
}

// errInvalid marks content that is wrong whoever reads it, however often.
var errInvalid = errors.New("invalid content")

func classify(what string, err error) error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	return &Error{Reason: reason(err), What: what, Err: err}
}

func reason(err error) Reason {
	var refused *notAllowedError
	var answer *transport.Error
	var limited *Limited
	switch {
	case errors.As(err, &refused):
		return NotAllowed
	case errors.Is(err, errInvalid):
		return Invalid
	case errors.As(err, &limited):
		return RateLimited
	case !errors.As(err, &answer):
		return Unavailable
	}
	switch answer.StatusCode {
	case http.StatusNotFound:
		return NotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return Denied
	default:
		return Unavailable
	}
}
