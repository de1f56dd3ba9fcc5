package sigstore

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

const (
	// BundleType is the media type of a bundle of version 0.3, and of the artefact that
	// carries it.
	BundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	// bundleTypeOlder is the other spelling that cosign writes.
	bundleTypeOlder = "application/vnd.dev.sigstore.bundle+json;version=0.3"
	// BundlePrefix begins the media types of bundles of every version.
	BundlePrefix = "application/vnd.dev.sigstore.bundle"
	// StatementPayload is the type of an envelope's payload that is an in-toto statement.
	StatementPayload = "application/vnd.in-toto+json"
	// ContentAnnotation is on the manifest of a bundle, and says what the bundle holds.
	ContentAnnotation = "dev.sigstore.bundle.content"
	// PredicateAnnotation says there which predicate the statement in it has.
	PredicateAnnotation = "dev.sigstore.bundle.predicateType"
	// ContentEnvelope is the value of ContentAnnotation for a DSSE envelope.
	ContentEnvelope = "dsse-envelope"
)

// Bundle holds the fields that are read from a Sigstore bundle. It has one of the two
// contents.
type Bundle struct {
	MediaType string          `json:"mediaType"`
	Envelope  *Envelope       `json:"dsseEnvelope"`
	Message   json.RawMessage `json:"messageSignature"`
}

// Envelope is a DSSE envelope.
type Envelope struct {
	Payload     string      `json:"payload"`
	PayloadType string      `json:"payloadType"`
	Signatures  []Signature `json:"signatures"`
}

// Signature is one signature of an envelope, in base64.
type Signature struct {
	Sig string `json:"sig"`
}

// Current reports whether the bundle is of a version that counts, in either of the
// spellings that cosign writes.
func (b Bundle) Current() bool { return b.MediaType == BundleType || b.MediaType == bundleTypeOlder }

// NewBundle returns the bytes of a bundle with one signature by the key of the given hint.
// The same input always gives the same bytes.
func NewBundle(hint, payloadType string, payload, sig []byte) ([]byte, error) {
	if hint == "" || payloadType == "" || len(payload) == 0 || len(sig) == 0 {
		return nil, errors.New("a bundle needs a hint, a payload with its type, and a signature")
	}
	type publicKey struct {
		Hint string `json:"hint"`
	}
	type material struct {
		PublicKey publicKey `json:"publicKey"`
	}
	raw, err := json.Marshal(struct {
		MediaType string   `json:"mediaType"`
		Material  material `json:"verificationMaterial"`
		Envelope  Envelope `json:"dsseEnvelope"`
	}{
		BundleType, material{publicKey{hint}},
		Envelope{
			Payload: base64.StdEncoding.EncodeToString(payload), PayloadType: payloadType,
			Signatures: []Signature{{base64.StdEncoding.EncodeToString(sig)}},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("encode the bundle: %w", err)
	}
	return raw, nil
}

// Statement holds the fields that are read from an in-toto statement.
type Statement struct {
	Type          string          `json:"_type"`
	Subject       []Subject       `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// Subject is something that a statement is about.
type Subject struct {
	Digest map[string]string `json:"digest"`
}

// StatementType is the type of the statements that Revet writes.
const StatementType = "https://in-toto.io/Statement/v1"

// Known reports whether the statement is of a version that counts.
func (s Statement) Known() bool {
	return s.Type == StatementType || s.Type == "https://in-toto.io/Statement/v0.1"
}

// Names reports whether the statement is about the SHA-256 digest with this hex.
func (s Statement) Names(hex string) bool {
	for _, subject := range s.Subject {
		if hex != "" && subject.Digest["sha256"] == hex {
			return true
		}
	}
	return false
}

// maxSignatures bounds the signatures of one envelope that are tried.
const maxSignatures = 16

// Signer returns the name of the key that made one of the envelope's signatures over payload,
// which is the envelope's payload, decoded.
func (e Envelope) Signer(keys []Key, payload []byte) (string, error) {
	if len(e.Signatures) > maxSignatures {
		return "", fmt.Errorf("its envelope has more than %d signatures", maxSignatures)
	}
	for _, s := range e.Signatures {
		sig, err := DecodeBase64(s.Sig)
		if err != nil {
			continue
		}
		if name, err := Signer(keys, PreAuthentication(e.PayloadType, payload), sig); err == nil {
			return name, nil
		}
	}
	return "", ErrUntrusted
}

// DecodeBase64 accepts both alphabets, with or without padding. The protocol leaves that
// choice to the signer.
func DecodeBase64(s string) ([]byte, error) {
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	return base64.RawStdEncoding.DecodeString(s)
}

// PreAuthentication returns the bytes that a DSSE envelope signs, which the protocol calls
// "PAE".
func PreAuthentication(payloadType string, payload []byte) []byte {
	return append(fmt.Appendf(nil, "DSSEv1 %d %s %d ", len(payloadType), payloadType, len(payload)), payload...)
}
