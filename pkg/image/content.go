package image

import (
	"regexp"
	"strings"
)

// ContentKind says what a digest names. The zero value is "not known".
type ContentKind string

// The kinds of content.
const (
	ContentUnknown ContentKind = ""      // nothing was read, or nothing that tells
	ContentIndex   ContentKind = "Index" // a manifest list or image index
	ContentImage   ContentKind = "Image" // a single manifest
)

// Content is what was read of a digest, as far as it tells whether the digest
// can run as a container. The zero value is "nothing known", which is runnable.
type Content struct {
	Kind ContentKind
	// LayerTypes are the media types of a single manifest's layers.
	LayerTypes []string
	// Architecture is what the image configuration declares. It is left empty if
	// the manifest's config is not an image configuration.
	Architecture string
	// Command is true if the configuration has an entry point or a command.
	Command bool
	// Children are an index's manifests; one that was not read is the zero value.
	Children []Content
}

// Runnability is why content is, or is not, something to verify.
type Runnability string

// The reasons. Everything but NoRootFS, Attachment and NoRunnableChild is
// runnable, the zero value and unknown values included.
const (
	// NothingKnown: not read; what is not known is verified.
	NothingKnown Runnability = "NothingKnown"
	// HasRootFS: at least one layer is a root file system's.
	HasRootFS Runnability = "HasRootFS"
	// DeclaresPlatform: no layer is known as a root file system's, but the
	// configuration declares an architecture or a command. A media type is its
	// pusher's claim, and some runtimes unpack layers whatever they are called.
	DeclaresPlatform Runnability = "DeclaresPlatform"
	// HasRunnableChild: an index with a child that is runnable, or was not read.
	HasRunnableChild Runnability = "HasRunnableChild"
	// NoRootFS: no layer of a root file system, and a configuration that
	// declares neither architecture nor command: an artefact.
	NoRootFS Runnability = "NoRootFS"
	// Attachment: a configuration that declares neither architecture nor
	// command, under a tag that names it as the signature, attestation or SBOM
	// of another digest. Only both together: older tools wrap such payloads into
	// an ordinary tar+gzip layer, and a tag alone is anybody's to choose. What
	// declares no architecture is refused by containerd's platform match.
	Attachment Runnability = "Attachment"
	// NoRunnableChild: an index all of whose children were read and cannot run,
	// such as the list that OCI keeps of a digest's referrers.
	NoRunnableChild Runnability = "NoRunnableChild"
)

// Runnable reports whether the reason means that there is something to verify.
func (r Runnability) Runnable() bool {
	switch r {
	case NoRootFS, Attachment, NoRunnableChild:
		return false
	default:
		// NothingKnown and the other reasons; a value that is not known here
		// fails closed, which is to verify.
		return true
	}
}

// Runnability decides whether content, pushed under tag, can run.
func (c Content) Runnability(tag string) Runnability {
	switch c.Kind {
	case ContentIndex:
		return c.indexRunnability(tag)
	case ContentImage:
		return c.imageRunnability(tag)
	default:
		return NothingKnown
	}
}

// Runnable reports whether content, pushed under tag, can run as a container.
func (c Content) Runnable(tag string) bool { return c.Runnability(tag).Runnable() }

func (c Content) indexRunnability(tag string) Runnability {
	if len(c.Children) == 0 {
		return NothingKnown // the list may just not have been read
	}
	for _, child := range c.Children {
		if child.Runnable(tag) {
			return HasRunnableChild
		}
	}
	return NoRunnableChild
}

func (c Content) imageRunnability(tag string) Runnability {
	declares := c.Command || (c.Architecture != "" && c.Architecture != unknownPlatform)
	for _, t := range c.LayerTypes {
		if !IsRootFSLayer(t) {
			continue
		}
		if !declares && attachmentTag.MatchString(tag) {
			return Attachment
		}
		return HasRootFS
	}
	if declares {
		return DeclaresPlatform
	}
	return NoRootFS
}

// unknownPlatform is what BuildKit writes where an attestation has no platform.
const unknownPlatform = "unknown"

// attachmentTag is the scheme by which cosign attaches a payload to a digest.
var attachmentTag = regexp.MustCompile(`^sha256-[0-9a-f]{64}\.(?:sig|att|sbom)$`)

// rootFSTypes are the media types of root-file-system layers, before what
// names the compression or encryption: ".gzip", "+gzip", "+zstd", "+encrypted".
var rootFSTypes = []string{
	"application/vnd.oci.image.layer.v1.tar",
	"application/vnd.oci.image.layer.nondistributable.v1.tar",
	"application/vnd.docker.image.rootfs.diff.tar",
	"application/vnd.docker.image.rootfs.foreign.diff.tar",
}

// IsRootFSLayer reports whether a media type names a root-file-system layer.
func IsRootFSLayer(mediaType string) bool {
	for _, t := range rootFSTypes {
		rest, ok := strings.CutPrefix(mediaType, t)
		if ok && (rest == "" || rest[0] == '+' || rest[0] == '.') {
			return true
		}
	}
	return false
}
