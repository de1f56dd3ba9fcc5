package attestation

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/sigstore"
)

// ErrOther means that a bundle states something other than a verification summary.
var ErrOther = errors.New("it is no verification summary")

// ErrResult means that a trusted key signed a verdict about this image that is not PASSED. It
// outweighs every other summary.
var ErrResult = errors.New("a trusted key signed a verdict that is not " + passed)

// Expectation is what a consumer asks of a signed verdict.
type Expectation struct {
	// Keys are those that the consumer trusts. Without one, nothing verifies.
	Keys []sigstore.Key
	// Image is what was pulled, from where.
	Image image.Reference
	// MaxAge is how old a verdict may be; 0 asks nothing.
	MaxAge time.Duration
	// Cluster and Policy are the audience and the policy's URI; empty asks nothing.
	Cluster, Policy string
	// Levels are those that the summary must claim.
	Levels []string
	Now    time.Time
}

// futureSkew is by how much clocks may differ.
const futureSkew = 5 * time.Minute

// maxPayload bounds the statements that are read. One of Revet's takes a few kilobytes.
const maxPayload = 1 << 20

// Verified is a summary whose signature, subject and contents are as expected.
type Verified struct {
	Summary Summary
	// Key is the name of the key that signed.
	Key string
}

// Verify checks one bundle. ErrOther and sigstore.ErrUntrusted mean that it is somebody
// else's, and says nothing; any other error means that a trusted key signed something that
// does not hold.
func Verify(bundle []byte, want Expectation) (Verified, error) {
	payload, envelope, err := open(bundle)
	if err != nil {
		return Verified{}, err
	}
	key, err := envelope.Signer(want.Keys, payload)
	if err != nil {
		return Verified{}, err
	}
	// Nothing of the payload was believed up to here.
	var s sigstore.Statement
	if err := json.Unmarshal(payload, &s); err != nil {
		return Verified{}, fmt.Errorf("its statement cannot be read: %w", err)
	}
	var summary Summary
	switch {
	case s.PredicateType != PredicateType:
		return Verified{}, ErrOther
	case !s.Known():
		return Verified{}, fmt.Errorf("its statement has the type %q", image.Cut(s.Type, 100))
	case !s.Names(want.Image.Digest().Hex()):
		return Verified{}, fmt.Errorf("it is about something other than %s", want.Image.Digest())
	}
	if err := json.Unmarshal(s.Predicate, &summary); err != nil {
		return Verified{}, fmt.Errorf("its summary cannot be read: %w", err)
	}
	if err := want.check(summary); err != nil {
		return Verified{}, err
	}
	return Verified{Summary: summary, Key: key}, nil
}

// open returns the payload of a bundle, of which nothing is verified yet.
func open(bundle []byte) ([]byte, sigstore.Envelope, error) {
	var b sigstore.Bundle
	if err := json.Unmarshal(bundle, &b); err != nil || b.Envelope == nil || !b.Current() {
		return nil, sigstore.Envelope{}, ErrOther
	}
	if b.Envelope.PayloadType != sigstore.StatementPayload || len(b.Envelope.Payload) > maxPayload {
		return nil, sigstore.Envelope{}, ErrOther
	}
	payload, err := sigstore.DecodeBase64(b.Envelope.Payload)
	if err != nil {
		return nil, sigstore.Envelope{}, ErrOther
	}
	return payload, *b.Envelope, nil
}

func (want Expectation) check(s Summary) error {
	age := want.Now.Sub(s.TimeVerified)
	switch {
	case s.Result != passed:
		return fmt.Errorf("%w: it says %q", ErrResult, image.Cut(s.Result, 100))
	case s.ResourceURI != ResourceURI(want.Image.Repository()):
		return fmt.Errorf("it is about an image in %q, and this one is in %q", image.Cut(s.ResourceURI, 300), ResourceURI(want.Image.Repository()))
	case s.TimeVerified.IsZero():
		return errors.New("it does not say when the image was verified")
	case age < -futureSkew:
		return fmt.Errorf("it claims to be of %s, which has not come; check the clocks", s.TimeVerified.UTC().Format(time.RFC3339))
	case want.MaxAge > 0 && age > want.MaxAge:
		return fmt.Errorf("it is %s old, and may be %s", age.Round(time.Minute), want.MaxAge)
	case want.Cluster != "" && s.Looked.Cluster != want.Cluster:
		return fmt.Errorf("it is for the cluster %q, and not for %q", image.Cut(s.Looked.Cluster, 300), want.Cluster)
	case want.Policy != "" && s.Policy.URI != want.Policy:
		return fmt.Errorf("it follows the policy %q, and not %q", image.Cut(s.Policy.URI, 300), want.Policy)
	}
	for _, level := range want.Levels {
		if !slices.Contains(s.VerifiedLevels, level) {
			return fmt.Errorf("it does not claim %s", level)
		}
	}
	return nil
}

// NotChecked says in sentences what a summary that holds leaves open, and what the consumer
// did not ask.
func (want Expectation) NotChecked(s Summary) []string {
	open := []string{
		"No transparency log was asked: whoever has the key can sign, and nobody would see it.",
		"Nobody compared the policy's digest, or opened the report and the inventory that it names.",
	}
	add := func(missing bool, format string, args ...any) {
		if missing {
			open = append(open, fmt.Sprintf(format, args...))
		}
	}
	l := s.Looked
	add(want.MaxAge <= 0, "Its age was not bounded: give --max-age.")
	add(want.Cluster == "", "Any cluster may have verified it: give --cluster.")
	add(want.Policy == "", "Any policy may have decided: give --policy.")
	add(len(l.Checks) == 0, "It does not say which checks looked at the image.")
	for _, check := range l.Off {
		add(true, "The check %q was off.", image.Cut(check, 32))
	}
	add(l.Unselected > 0, "%d images of the index were not looked at.", l.Unselected)
	add(len(l.Platforms) == 0 || l.PlatformsOmitted > 0, "It does not list every platform that was looked at.")
	add(l.Database == nil, "It names no vulnerability database.")
	add(l.Database != nil && l.Database.AsOf == nil, "It does not say how old the vulnerability database was.")
	add(!slices.Contains(s.VerifiedLevels, levelSandboxed), "The run did not execute in a sandbox.")
	return open
}
