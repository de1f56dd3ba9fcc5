package layers

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// The places where a layer declares a table of contents. Runtimes that pull lazily (the stargz
// snapshotter, containers/storage) show what the table lists, and never read the archive as such.
const (
	stargzDigest = "containerd.io/snapshot/stargz/toc.digest"
	stargzName   = "stargz.index.json"
	// The annotations of zstd:chunked in containers/storage and the stargz snapshotter.
	chunkedDigest         = "io.github.containers.zstd-chunked.manifest-checksum"
	chunkedPosition       = "io.github.containers.zstd-chunked.manifest-position"
	stargzChunkedDigest   = "io.containers.zstd-chunked.manifest-checksum"
	stargzChunkedPosition = "io.containers.zstd-chunked.manifest-position"
)

// span is a part of a blob.
type span struct{ offset, size int64 }

// tables returns the tables of contents of a layer, and reports those that it declares but that
// cannot be read.
func (c *Checker) tables(d oci.Descriptor) ([]*table, error) {
	spans, err := c.spans(d)
	if err != nil {
		return nil, err
	}
	want := map[string]bool{}
	for _, key := range []string{stargzDigest, chunkedDigest, stargzChunkedDigest} {
		if digest := d.Annotations[key]; digest != "" {
			want[digest] = true
		}
	}
	var all []*table
	parsed, left := map[string]bool{}, maxTOCEntries
	for _, s := range spans {
		raw, digests, err := c.load(d, s)
		var disk *readError
		if errors.As(err, &disk) {
			return nil, err
		}
		for _, digest := range digests {
			delete(want, digest)
		}
		if err == nil && parsed[digests[0]] {
			continue // the same table under another footer
		}
		var t *table
		if err == nil {
			parsed[digests[0]] = true
			t, err = parseTable(raw, &left)
		}
		if err != nil {
			c.b.tell(TableOfContents, "", "its table of contents cannot be read (%v): runtimes that pull lazily show what it lists", err)
			continue
		}
		all = append(all, t)
	}
	for _, digest := range slices.Sorted(maps.Keys(want)) {
		c.b.tell(TableOfContents, "", "its annotations name a table of contents with the digest %.100q, which it does not have: runtimes that pull lazily refuse it, or show what others do", digest)
	}
	return all, nil
}

// spans returns the locations of tables of contents, from the annotations and from the footer.
func (c *Checker) spans(d oci.Descriptor) ([]span, error) {
	var all []span
	for _, key := range []string{chunkedPosition, stargzChunkedPosition} {
		var s span
		if _, err := fmt.Sscanf(d.Annotations[key], "%d:%d:", &s.offset, &s.size); err == nil && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	for _, f := range []struct {
		size int64
		read func([]byte) int64
	}{{51, stargzFooter}, {47, oldStargzFooter}} {
		footer, err := c.part(d, span{d.Size - f.size, f.size})
		if err != nil {
			return nil, err
		}
		if at := f.read(footer); at >= 0 {
			all = append(all, span{at, d.Size - f.size - at})
		}
	}
	footer, err := c.part(d, span{d.Size - 64, 64})
	if err != nil {
		return nil, err
	}
	if len(footer) == 64 && bytes.Equal(footer[56:], []byte("GNUlInUx")) {
		s := span{int64(binary.LittleEndian.Uint64(footer)), int64(binary.LittleEndian.Uint64(footer[8:]))} //nolint:gosec // part checks it
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all, nil
}

// stargzFooter returns the offset of the table of contents, or -1.
func stargzFooter(raw []byte) int64 {
	const extra = 12 // offset of the extra field in a gzip header
	if len(raw) < 51 || raw[0] != 0x1f || raw[1] != 0x8b || string(raw[extra:extra+4]) != "SG\x16\x00" {
		return -1
	}
	return stargzOffset(raw[extra+4:])
}

func oldStargzFooter(raw []byte) int64 {
	if len(raw) < 47 || raw[0] != 0x1f || raw[1] != 0x8b {
		return -1
	}
	return stargzOffset(raw[12:])
}

func stargzOffset(raw []byte) int64 {
	if string(raw[16:22]) != "STARGZ" {
		return -1
	}
	at, err := strconv.ParseInt(string(raw[:16]), 16, 64)
	if err != nil {
		return -1
	}
	return at
}

// readError means that a blob could not be read. It says nothing about the layer.
type readError struct{ err error }

// Error implements error.
func (e *readError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *readError) Unwrap() error { return e.err }

// part reads a part of a blob. It returns nil if the blob does not have that part.
func (c *Checker) part(d oci.Descriptor, s span) ([]byte, error) {
	if s.offset < 0 || s.size < 0 || s.offset > d.Size || s.size > d.Size-s.offset || s.size > maxTOC {
		return nil, nil
	}
	blob, err := c.blobs.Blob(d.Digest)
	if err != nil {
		return nil, &readError{err}
	}
	defer blob.Close()
	if seek, ok := blob.(io.Seeker); ok {
		_, err = seek.Seek(s.offset, io.SeekStart)
	} else {
		_, err = io.CopyN(io.Discard, blob, s.offset)
	}
	if errors.Is(err, io.EOF) {
		return nil, nil // as below
	}
	if err != nil {
		return nil, &readError{err}
	}
	raw := make([]byte, s.size)
	_, err = io.ReadFull(blob, raw)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, nil // the digest will show that it is too short
	case err != nil:
		return nil, &readError{err}
	}
	return raw, nil
}

// load returns a table of contents, and the digests under which annotations may name it.
func (c *Checker) load(d oci.Descriptor, s span) ([]byte, []string, error) {
	packed, err := c.part(d, s)
	if err != nil {
		return nil, nil, err
	}
	if packed == nil {
		return nil, nil, fmt.Errorf("it lies outside of the layer, or is larger than %d bytes", maxTOC)
	}
	var raw []byte
	if bytes.HasPrefix(packed, []byte{0x1f, 0x8b}) {
		raw, err = stargzTable(packed)
	} else {
		raw, err = chunkedTable(packed)
	}
	if err != nil {
		return nil, nil, err
	}
	return raw, []string{sumOf(raw), sumOf(packed)}, nil
}

func sumOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func stargzTable(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	r := tar.NewReader(z)
	h, err := r.Next()
	if err != nil {
		return nil, err
	}
	if h.Name != stargzName {
		return nil, fmt.Errorf("it is named %.100q", h.Name)
	}
	return readBounded(r)
}

func chunkedTable(packed []byte) ([]byte, error) {
	z, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return readBounded(z)
}

func readBounded(r io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxTOC+1))
	if err == nil && len(raw) > maxTOC {
		return nil, fmt.Errorf("it is larger than %d bytes", maxTOC)
	}
	return raw, err
}
