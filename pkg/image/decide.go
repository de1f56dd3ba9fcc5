package image

import (
	"bytes"
	"context"
	"slices"
	"strings"
)

// Kind tells manifests from other blobs, because registries serve them at different paths.
type Kind string

// The kinds of content that are read.
const (
	KindManifest Kind = "manifest"
	KindConfig   Kind = "config"
	KindLayer    Kind = "layer"
	KindBlob     Kind = "blob" // named by an index, and not declared to be a manifest
)

// Read returns the bytes that d names. It returns an error if they are longer than limit. It must
// have recomputed their digest. d.Size is -1 if it is unknown.
type Read func(ctx context.Context, kind Kind, d Descriptor, limit int64) ([]byte, error)

// The limits on reading layers to prove that they are not archives. A manifest with a larger layer
// counts as an image.
const (
	maxProofLayer  = 1 << 20
	maxProofLayers = 32
	maxProof       = 4 << 20
)

// emptyObject is the digest of "{}", the config of most artefacts, so that config need not be read.
const emptyObject = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

// Content decides what a single manifest is. It reads the layers if they are few and small. What it
// cannot read stays unknown.
func (m Manifest) Content(ctx context.Context, read Read) Content {
	switch {
	case m.IsIndex():
		return Content{Kind: ContentIndex, Complete: len(m.Manifests) == 0}
	case m.Config == nil:
		return Content{Kind: ContentImage, OtherConfig: true}
	}
	c := Content{Kind: ContentImage, ConfigType: m.Config.MediaType, OtherConfig: m.otherConfig() && m.namesNoLayers(ctx, read)}
	if !c.OtherConfig {
		c.NoArchive = m.noArchive(ctx, read)
	}
	return c
}

// HasImageConfig reports whether the declared type of the config is one that some runtime takes for
// an image's.
func (m Manifest) HasImageConfig() bool { return m.Config != nil && !m.otherConfig() }

// LooksLikeImage reports whether m has an image's config, and no layer of an unusual type. This is
// only a claim: it can make m an image, but never exempt it.
func (m Manifest) LooksLikeImage() bool {
	odd := slices.ContainsFunc(m.Layers, func(l Descriptor) bool { return !isUnpackedType(l.MediaType) })
	return m.HasImageConfig() && !odd
}

// isImageConfig reports whether a runtime takes a config of this declared type for an image's.
// Docker also accepts the types that old registries used.
func isImageConfig(mediaType string) bool {
	switch mediaType {
	case "application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json",
		"", "application/octet-stream", "application/json", "text/html":
		return true
	default:
		return false
	}
}

// otherConfig reports whether the declared type of the config is not an image's, so that Docker and
// containers/image refuse it. In a manifest of Docker's own type, containers/image checks the types
// of the manifest and the layers, but not the type of the config.
func (m Manifest) otherConfig() bool {
	if isImageConfig(m.Config.MediaType) {
		return false
	}
	return m.MediaType != DockerManifest ||
		slices.ContainsFunc(m.Layers, func(l Descriptor) bool { return !strings.HasPrefix(l.MediaType, "application/vnd.docker.") })
}

// namesNoLayers reports whether containerd provably has no layers to unpack. containerd ignores the
// declared type of a config when it unpacks an image for the first time, at the latest in CRI. It
// then takes the layers that have an image layer's type and that the config names, whatever the
// config's type. It may have fetched them because the same digest appears under another type, or in
// another image on the host.
func (m Manifest) namesNoLayers(ctx context.Context, read Read) bool {
	layers := slices.ContainsFunc(m.Layers, func(l Descriptor) bool { return isUnpackedType(l.MediaType) })
	if !layers || m.Config.Digest.Hex() == emptyObject {
		return true
	}
	raw, err := read(ctx, KindConfig, *m.Config, maxProof)
	if err != nil {
		return false
	}
	var config struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
	// containerd cannot read invalid JSON either.
	return Decode(raw, &config) != nil || len(config.RootFS.DiffIDs) == 0
}

// isUnpackedType reports whether layers of this declared type look like an image's.
func isUnpackedType(mediaType string) bool {
	for _, prefix := range []string{
		"application/vnd.oci.image.layer.",
		"application/vnd.docker.image.rootfs.",
		"application/vnd.erofs.layer.",
	} {
		if strings.HasPrefix(mediaType, prefix) {
			return true
		}
	}
	return false
}

// noArchive reads the layers if they are few and small, and reports whether none is an archive.
// Without layers there is no proof, because a container may find its files in a volume.
func (m Manifest) noArchive(ctx context.Context, read Read) bool {
	var total int64
	for _, l := range m.Layers {
		// Without the key, nobody can tell whether an encrypted layer is an archive.
		if l.Size >= maxProofLayer || strings.Contains(strings.ToLower(l.MediaType), "encrypted") {
			return false
		}
		total = AddSize(total, l.Size)
	}
	if len(m.Layers) == 0 || len(m.Layers) > maxProofLayers || total > maxProof {
		return false
	}
	left := int64(maxProof)
	for _, l := range m.Layers {
		raw, err := read(ctx, KindLayer, l, min(maxProofLayer, left))
		if err != nil || MayBeArchive(raw) {
			return false
		}
		left -= int64(len(raw))
	}
	return true
}

// NoJSONObject reports whether bytes with this beginning cannot be a manifest.
func NoJSONObject(begin []byte) bool {
	rest := bytes.TrimLeft(begin, " \t\r\n")
	return len(rest) > 0 && rest[0] != '{'
}

// BlobContent decides what a whole blob is that an index does not declare to be a manifest. It
// cannot run, unless it could be read as a manifest.
func BlobContent(raw []byte) Content {
	if NoJSONObject(raw) {
		return Content{Kind: ContentBlob}
	}
	m, err := ParseManifest(raw, "")
	if err != nil || m.IsIndex() || m.Config != nil {
		return Content{}
	}
	return Content{Kind: ContentBlob}
}
