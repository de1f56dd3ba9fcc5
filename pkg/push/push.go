package push

import (
	"time"

	"github.com/revet-dev/revet/pkg/image"
)

// Kind is the kind of object that shows a repository's pushes.
type Kind string

// The kinds of repository. The zero value is invalid.
const (
	ImageStream Kind = "ImageStream" // an OpenShift ImageStream, read from the API server
	Registry    Kind = "Registry"    // a repository, read from its registry
)

// Repository is one incarnation of a repository.
type Repository struct {
	Kind Kind
	// Name is namespace/name of an ImageStream, or host/path of a repository.
	Name string
	// UID is the UID of the ImageStream. A recreated stream counts as another repository. UID is
	// empty for a repository in a registry.
	UID string
}

// Reason says why an item is a push.
type Reason string

// The reasons of a push. The zero value is invalid.
const (
	// NewHead: the tag is new or its head moved.
	NewHead Reason = "NewHead"
	// History: an older item that nothing showed before, because its event was missed.
	History Reason = "History"
)

// Push is one push of a digest to a tag.
type Push struct {
	Repository Repository
	Tag        string
	Digest     image.Digest
	// PushedAt is the item's creation time, to the second, in UTC.
	PushedAt time.Time
	// Pull is the repository to pull the digest from.
	Pull image.Repository
	// Names are the stream's.
	Names  []image.Repository
	Reason Reason
}

// String returns the push in readable form: repository:tag@digest time.
func (p Push) String() string {
	return p.Repository.Name + ":" + p.Tag + "@" + p.Digest.String() + " " + p.PushedAt.UTC().Format(time.RFC3339)
}

// SkipReason says why an item is not a push.
type SkipReason string

// The reasons of a skip.
const (
	InvalidTag    SkipReason = "InvalidTag"    // not a valid tag in the OCI specification
	InvalidDigest SkipReason = "InvalidDigest" // the item's image is not a digest
	// DigestUnsupported: the digest's algorithm is not SHA-256, so Revet cannot tell whether
	// something was pushed.
	DigestUnsupported SkipReason = "DigestUnsupported"
	InvalidTime       SkipReason = "InvalidTime" // the item has no creation time
	NoDigest          SkipReason = "NoDigest"    // the head has no digest: a reference, or a failed import
	NotRunnable       SkipReason = "NotRunnable" // a signature, attestation, SBOM or other artefact
)

// Skip is an item that Detect ignored. It does not affect other items.
type Skip struct {
	Repository Repository
	// Tag is copied from the object as it is, and may be hostile.
	Tag    string
	Digest image.Digest
	// Claimed is the digest that Revet cannot use, cut to 160 bytes.
	Claimed string
	// Created is the item's time, and Head says whether it is the first item of its tag. Both are
	// zero if Detect ignored the whole tag.
	Created time.Time
	Head    bool
	Reason  SkipReason
}
