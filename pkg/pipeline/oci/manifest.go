package oci

import "github.com/revet-dev/revet/pkg/image"

// What is read is what pkg/image decides from.
type (
	// Descriptor names content by its digest.
	Descriptor = image.Descriptor
	// Platform is what an image claims to run on.
	Platform = image.Platform
	// Kind tells manifests from other blobs: registries serve them apart.
	Kind = image.Kind
	// Read returns the bytes that d names, at most limit of them. It must have
	// recomputed their digest. d.Size is -1 where it is not known.
	Read = image.Read
)

// The kinds of content that Walk reads.
const (
	KindManifest = image.KindManifest
	KindConfig   = image.KindConfig
	KindLayer    = image.KindLayer
	KindBlob     = image.KindBlob
)

// ManifestTypes are the media types to ask a registry for.
func ManifestTypes() []string { return image.ManifestTypes() }

// clip bounds what a hostile value adds to a message.
func clip(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
