package fetch

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// ClassifyPush is Classify for pushes. A refusal that another attempt would meet again is
// ReasonPushRefused.
func ClassifyPush(subject string, err error) error {
	var status *transport.Error
	switch {
	case !Refused(err) || !errors.As(err, &status):
		return classify(subject, err)
	case status.StatusCode == http.StatusRequestEntityTooLarge:
		return oci.Errorf(oci.ReasonPushRefused, subject,
			"the registry, or a proxy in front of it, refuses requests of this size; raise its limit on request bodies: %w", err)
	default:
		return oci.Errorf(oci.ReasonPushRefused, subject,
			"the registry refuses it, and would again; ask whoever runs the registry whether it accepts such artefacts: %w", err)
	}
}

// Repeatable reports whether a push that failed with err may succeed if it is retried soon. The
// client library asks it; without it, the library would retry every status from 500 up.
func Repeatable(err error) bool {
	var status *transport.Error
	if errors.As(err, &status) && Refused(err) {
		return false
	}
	var temporary interface{ Temporary() bool }
	if errors.As(err, &temporary) && temporary.Temporary() {
		return true
	}
	return slices.ContainsFunc([]error{io.ErrUnexpectedEOF, io.EOF, syscall.EPIPE, syscall.ECONNRESET, net.ErrClosed},
		func(target error) bool { return errors.Is(err, target) })
}

// Refused reports whether a registry refused a push for good. Either the status says so, or the
// error text says that the content is invalid: OpenShift's registry answers 500 if the image API
// refuses an object.
func Refused(err error) bool {
	var status *transport.Error
	if !errors.As(err, &status) {
		return false
	}
	switch code := status.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusNotFound, code == http.StatusGone:
		return false // another reason
	case code == http.StatusRequestTimeout, code == http.StatusConflict, code == http.StatusTooEarly, code == http.StatusTooManyRequests:
		return false // may be temporary
	case code >= 400 && code < 500, code == http.StatusNotImplemented:
		return true
	case code == http.StatusInternalServerError:
		return slices.ContainsFunc(status.Errors, invalid)
	default:
		return false
	}
}

// invalid reports whether a diagnostic is about the content rather than the registry.
func invalid(d transport.Diagnostic) bool {
	switch d.Code {
	case transport.ManifestInvalidErrorCode, transport.ManifestBlobUnknownErrorCode, transport.ManifestUnverifiedErrorCode,
		transport.DigestInvalidErrorCode, transport.SizeInvalidErrorCode, transport.NameInvalidErrorCode,
		transport.TagInvalidErrorCode, transport.UnsupportedErrorCode:
		return true
	default:
		// Kubernetes' validation writes: Image "sha256:..." is invalid: ...
		text := d.Message + " " + fmt.Sprint(d.Detail)
		return strings.Contains(text, " is invalid: ") || strings.Contains(text, "reason:Invalid")
	}
}
