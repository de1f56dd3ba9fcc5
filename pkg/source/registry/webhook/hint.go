package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/revet-dev/revet/pkg/image"
)

// Hint says that a tag of a repository may have moved.
type Hint struct {
	// ClaimedPath is the repository's path on its registry.
	ClaimedPath string
	// Tag is a tag by the OCI specification.
	Tag string
	// ClaimedDigest is what the tag is said to point to. It may be zero.
	ClaimedDigest    image.Digest
	ClaimedMediaType string
	ClaimedActor     string
	ClaimedID        string
	ClaimedTime      time.Time
}

// Repository returns the hint's repository on the registry at host.
func (h Hint) Repository(host string) (image.Repository, error) {
	return image.ParseRepository(host + "/" + h.ClaimedPath)
}

// IgnoreReason says why an event is no hint.
type IgnoreReason string

// The reasons to ignore an event.
const (
	NotPush     IgnoreReason = "NotPush"     // a pull, a mount or a delete
	NotManifest IgnoreReason = "NotManifest" // a blob
	Untagged    IgnoreReason = "Untagged"    // pushed by digest, as an index's children are
	InvalidTag  IgnoreReason = "InvalidTag"  // not a tag by the OCI specification
	InvalidPath IgnoreReason = "InvalidPath" // not a repository path
)

// Ignored is an event that is no hint.
type Ignored struct {
	// Position is the event's index in its body.
	Position int
	Reason   IgnoreReason
}

// DecodeReason says why a body was refused.
type DecodeReason string

// The reasons to refuse a body.
const (
	UnsupportedMediaType DecodeReason = "UnsupportedMediaType" // answer 415
	Malformed            DecodeReason = "Malformed"            // answer 400
)

// DecodeError is permanent: the same request can never be decoded.
type DecodeError struct {
	Reason DecodeReason
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("decoding a registry notification: %s: %v", e.Reason, e.Err)
}

// Unwrap returns the cause.
func (e *DecodeError) Unwrap() error { return e.Err }

// Decode reads one notification of a vendor's registry.
func Decode(v Vendor, r Request, body []byte) ([]Hint, []Ignored, error) {
	claims, err := v.Decode(r, body)
	if err != nil {
		return nil, nil, err
	}
	var hints []Hint
	var ignored []Ignored
	for i, c := range claims {
		h, reason := c.hint()
		if reason != "" {
			ignored = append(ignored, Ignored{Position: i, Reason: reason})
			continue
		}
		hints = append(hints, h)
	}
	return hints, ignored, nil
}

// maxClaimed bounds what a Hint carries for people.
const maxClaimed = 256

// hint checks a claim.
func (c Claim) hint() (Hint, IgnoreReason) {
	h := Hint{
		ClaimedPath: c.Repository, Tag: c.Tag, ClaimedTime: c.Time,
		ClaimedMediaType: image.Cut(c.MediaType, maxClaimed),
		ClaimedActor:     image.Cut(c.Actor, maxClaimed),
		ClaimedID:        image.Cut(c.ID, maxClaimed),
	}
	// Any host serves to check the path. The operator says which one the registry has.
	_, err := h.Repository("registry.invalid")
	switch {
	case c.Ignore != "":
		return Hint{}, c.Ignore
	case c.Tag == "":
		return Hint{}, Untagged
	case !image.ValidTag(c.Tag):
		return Hint{}, InvalidTag
	case err != nil:
		return Hint{}, InvalidPath
	}
	if d, err := image.ParseDigest(c.Digest); err == nil {
		h.ClaimedDigest = d
	}
	return h, ""
}

// decodeOne reads exactly one JSON value.
func decodeOne(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the body is empty")
		}
		return &DecodeError{Malformed, err}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &DecodeError{Malformed, errors.New("more follows the first JSON value")}
	}
	return nil
}
