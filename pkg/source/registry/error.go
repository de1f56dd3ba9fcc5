package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

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
	var private *privateAddressError
	var answer *transport.Error
	switch {
	case errors.As(err, &refusal):
		return refusal.Reason
	case errors.As(err, &refused), errors.As(err, &private):
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

// untrusted returns the refusal of a registry whose TLS is not what it should be, with what
// to do about it, and any other error as it is. It must look before reason does: at a host
// that looks local, the client library tries plain HTTP too, which the guard refuses.
func untrusted(err error) error {
	host := hostOf(err)
	if errors.Is(err, http.ErrSchemeMismatch) {
		return &source.Refusal{Reason: source.NotAllowed, Err: fmt.Errorf(
			`host %q speaks plain HTTP, and the ConfigMap config-registries lists it as HTTPS; if plain HTTP is meant, add "insecure: true" to its entry`, host)}
	}
	var certificate *tls.CertificateVerificationError
	if !errors.As(err, &certificate) {
		return err
	}
	cure := fmt.Sprintf("let the registry serve a valid certificate for %q", host)
	if errors.As(certificate.Err, new(x509.UnknownAuthorityError)) {
		cure = "to add your certificate authority: kubectl create configmap registry-certificates -n revet-system --from-file=" +
			strings.ReplaceAll(host, ":", "..") + "=ca.crt"
	}
	return &source.Refusal{Reason: source.Untrusted, Err: fmt.Errorf("the certificate of host %q: %w; %s", host, certificate.Err, cure)}
}

// hostOf returns the host that a request failed at.
func hostOf(err error) string {
	var failed *url.Error
	if !errors.As(err, &failed) {
		return ""
	}
	u, err := url.Parse(failed.URL)
	if err != nil {
		return ""
	}
	return u.Host
}
