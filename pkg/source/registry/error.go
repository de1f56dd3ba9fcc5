package registry

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/revet-dev/revet/pkg/source"
)

// errInvalid marks content that is wrong no matter who reads it, or how often.
var errInvalid = errors.New("invalid content")

// classify makes a *source.Refusal of an error that lasts, and says what was read: a
// reference, without credentials.
func classify(what string, err error) error {
	if err == nil {
		return nil
	}
	if reason := reason(err); reason != "" && source.ReasonOf(err) == "" {
		err = &source.Refusal{Reason: reason, Err: err}
	}
	return fmt.Errorf("reading %s: %w", what, err)
}

// reason returns why an error lasts. It returns the zero Reason for one that may pass.
func reason(err error) source.Reason {
	var refusal *source.Refusal
	var refused *notAllowedError
	var answer *transport.Error
	switch {
	case errors.As(err, &refusal):
		return refusal.Reason
	case errors.As(err, &refused):
		return source.NotAllowed
	case errors.Is(err, errInvalid):
		return source.Unreadable
	case !errors.As(err, &answer):
		return ""
	}
	switch answer.StatusCode {
	case http.StatusNotFound:
		return source.NotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return source.Denied
	default:
		return ""
	}
}
