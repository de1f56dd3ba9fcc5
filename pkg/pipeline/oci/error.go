package oci

import (
	"errors"
	"fmt"
)

// Reason is a machine-readable word that says why content could not be judged.
type Reason string

// The reasons. The zero value is none of them.
const (
	// ReasonNotAnImage: the digest provably names something that cannot run.
	ReasonNotAnImage Reason = "NotAnImage"
	// ReasonUnreadable: a manifest or a configuration is malformed or ambiguous. Some runtime may
	// run it all the same.
	ReasonUnreadable Reason = "ContentUnreadable"
	// ReasonCorrupted: bytes do not match their digest or size.
	ReasonCorrupted Reason = "ContentCorrupted"
	// ReasonMissing: the registry does not have content that a manifest or the caller names.
	ReasonMissing Reason = "ContentMissing"
	// ReasonTooLarge: the content exceeds a limit.
	ReasonTooLarge Reason = "TooLarge"
	// ReasonTimedOut: time ran out, or the registry stopped sending.
	ReasonTimedOut Reason = "TimedOut"
	// ReasonDenied: the registry refused the credentials, or requires some.
	ReasonDenied Reason = "AccessDenied"
	// ReasonRefused: the registry led to an address that is not allowed.
	ReasonRefused Reason = "AddressRefused"
	// ReasonPushRefused: the registry refuses what is pushed, and would refuse it again.
	ReasonPushRefused Reason = "PushRefused"
	// ReasonRateLimited: the registry limits the rate of requests.
	ReasonRateLimited Reason = "RateLimited"
	// ReasonUnavailable: the registry cannot be reached or failed.
	ReasonUnavailable Reason = "RegistryUnavailable"
)

// Error says why content could not be judged.
type Error struct {
	Reason Reason
	// Subject names the content, for example "layer sha256:...".
	Subject string
	Err     error
}

// Error returns the reason, the subject and the cause in one line.
func (e *Error) Error() string {
	if e.Subject == "" {
		return fmt.Sprintf("%s: %v", e.Reason, e.Err)
	}
	return fmt.Sprintf("%s: %s: %v", e.Reason, e.Subject, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an Error about subject.
func Errorf(reason Reason, subject, format string, args ...any) *Error {
	return &Error{Reason: reason, Subject: subject, Err: fmt.Errorf(format, args...)}
}

// Within adds to an Error the content that led to its subject. The reason stays in front.
// Within returns other errors unchanged.
func Within(err error, parent string) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	return &Error{Reason: e.Reason, Subject: e.Subject + " of " + parent, Err: e.Err}
}
