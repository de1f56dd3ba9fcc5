package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/image"
)

// The media types of CNCF Distribution's notifications.
const (
	DistributionV1 = "application/vnd.docker.distribution.events.v1+json"
	DistributionV2 = "application/vnd.docker.distribution.events.v2+json"
)

// distribution is CNCF Distribution, and what is built on it: its notifications, in both
// of their media types.
type distribution struct{}

// Proof implements Vendor. The operator configures the header.
func (distribution) Proof(r Request) (Proof, error) { return authorization(r.Header) }

// Decode implements Vendor.
func (distribution) Decode(r Request, body []byte) ([]Claim, error) {
	contentType := r.Header.Get("Content-Type")
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil || (mediaType != DistributionV1 && mediaType != DistributionV2) {
		return nil, &DecodeError{UnsupportedMediaType, fmt.Errorf(
			"content type %q; accepted are %q and %q", image.Cut(contentType, 80), DistributionV1, DistributionV2)}
	}
	var envelope struct {
		Events *[]distributionEvent `json:"events"`
	}
	if err := decodeOne(body, &envelope); err != nil {
		return nil, err
	}
	if envelope.Events == nil {
		return nil, &DecodeError{Malformed, errors.New(`the body has no "events" list`)}
	}
	var claims []Claim
	for _, e := range *envelope.Events {
		claims = append(claims, e.claim())
	}
	return claims, nil
}

// distributionEvent is what Revet reads of an event.
type distributionEvent struct {
	ID        string      `json:"id"`
	Timestamp lenientTime `json:"timestamp"`
	Action    string      `json:"action"`
	Target    struct {
		MediaType  string `json:"mediaType"`
		Digest     string `json:"digest"`
		Repository string `json:"repository"`
		Tag        string `json:"tag"`
	} `json:"target"`
	Actor struct {
		Name string `json:"name"`
	} `json:"actor"`
}

func (e distributionEvent) claim() Claim {
	c := Claim{
		Repository: e.Target.Repository, Tag: e.Target.Tag, Digest: e.Target.Digest, MediaType: e.Target.MediaType,
		Actor: e.Actor.Name, ID: e.ID, Time: time.Time(e.Timestamp),
	}
	switch {
	case e.Action != "push":
		c.Ignore = NotPush
	case c.Tag == "" && isBlob(c.MediaType):
		c.Ignore = NotManifest
	}
	return c
}

// isBlob is true for what Distribution calls its blobs. Only manifests have tags, so that
// the type of an event with a tag does not matter.
func isBlob(mediaType string) bool {
	return mediaType == "" || mediaType == "application/octet-stream" ||
		strings.Contains(mediaType, ".image.layer.") || strings.Contains(mediaType, ".rootfs.")
}

// lenientTime is a time for people: one that cannot be read is zero, and no reason to
// lose an event.
type lenientTime time.Time

// UnmarshalJSON implements json.Unmarshaler.
func (t *lenientTime) UnmarshalJSON(raw []byte) error {
	var parsed time.Time
	if json.Unmarshal(raw, &parsed) == nil {
		*t = lenientTime(parsed)
	}
	return nil
}
