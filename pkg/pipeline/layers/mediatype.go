package layers

import (
	"strings"
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
	}
	said, known := says(mediaType)
	switch {
	case !known:
		b.tell(Compression, "", "its media type %.100q is not that of a layer: containers/storage unpacks it, containerd refuses or passes over it", mediaType)
	case said != "" && said != p && !empty:
		b.tell(Compression, "", "its media type %q says %s, and it is %s: some runtimes go by the one, some by the other", mediaType, said, p)
	}
}
