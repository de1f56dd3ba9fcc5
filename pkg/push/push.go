package push

import (
	"time"

	"github.com/revet-dev/revet/pkg/image"
)

// Kind says what shows a repository's pushes.
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
	// UID is the ImageStream's UID: a stream that is made again is another
	// repository. Empty for a repository of a registry.
	UID string
}

// Reason says why something is a push.
type Reason string

// The reasons of a push. The zero value is invalid.
const (
	// NewHead: the tag is new or its head moved.
	NewHead Reason = "NewHead"
	// History: an item below the head that nothing earlier showed; its event was missed.
	History Reason = "History"
)

// Push is one push of a digest to a tag.
type Push struct {
	Repository Repository
	Tag        string
	Digest     image.Digest
	// PushedAt is the item's creation time, to the second, in UTC.
	PushedAt time.Time
	// Pull is where the digest is pulled from.
	Pull   image.Repository
	Reason Reason
}

// String returns the push for people: repository:tag@digest time.
func (p Push) String() string {
	return p.Repository.Name + ":" + p.Tag + "@" + p.Digest.String() + " " + p.PushedAt.UTC().Format(time.RFC3339)
}

// SkipReason says why an item is not a push.
type SkipReason string

// The reasons of a skip.
const (
	InvalidTag    SkipReason = "InvalidTag"    // not a tag by the OCI specification
	InvalidDigest SkipReason = "InvalidDigest" // the item's image is no digest
	// DigestUnsupported: the digest's algorithm is not SHA-256, so nobody can tell whether
	// something was pushed.
	DigestUnsupported SkipReason = "DigestUnsupported"
	InvalidTime       SkipReason = "InvalidTime" // the item has no creation time
	NoDigest          SkipReason = "NoDigest"    // the head has no digest: a reference, or a failed import
	NotRunnable       SkipReason = "NotRunnable" // a signature, attestation, SBOM or other artefact
)

// Skip is an item that was passed over. It never takes others down with it.
type Skip struct {
	Repository Repository
	// Tag is as it stood in the object, and may be hostile.
	Tag    string
	Digest image.Digest
	// Claimed is a digest that Revet cannot use, cut to 160 bytes.
	Claimed string
	// Created is the item's time, and Head says whether it is the first of its tag. Both
	// are zero for a tag that is passed over as a whole.
	Created time.Time
	Head    bool
	Reason  SkipReason
}
