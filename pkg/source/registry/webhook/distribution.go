package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
)

// The media types of CNCF Distribution's notifications.
const (
	DistributionV1 = "application/vnd.docker.distribution.events.v1+json"
	DistributionV2 = "application/vnd.docker.distribution.events.v2+json"
)

// Hint says that a tag of a repository may have moved.
type Hint struct {
	// ClaimedPath is the repository's path on its registry.
	ClaimedPath string
	// Tag is a tag by the OCI specification.
	Tag string
	// ClaimedDigest is what the tag is said to point to; it may be zero.
	ClaimedDigest image.Digest
	// ClaimedMediaType is the manifest's.
	ClaimedMediaType string
}

// Repository returns the hint's repository on the registry at host.
func (h Hint) Repository(host string) (image.Repository, error) {
	return image.ParseRepository(host + "/" + h.ClaimedPath)
}

// IgnoreReason says why an event is no hint.
type IgnoreReason string

// The reasons an event is ignored.
const (
	NotPush       IgnoreReason = "NotPush"       // a pull, a mount or a delete
	NotManifest   IgnoreReason = "NotManifest"   // a blob
	Untagged      IgnoreReason = "Untagged"      // pushed by digest, as an index's children are
	InvalidTag    IgnoreReason = "InvalidTag"    // not a tag by the OCI specification
	InvalidPath   IgnoreReason = "InvalidPath"   // not a repository path
	InvalidDigest IgnoreReason = "InvalidDigest" // the claimed digest is none
)

// Ignored is an event that is no hint.
type Ignored struct {
	// Position is the event's index in its envelope.
	Position int
	Reason   IgnoreReason
}

// DecodeReason says why an envelope was refused.
type DecodeReason string

// The reasons an envelope is refused.
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

// envelope is what of a notification is read.
type envelope struct {
	Events *[]struct {
		Action string `json:"action"`
		Target struct {
			MediaType  string `json:"mediaType"`
			Digest     string `json:"digest"`
			Repository string `json:"repository"`
			Tag        string `json:"tag"`
		} `json:"target"`
	} `json:"events"`
}

// Decode reads one notification request.
func Decode(contentType string, body []byte) ([]Hint, []Ignored, error) {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil || (mediaType != DistributionV1 && mediaType != DistributionV2) {
		return nil, nil, &DecodeError{UnsupportedMediaType, fmt.Errorf(
			"content type %q; accepted are %q and %q", image.Cut(contentType, 80), DistributionV1, DistributionV2)}
	}
	var e envelope
	if err := decodeOne(body, &e); err != nil {
		return nil, nil, &DecodeError{Malformed, err}
	}
	if e.Events == nil {
		return nil, nil, &DecodeError{Malformed, errors.New(`there is no "events" list`)}
	}
	var hints []Hint
	var ignored []Ignored
	for i, event := range *e.Events {
		h := Hint{
			ClaimedPath:      event.Target.Repository,
			Tag:              event.Target.Tag,
			ClaimedMediaType: event.Target.MediaType,
		}
		if reason := h.read(event.Action, event.Target.Digest); reason != "" {
			ignored = append(ignored, Ignored{Position: i, Reason: reason})
			continue
		}
		hints = append(hints, h)
	}
	return hints, ignored, nil
}

// read completes the hint, or says why the event is none.
func (h *Hint) read(action, digest string) IgnoreReason {
	switch {
	case action != "push":
		return NotPush
	case !isManifest(h.ClaimedMediaType):
		return NotManifest
	case h.Tag == "":
		return Untagged
	case !image.ValidTag(h.Tag):
		return InvalidTag
	}
	// Any host serves to check the path; the real one is the operator's word.
	if _, err := h.Repository("registry.invalid"); err != nil {
		return InvalidPath
	}
	if digest == "" {
		return ""
	}
	d, err := image.ParseDigest(digest)
	if err != nil {
		return InvalidDigest
	}
	h.ClaimedDigest = d
	return ""
}

// isManifest is false only for what registries call blobs: a manifest of a kind
// that is not known here may be one of tomorrow's.
func isManifest(mediaType string) bool {
	return mediaType != "" && mediaType != "application/octet-stream" &&
		!strings.Contains(mediaType, ".image.layer.") && !strings.Contains(mediaType, ".rootfs.")
}

// decodeOne reads exactly one JSON value.
func decodeOne(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("the body is empty")
		}
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the first JSON value")
	}
	return nil
}
