package layers

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// packing is the compression of a layer, recognised by its bytes.
type packing string

const (
	plain     packing = "tar"
	gzipped   packing = "gzip"
	zstandard packing = "zstd"
	skippable packing = "zstd after a skippable frame"
	bzipped   packing = "bzip2"
	xzipped   packing = "xz"
)

// packed returns the compression of the content of b.
func packed(b *bufio.Reader) (packing, error) {
	magic, err := b.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return gzipped, nil
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return zstandard, nil
	case len(magic) >= 4 && magic[0]&0xf0 == 0x50 && bytes.Equal(magic[1:4], []byte{0x2a, 0x4d, 0x18}):
		return skippable, nil
	case bytes.HasPrefix(magic, []byte("BZh")):
		return bzipped, nil
	case bytes.Equal(magic, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		return xzipped, nil
	default:
		return plain, nil
	}
}

// Decompress unpacks a layer with bounded memory. Like runtimes, it goes by the bytes, not by the
// media type. The caller has to bound the unpacked size.
func Decompress(r io.Reader) (io.ReadCloser, error) { return decompress(r) }

// errXZ means that the layer has a compression that Revet does not unpack.
var errXZ = errors.New("it is compressed with xz, which containerd does not unpack; build the image again with gzip or zstd")

// unpacker unpacks a layer.
type unpacker struct {
	from    *bufio.Reader
	packing packing
	read    func([]byte) (int, error)
	close   func()
	// trailing is set at the end if data follows that is not part of the stream.
	trailing bool
}

func decompress(r io.Reader) (*unpacker, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	p, err := packed(b)
	if err != nil {
		return nil, err
	}
	u := &unpacker{from: b, packing: p, close: func() {}}
	switch p {
	case gzipped:
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, err
		}
		z.Multistream(false)
		u.read = u.members(z)
	case zstandard, skippable:
		d, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		u.close = d.Close
		u.read = u.frames(d)
	case bzipped:
		u.read = bzip2.NewReader(b).Read
	case xzipped:
		return nil, errXZ
	default:
		u.read = b.Read
	}
	return u, nil
}

// Read implements io.Reader.
func (u *unpacker) Read(p []byte) (int, error) { return u.read(p) }

// Close implements io.Closer.
func (u *unpacker) Close() error {
	u.close()
	return nil
}

// members reads all members of a gzip stream, as runtimes do. Anything else after a member ends the
// stream.
func (u *unpacker) members(z *gzip.Reader) func([]byte) (int, error) {
	done := false
	return func(p []byte) (int, error) {
		for !done {
			n, err := z.Read(p)
			if n > 0 && (err == nil || errors.Is(err, io.EOF)) {
				return n, nil
			}
			if err == nil {
				continue
			}
			if !errors.Is(err, io.EOF) {
				return n, err
			}
			magic, err := u.from.Peek(2)
			switch {
			case len(magic) == 0 && errors.Is(err, io.EOF):
				done = true
			case err != nil && !errors.Is(err, io.EOF):
				return 0, err
			case !bytes.Equal(magic, []byte{0x1f, 0x8b}):
				done, u.trailing = true, true
			default:
				if err := z.Reset(u.from); err != nil {
					return 0, err
				}
				z.Multistream(false)
			}
		}
		return 0, io.EOF
	}
}

// frames reads all frames of a zstd stream.
func (u *unpacker) frames(d *zstd.Decoder) func([]byte) (int, error) {
	any := false
	return func(p []byte) (int, error) {
		n, err := d.Read(p)
		any = any || n > 0
		if any && errors.Is(err, zstd.ErrMagicMismatch) {
			u.trailing = true
			err = io.EOF
		}
		return n, err
	}
}
