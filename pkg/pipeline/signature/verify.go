package signature

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
)

const (
	simpleSigningType = "cosign container image signature"
	// The two spellings of the bundle version that cosign writes.
	bundleType       = "application/vnd.dev.sigstore.bundle.v0.3+json"
	bundleTypeOlder  = "application/vnd.dev.sigstore.bundle+json;version=0.3"
	statementPayload = "application/vnd.in-toto+json"
	signPredicate    = "https://sigstore.dev/cosign/sign/v1"
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
	name, err := signer(keys, payload, sig)
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

// bundle holds the fields that are read from a Sigstore bundle. It has one of the two contents.
type bundle struct {
	MediaType string          `json:"mediaType"`
	Envelope  *envelope       `json:"dsseEnvelope"`
	Message   json.RawMessage `json:"messageSignature"`
}

type envelope struct {
	Payload     string `json:"payload"`
	PayloadType string `json:"payloadType"`
	Signatures  []struct {
		Sig string `json:"sig"`
	} `json:"signatures"`
}

// statement holds the fields that are read from an in-toto statement.
type statement struct {
	Type    string `json:"_type"`
	Subject []struct {
		Digest map[string]string `json:"digest"`
	} `json:"subject"`
	PredicateType string `json:"predicateType"`
}

// verifyBundle returns the key that signed digest in a Sigstore bundle, or errOther. It checks the
// kind of a bundle before its version, because an unknown version matters only for signatures.
func verifyBundle(keys []Key, digest image.Digest, raw []byte) (string, error) {
	var b bundle
	if err := json.Unmarshal(raw, &b); err != nil {
		return "", fmt.Errorf("it is not a Sigstore bundle: %w", err)
	}
	switch {
	case b.Envelope == nil && b.Message != nil:
		return "", errOther // it signs some bytes, but no image
	case b.Envelope == nil || b.Message != nil:
		return "", errors.New("it is not a Sigstore bundle with a DSSE envelope")
	case b.Envelope.PayloadType != "" && b.Envelope.PayloadType != statementPayload:
		return "", errOther
	}
	payload, err := decodeBase64(b.Envelope.Payload)
	if err != nil {
		return "", fmt.Errorf("its payload is not valid base64: %w", err)
	}
	var s statement
	if b.Envelope.PayloadType == "" || json.Unmarshal(payload, &s) != nil {
		return "", fmt.Errorf("its payload, a %q, is not an in-toto statement", clip(b.Envelope.PayloadType))
	}
	if s.PredicateType != signPredicate {
		return "", errOther
	}
	if b.MediaType != bundleType && b.MediaType != bundleTypeOlder {
		return "", fmt.Errorf("it is a bundle of type %q, but Revet reads %s; sign again with a current cosign",
			clip(b.MediaType), bundleType)
	}
	name, err := b.Envelope.signer(keys, payload)
	if err != nil {
		return "", err
	}
	if s.Type != "https://in-toto.io/Statement/v1" && s.Type != "https://in-toto.io/Statement/v0.1" {
		return "", fmt.Errorf("its statement has the type %q", clip(s.Type))
	}
	for _, subject := range s.Subject {
		if subject.Digest["sha256"] == digest.Hex() {
			return name, nil
		}
	}
	return "", fmt.Errorf("it signs something other than %s", digest)
}

// signer returns the key that made one of the envelope's signatures.
func (e envelope) signer(keys []Key, payload []byte) (string, error) {
	const most = 16
	if len(e.Signatures) > most {
		return "", fmt.Errorf("its envelope has more than %d signatures", most)
	}
	for _, s := range e.Signatures {
		sig, err := decodeBase64(s.Sig)
		if err != nil {
			continue
		}
		if name, err := signer(keys, preAuthentication(e.PayloadType, payload), sig); err == nil {
			return name, nil
		}
	}
	return "", errUntrusted
}

// decodeBase64 accepts both alphabets, with or without padding. The protocol leaves that choice to
// the signer.
func decodeBase64(s string) ([]byte, error) {
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	return base64.RawStdEncoding.DecodeString(s)
}

// preAuthentication returns the bytes that a DSSE envelope signs, which the protocol calls "PAE".
func preAuthentication(payloadType string, payload []byte) []byte {
	return append(fmt.Appendf(nil, "DSSEv1 %d %s %d ", len(payloadType), payloadType, len(payload)), payload...)
}

// clip bounds how much a hostile value can add to a message.
func clip(s string) string { return image.Cut(s, 100) }
