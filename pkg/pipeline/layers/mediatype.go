package layers

import (
	"maps"
	"slices"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// says returns the compression that a layer's media type names, or "" if the type allows any. known
// reports whether containerd knows the type.
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

// encrypted reports whether layers of a media type need a key.
func encrypted(mediaType string) bool { return strings.HasSuffix(mediaType, "+encrypted") }

// media compares a layer's media type with its bytes. An empty layer fits any type.
func (b *builder) media(mediaType string, p packing, empty bool) {
	switch p {
	case bzipped, xzipped:
		b.tell(Compression, "", "it is compressed with %s: containers/storage unpacks that, containerd refuses it", p)
		return
	case skippable:
		b.tell(Compression, "", "it begins with a skippable zstd frame: containerd unpacks it, containers/storage does not")
		p = zstandard
	default: // every runtime unpacks it
	}
	said, known := says(mediaType)
	switch {
	case !known:
		b.tell(Compression, "", "its media type %.100q is not that of a layer: containers/storage unpacks it, containerd refuses or ignores it", mediaType)
	case said != "" && said != p && !empty:
		b.tell(Compression, "", "its media type %q says %s, but it is %s: some runtimes trust the type, others the bytes", mediaType, said, p)
	}
}

// maxRubbish bounds a layer that may prove that its manifest is not an image, because the layer is
// not an archive. Signatures and attestations are small, file systems are not.
const maxRubbish = 1 << 20

// mounted reports whether a runtime could still use a layer that is not an archive, by mounting it
// as a file system or by reading something else instead.
func (c *Checker) mounted(d oci.Descriptor) (bool, error) {
	if d.Size > maxRubbish || snapshots(d) != "" {
		return true, nil
	}
	raw, err := c.part(d, span{0, d.Size})
	return image.MayBeArchive(raw), err
}

// foreign reports annotations with which containerd plug-ins (Nydus, overlaybd) show something
// other than the archive.
func (c *Checker) foreign(d oci.Descriptor) {
	if key := snapshots(d); key != "" {
		c.b.tell(TableOfContents, "", "its annotation %.100q is for a runtime that shows the content of other blobs; other runtimes show the archive", key)
	}
}

// snapshots returns an annotation that makes containerd's snapshotter read something other than the
// archive or a table of contents that Check compares.
func snapshots(d oci.Descriptor) string {
	for _, key := range slices.Sorted(maps.Keys(d.Annotations)) {
		rest, ok := strings.CutPrefix(key, "containerd.io/snapshot/")
		if ok && !strings.HasPrefix(rest, "stargz/") && !strings.HasPrefix(rest, "remote/") {
			return key
		}
	}
	return ""
}
