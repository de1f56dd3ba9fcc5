package fetch

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/content"
)

// maxWindow is what a zstd stream may make the reader hold; the strongest
// level that tools use without being forced needs 8 MiB.
const maxWindow = 128 << 20

// unpack returns the digest of a stored layer's unpacked bytes. The layer is
// read from the layout, so that it is only unpacked once its own digest holds.
func (f *fetcher) unpack(ctx context.Context, l content.Descriptor) (image.Digest, error) {
	blob, err := f.dir.Blob(l.Digest)
	if err != nil {
		return image.Digest{}, fmt.Errorf("read it back: %w", err)
	}
	defer blob.Close()
	r, err := decompress(blob)
	if err != nil {
		return image.Digest{}, content.Errorf(content.ReasonCorrupted, "", "it cannot be unpacked: %w", err)
	}
	defer r.Close()
	hash := sha256.New()
	// The blob has exactly the size that it is named with: Put saw to that.
	most := f.left
	if l.Size < f.left/f.ratio {
		most = min(f.left, max(freeRatio, l.Size*f.ratio))
	}
	n, err := io.Copy(hash, contextReader{ctx, io.LimitReader(r, most+1)})
	switch {
	case ctx.Err() != nil:
		return image.Digest{}, ctx.Err()
	case err != nil:
		return image.Digest{}, content.Errorf(content.ReasonCorrupted, "", "it cannot be unpacked: %w", err)
	case n > most && most < f.left:
		return image.Digest{}, content.Errorf(content.ReasonTooLarge, "",
			"it unpacks to more than %d times its size of %d bytes, as decompression bombs do; raise --max-ratio of the fetch step if it is none", f.ratio, l.Size)
	case n > most:
		return image.Digest{}, content.Errorf(content.ReasonTooLarge, "",
			"the image unpacks to more than the limit; raise --max-unpacked-bytes of the fetch step if it is no decompression bomb")
	}
	f.left -= n
	return image.ParseDigest("sha256:" + hex.EncodeToString(hash.Sum(nil)))
}

// decompress looks at the bytes, as runtimes do, and not at the media type.
func decompress(r io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	magic, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return gzip.NewReader(b)
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		d, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	default:
		return io.NopCloser(b), nil
	}
}

// contextReader ends a long computation when its time is up.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
