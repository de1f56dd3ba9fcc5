package attestation

import (
	"context"
	"fmt"
	"time"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/sigstore"
)

// Bundle is a signed statement, as it is attached to an image.
type Bundle struct {
	// Content is a Sigstore bundle of version 0.3.
	Content []byte
	// Digest is that of Content.
	Digest image.Digest
	// Key is the id of the key that signed.
	Key string
}

// Sign signs a statement.
func Sign(ctx context.Context, s Statement, by Signer) (Bundle, error) {
	if len(s.Payload) == 0 {
		return Bundle{}, ErrNotPassed
	}
	sig, err := by.Sign(ctx, sigstore.PreAuthentication(sigstore.StatementPayload, s.Payload))
	if err != nil {
		return Bundle{}, fmt.Errorf("sign with the key %q: %w", by.ID(), err)
	}
	raw, err := sigstore.NewBundle(by.ID(), sigstore.StatementPayload, s.Payload, sig)
	if err != nil {
		return Bundle{}, err
	}
	return Bundle{Content: raw, Digest: image.DigestOf(raw), Key: by.ID()}, nil
}

// Annotations are those that cosign puts on the manifest of a bundle. They say nothing that
// the statement does not, so that the same statement always has the same manifest.
func (s Statement) Annotations() map[string]string {
	return map[string]string{
		sigstore.ContentAnnotation:         sigstore.ContentEnvelope,
		sigstore.PredicateAnnotation:       PredicateType,
		"org.opencontainers.image.created": s.At.UTC().Format(time.RFC3339),
	}
}

// Kind tells apart what must not replace one another beside an image: statements of different
// policies, and of one policy about different indexes that share the image.
func (s Statement) Kind() string { return PredicateType + "#" + s.Policy + "@" + s.Subjects[0].Hex() }
