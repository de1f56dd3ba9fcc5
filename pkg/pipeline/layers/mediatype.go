package layers

import (
	"maps"
	"slices"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// says returns how a layer of a media type is compressed, "" if any way will do, and
// whether containerd knows the type at all.
func says(mediaType string) (p packing, known bool) {
	switch mediaType {
	case "application/vnd.docker.image.rootfs.diff.tar", "application/vnd.docker.image.rootfs.foreign.diff.tar":
		return "", true // runtimes look at the bytes
	case "application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
		"application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip":
		return gzipped, true
	case "application/vnd.docker.image.rootfs.diff.tar.zstd",
		"application/vnd.oci.image.layer.v1.tar+zstd", "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd":
		return zstandard, true
	case "application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.nondistributable.v1.tar":
		return plain, true
	default:
		return "", false
	}
}

// encrypted reports whether a media type is of a layer that needs a key.
func encrypted(mediaType string) bool { return strings.HasSuffix(mediaType, "+encrypted") }

// media compares the media type of a layer with its bytes. An empty layer is like
// any.
func (b *builder) media(mediaType string, p packing, empty bool) {
	switch p {
	case bzipped, xzipped:
		b.tell(Compression, "", "it is compressed with %s: containers/storage unpacks that, containerd refuses it", p)
		return
	case skippable:
		b.tell(Compression, "", "it begins with a skippable frame of zstd: containerd unpacks it, containers/storage does not")
		p = zstandard
	default: // every runtime unpacks it
	}
	said, known := says(mediaType)
	switch {
	case !known:
		b.tell(Compression, "", "its media type %.100q is not that of a layer: containers/storage unpacks it, containerd refuses or passes over it", mediaType)
	case said != "" && said != p && !empty:
		b.tell(Compression, "", "its media type %q says %s, and it is %s: some runtimes go by the one, some by the other", mediaType, said, p)
	}
}

// maxRubbish is what a layer may have that is no archive and proves that there is no
// image: signatures and attestations are small, file systems are not.
const maxRubbish = 1 << 20

// mounted reports whether a layer that is no archive may still be one to a runtime that
// mounts it as a file system, or reads something else in its place.
func (c *Checker) mounted(d oci.Descriptor) (bool, error) {
	if d.Size > maxRubbish || snapshots(d) != "" {
		return true, nil
	}
	raw, err := c.part(d, span{0, d.Size})
	return image.MayBeArchive(raw), err
}

// foreign tells of annotations by which plug-ins of containerd (Nydus, overlaybd) show
// something else than the archive.
func (c *Checker) foreign(d oci.Descriptor) {
	if key := snapshots(d); key != "" {
		c.b.tell(TableOfContents, "", "its annotation %.100q is for a runtime that shows what other blobs say; others show what the archive has", key)
	}
}

// snapshots returns an annotation that containerd hands to a snapshotter which reads
// something else than the archive or a table of contents that is compared.
func snapshots(d oci.Descriptor) string {
	for _, key := range slices.Sorted(maps.Keys(d.Annotations)) {
		rest, ok := strings.CutPrefix(key, "containerd.io/snapshot/")
		if ok && !strings.HasPrefix(rest, "stargz/") && !strings.HasPrefix(rest, "remote/") {
			return key
		}
	}
	return ""
}
