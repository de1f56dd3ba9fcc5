package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"strconv"
)

// blockSize is the block size of a tar archive.
const blockSize = 512

// MayBeArchive reports whether some runtime may unpack a layer with these bytes. That is a tar
// archive, even an empty one, under any compression that a runtime knows, or a file system image
// that a runtime mounts. In doubt MayBeArchive returns true.
func MayBeArchive(raw []byte) bool {
	return mayBeArchive(raw, 3)
}

// mayBeArchive unpacks gzip within gzip up to a depth. In doubt, which includes anything deeper, it
// returns true.
func mayBeArchive(raw []byte, depth int) bool {
	switch {
	case len(raw) == 0:
		return true // Go's tar reader takes this for an empty archive
	case isTarBlock(raw), isFileSystem(raw), hasAnyPrefix(raw, "BZh", "\xfd7zXZ\x00", "\x28\xb5\x2f\xfd"):
		return true
	case len(raw) >= 4 && binary.LittleEndian.Uint32(raw)&^0xf == 0x184d2a50:
		return true // a skippable frame of zstd
	case hasAnyPrefix(raw, "\x1f\x8b"):
		return depth == 0 || mayBeGzipped(raw, depth-1)
	default:
		return false
	}
}

func hasAnyPrefix(raw []byte, prefixes ...string) bool {
	for _, p := range prefixes {
		if bytes.HasPrefix(raw, []byte(p)) {
			return true
		}
	}
	return false
}

// mayBeGzipped checks the beginning of the unpacked bytes.
func mayBeGzipped(raw []byte, depth int) bool {
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return true
	}
	// Read as far as the magic numbers of file systems lie.
	begin, err := io.ReadAll(io.LimitReader(z, 4*blockSize))
	return err != nil || mayBeArchive(begin, depth)
}

// isTarBlock reports whether raw begins with a tar header, or with the zeros that end an archive.
func isTarBlock(raw []byte) bool {
	if len(raw) < blockSize {
		return false
	}
	block := raw[:blockSize]
	if string(block[257:262]) == "ustar" || len(bytes.Trim(block, "\x00")) == 0 {
		return true
	}
	// The oldest form has no magic number, only a checksum of unsigned or signed bytes, in many
	// spellings. Use Go's reader, because runtimes do.
	if _, err := tar.NewReader(bytes.NewReader(raw)).Next(); !errors.Is(err, tar.ErrHeader) {
		return true
	}
	const at, size = 148, 8
	want, err := strconv.ParseInt(string(bytes.Trim(block[at:at+size], " \x00")), 8, 64)
	if err != nil {
		return block[at]&0x80 != 0 && sums(block, int64(binary.BigEndian.Uint32(block[at+4:])))
	}
	return sums(block, want)
}

func sums(block []byte, want int64) bool {
	const at, size = 148, 8
	var unsigned, signed int64
	for i, b := range block {
		if i >= at && i < at+size {
			b = ' '
		}
		unsigned += int64(b)
		signed += int64(int8(b))
	}
	return want == unsigned || want == signed
}

// isFileSystem reports whether raw is an EROFS or SquashFS image, which some runtimes mount
// directly.
func isFileSystem(raw []byte) bool {
	const at, magic = 1024, 0xe0f5e1e2
	return hasAnyPrefix(raw, "hsqs", "sqsh") ||
		len(raw) >= at+4 && binary.LittleEndian.Uint32(raw[at:]) == magic
}
