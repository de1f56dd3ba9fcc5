package image

import "fmt"

// ContentKind says what a digest names. The zero value is "not known".
type ContentKind string

// The kinds of content.
const (
	ContentUnknown ContentKind = ""      // nothing was read, or nothing that tells
	ContentIndex   ContentKind = "Index" // a manifest list or image index
	ContentImage   ContentKind = "Image" // a single manifest, of an image or an artefact
	ContentBlob    ContentKind = "Blob"  // bytes that are no manifest at all
)

// Content is what was read of a digest, as far as it tells whether the digest
// can run as a container. The zero value is "nothing known", which is runnable.
type Content struct {
	Kind ContentKind
	// ConfigType is the media type that a single manifest declares its config to have.
	ConfigType string
	// OtherConfig is true if the config of a single manifest is declared to be
	// something else than an image's, and no runtime takes it for one all the same.
	OtherConfig bool
	// NoArchive is true if every layer of a single manifest was read, and none is
	// an archive that a runtime unpacks.
	NoArchive bool
	// Children are those of an index that were read, and Complete is true if these
	// are all that it names.
	Children []Content
	Complete bool
}

// Runnability is why content is, or is not, something to verify.
type Runnability string

// The reasons. Only the last four are not runnable; the zero value and unknown
// values are.
const (
	// NothingKnown: not read; what is not known is verified.
	NothingKnown Runnability = "NothingKnown"
	// HasImageConfig: a config that a runtime may take for an image's.
	HasImageConfig Runnability = "HasImageConfig"
	// HasRunnableChild: an index with a child that is runnable, or was not read.
	HasRunnableChild Runnability = "HasRunnableChild"
	// NoImageConfig: the config is declared, and read, as something else.
	NoImageConfig Runnability = "NoImageConfig"
	// NoArchive: every layer was read and none is an archive, such as the
	// signatures and attestations that cosign 2 wraps into an image.
	NoArchive Runnability = "NoArchive"
	// NoRunnableChild: an index all of whose children were read and cannot run,
	// such as the list that clients keep of a digest's referrers.
	NoRunnableChild Runnability = "NoRunnableChild"
	// NoManifest: bytes that are no manifest, such as the layers that an index of
	// BuildKit's cache names.
	NoManifest Runnability = "NoManifest"
)

// Runnable reports whether the reason means that there is something to verify.
func (r Runnability) Runnable() bool {
	switch r {
	case NoImageConfig, NoArchive, NoRunnableChild, NoManifest:
		return false
	default:
		// A value that is not known here fails closed, which is to verify.
		return true
	}
}

// Runnable reports whether content can run as a container, or may.
func (c Content) Runnable() bool { return c.Runnability().Runnable() }

// Runnability decides whether content can run. No name and no claim takes part.
func (c Content) Runnability() Runnability {
	switch c.Kind {
	case ContentIndex:
		return c.indexRunnability()
	case ContentImage:
		switch {
		case c.OtherConfig:
			return NoImageConfig
		case c.NoArchive:
			return NoArchive
		default:
			return HasImageConfig
		}
	case ContentBlob:
		return NoManifest
	default:
		return NothingKnown
	}
}

func (c Content) indexRunnability() Runnability {
	for _, child := range c.Children {
		if child.Runnable() {
			return HasRunnableChild
		}
	}
	if !c.Complete {
		return NothingKnown
	}
	return NoRunnableChild
}

// Why says for people why content cannot run, or may.
func (c Content) Why() string {
	switch r := c.Runnability(); r {
	case NoImageConfig:
		if c.ConfigType == "" {
			return "it has no config: an artefact, not an image"
		}
		return fmt.Sprintf("its config has the media type %q: an artefact, not an image", clip(c.ConfigType))
	case NoArchive:
		return "none of its layers is an archive that a runtime unpacks: a signature, an attestation or another artefact, not an image"
	case NoRunnableChild:
		return "it is an index of artefacts: it names no image that could run"
	case NoManifest:
		return "it is no manifest"
	default:
		return "it may be an image"
	}
}
