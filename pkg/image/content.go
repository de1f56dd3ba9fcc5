package image

import (
	"fmt"
	"slices"
)

// ContentKind says what a digest names. The zero value means "not known".
type ContentKind string

// The kinds of content.
const (
	ContentUnknown ContentKind = ""      // not read, or inconclusive
	ContentIndex   ContentKind = "Index" // a manifest list or image index
	ContentImage   ContentKind = "Image" // a single manifest, of an image or an artefact
	ContentBlob    ContentKind = "Blob"  // bytes that are not a manifest
)

// Content holds what is known about a digest that decides whether it can run as a container. The
// zero value means "nothing known", which counts as runnable.
type Content struct {
	Kind ContentKind
	// ConfigType is the media type that a single manifest declares for its config.
	ConfigType string
	// OtherConfig is true if a single manifest declares that its config is not an image's, and no
	// runtime uses it as an image's anyway.
	OtherConfig bool
	// NoArchive is true if every layer of a single manifest was read, and none is an archive that a
	// runtime unpacks.
	NoArchive bool
	// ClaimedBlob is true if only a registry says that these bytes are not a manifest: their digest
	// was not recomputed, and another registry may have a manifest under it. See Claimed.
	ClaimedBlob bool
	// Children are the children of an index that were read. Complete is true if these are all of
	// them.
	Children []Content
	Complete bool
}

// Runnability says why content does or does not have to be verified.
type Runnability string

// The reasons. Only the last four mean "not runnable"; the zero value and unknown values mean
// "runnable".
const (
	// NothingKnown: the content was not read. Unknown content is verified.
	NothingKnown Runnability = "NothingKnown"
	// HasImageConfig: it has a config that a runtime may take for an image's.
	HasImageConfig Runnability = "HasImageConfig"
	// HasRunnableChild: it is an index with a child that is runnable or was not read.
	HasRunnableChild Runnability = "HasRunnableChild"
	// NoImageConfig: its config is declared, and read, as something else than an image's.
	NoImageConfig Runnability = "NoImageConfig"
	// NoArchive: every layer was read and none is an archive. For example, cosign 2 wraps
	// signatures and attestations into such images.
	NoArchive Runnability = "NoArchive"
	// NoRunnableChild: it is an index whose children were all read and cannot run. For example,
	// clients keep such a list of a digest's referrers.
	NoRunnableChild Runnability = "NoRunnableChild"
	// NoManifest: its bytes are not a manifest. For example, an index of BuildKit's cache names
	// layers.
	NoManifest Runnability = "NoManifest"
)

// Runnable reports whether content with this reason has to be verified.
func (r Runnability) Runnable() bool {
	switch r {
	case NoImageConfig, NoArchive, NoRunnableChild, NoManifest:
		return false
	default:
		// Fail closed: verify content with an unknown value.
		return true
	}
}

// Runnable reports whether content can or may run as a container.
func (c Content) Runnable() bool { return c.Runnability().Runnable() }

// Claimed reports whether a registry's word is part of what is known. What follows from it holds for
// the repository that was read and for whoever read it, and proves nothing of the digest.
func (c Content) Claimed() bool {
	return c.ClaimedBlob || slices.ContainsFunc(c.Children, Content.Claimed)
}

// Runnability decides whether content can run. It ignores names and claims.
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

// Why says in words why content cannot run, or may run.
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
		return "it is an index of artefacts: it names no image that can run"
	case NoManifest:
		return "it is not a manifest"
	default:
		return "it may be an image"
	}
}
