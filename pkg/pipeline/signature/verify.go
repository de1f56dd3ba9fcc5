package signature

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/sigstore"
)

const (
	simpleSigningType = "cosign container image signature"
	signPredicate     = "https://sigstore.dev/cosign/sign/v1"
)

// errOther means that a bundle is something else, such as an attestation.
var errOther = errors.New("it is not a signature of an image")

// simpleSigning is the payload of the older form.
type simpleSigning struct {
	Critical struct {
		Image struct {
			Digest string `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
}

// verifySimple returns the key that signed digest, given the payload and the signature in base64.
func verifySimple(keys []Key, digest image.Digest, payload []byte, encoded string) (string, error) {
	sig, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", fmt.Errorf("its signature is not valid base64: %w", err)
	}
	// Verify the signature before parsing the payload.
	name, err := sigstore.Signer(keys, payload, sig)
	if err != nil {
		return "", err
	}
	var p simpleSigning
	if err := json.Unmarshal(payload, &p); err != nil {
		return "", fmt.Errorf("cannot read its payload: %w", err)
	}
	if p.Critical.Type != simpleSigningType {
		return "", fmt.Errorf("its payload is a %q, not a %q", clip(p.Critical.Type), simpleSigningType)
	}
	if p.Critical.Image.Digest != digest.String() {
		return "", fmt.Errorf("it signs %s, not %s", clip(p.Critical.Image.Digest), digest)
	}
	return name, nil
}

// verifyBundle returns the key that signed digest in a Sigstore bundle, or errOther. It checks the
// kind of a bundle before its version, because an unknown version matters only for signatures.
func verifyBundle(keys []Key, digest image.Digest, raw []byte) (string, error) {
	var b sigstore.Bundle
	if err := json.Unmarshal(raw, &b); err != nil {
		return "", fmt.Errorf("it is not a Sigstore bundle: %w", err)
	}
	switch {
	case b.Envelope == nil && b.Message != nil:
		return "", errOther // it signs some bytes, but no image
	case b.Envelope == nil || b.Message != nil:
		return "", errors.New("it is not a Sigstore bundle with a DSSE envelope")
	case b.Envelope.PayloadType != "" && b.Envelope.PayloadType != sigstore.StatementPayload:
		return "", errOther
	}
	payload, err := sigstore.DecodeBase64(b.Envelope.Payload)
	if err != nil {
		return "", fmt.Errorf("its payload is not valid base64: %w", err)
	}
	var s sigstore.Statement
	if b.Envelope.PayloadType == "" || json.Unmarshal(payload, &s) != nil {
		return "", fmt.Errorf("its payload, a %q, is not an in-toto statement", clip(b.Envelope.PayloadType))
	}
	if s.PredicateType != signPredicate {
		return "", errOther
	}
	if !b.Current() {
		return "", fmt.Errorf("it is a bundle of type %q, but Revet reads %s; sign again with a current cosign",
			clip(b.MediaType), sigstore.BundleType)
	}
	name, err := b.Envelope.Signer(keys, payload)
	if err != nil {
		return "", err
	}
	if !s.Known() {
		return "", fmt.Errorf("its statement has the type %q", clip(s.Type))
	}
	if !s.Names(digest.Hex()) {
		return "", fmt.Errorf("it signs something other than %s", digest)
	}
	return name, nil
}

// clip bounds how much a hostile value can add to a message.
func clip(s string) string { return image.Cut(s, 100) }
