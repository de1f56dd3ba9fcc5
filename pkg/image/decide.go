package image

import (
	"bytes"
	"context"
	"slices"
	"strings"
)

// Kind tells manifests from other blobs: registries serve them apart.
type Kind string

// The kinds of content that are read.
const (
	KindManifest Kind = "manifest"
	KindConfig   Kind = "config"
	KindLayer    Kind = "layer"
	KindBlob     Kind = "blob" // what an index names and declares to be no manifest
)

// Read returns the bytes that d names, and an error if they are more than limit.
// It must have recomputed their digest. d.Size is -1 where it is not known.
type Read func(ctx context.Context, kind Kind, d Descriptor, limit int64) ([]byte, error)

// What is read of layers to prove that they are no archives. A layer that is
// larger makes an image of its manifest, read or not.
const (
	maxProofLayer  = 1 << 20
	maxProofLayers = 32
	maxProof       = 4 << 20
)

// emptyObject is the digest of "{}", the config of most artefacts: it need not be read.
const emptyObject = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

// Content decides what a single manifest is. It reads the layers, if all of them
// are few and small. What cannot be read is not known.
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

// HasImageConfig reports whether the config is declared to be one that some runtime
// takes for an image's.
func (m Manifest) HasImageConfig() bool { return m.Config != nil && !m.otherConfig() }

// LooksLikeImage reports whether m has an image's config, and layers none of which
// has an odd type. It is a claim, which makes an image of m and never exempts.
func (m Manifest) LooksLikeImage() bool {
	odd := slices.ContainsFunc(m.Layers, func(l Descriptor) bool { return !isUnpackedType(l.MediaType) })
	return m.HasImageConfig() && !odd
}

// isImageConfig reports whether a runtime takes a config of this declared type
// for an image's. Docker does so for the types that old registries gave.
func isImageConfig(mediaType string) bool {
	switch mediaType {
	case "application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json",
		"", "application/octet-stream", "application/json", "text/html":
		return true
	default:
		return false
	}
}

// otherConfig reports whether the config is declared to be something else than an
// image's, which Docker and containers/image refuse. But in a manifest of Docker's,
// containers/image looks at the types of manifest and layers only, and not at the
// config's.
func (m Manifest) otherConfig() bool {
	if isImageConfig(m.Config.MediaType) {
		return false
	}
	return m.MediaType != DockerManifest ||
		slices.ContainsFunc(m.Layers, func(l Descriptor) bool { return !strings.HasPrefix(l.MediaType, "application/vnd.docker.") })
}

// namesNoLayers reports whether it is proven that containerd has no layers to unpack.
// It passes over the declared type of a config when it unpacks what has not been
// unpacked yet, in CRI at the latest. Then it takes those layers whose type is an
// image's and that the config, whatever its type, names as such; that it fetched
// them, the same digest under another type sees to, or another image on the host.
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
	// What is no JSON containerd does not read either.
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

// noArchive reads the layers, if they are few and small, and reports whether
// none is an archive. Without layers there is no proof: what starts may find its
// files in a volume.
func (m Manifest) noArchive(ctx context.Context, read Read) bool {
	var total int64
	for _, l := range m.Layers {
		// What is encrypted shows an archive only to those who have the key.
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

// NoJSONObject reports whether bytes that begin so cannot be a manifest.
func NoJSONObject(begin []byte) bool {
	rest := bytes.TrimLeft(begin, " \t\r\n")
	return len(rest) > 0 && rest[0] != '{'
}

// BlobContent decides what a whole blob is that an index names and declares to
// be no manifest: nothing that runs, unless it could be read as a manifest.
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
