package oci

import "github.com/revet-dev/revet/pkg/image"

// The parts of a manifest that package image decides from.
type (
	// Descriptor names content by its digest.
	Descriptor = image.Descriptor
	// Platform is the platform that an image claims.
	Platform = image.Platform
	// Kind tells manifests from other blobs, because registries serve them at different paths.
	Kind = image.Kind
	// Read returns the bytes that d names, up to limit. It must have recomputed their digest.
	// d.Size is -1 if it is unknown.
	Read = image.Read
)

// The kinds of content that Walk reads.
const (
	KindManifest = image.KindManifest
	KindConfig   = image.KindConfig
	KindLayer    = image.KindLayer
	KindBlob     = image.KindBlob
)

// ManifestTypes returns the media types to ask a registry for.
func ManifestTypes() []string { return image.ManifestTypes() }

// clip bounds how much a hostile value can add to a message.
func clip(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
