package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"math"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/layers"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// image stores the layers of img, compares what they unpack to with its diff_ids, and
// returns where runtimes read them differently. Layers are unpacked once for each
// image that has them: what a layer shows hangs on those below it.
func (f *fetcher) image(ctx context.Context, img oci.Image) ([]layers.Ambiguity, error) {
	// What is unpacked is counted here, for all images together.
	checker := layers.NewChecker(f.dir, layers.Limits{Entries: f.entries, Unpacked: math.MaxInt64})
	for _, l := range img.Layers {
		if err := f.layer(ctx, checker, l); err != nil {
			return nil, err
		}
	}
	return checker.Finish()
}

// unpack returns the digest of a stored layer's unpacked bytes, or false if nobody
// can unpack it. The layer is read from the layout, so that it is only unpacked once
// its own digest holds.
func (f *fetcher) unpack(ctx context.Context, checker *layers.Checker, l oci.Descriptor) (image.Digest, bool, error) {
	out := &bounded{hash: sha256.New(), most: f.left}
	// The blob has exactly the size that it is named with: Put saw to that.
	most := f.left
	if l.Size < f.left/f.ratio {
		most = l.Size * f.ratio
		out.most = min(f.left, most+min(max(0, freeRatio-most), f.free))
	}
	out.ratio, out.size, out.all = f.ratio, l.Size, out.most == f.left
	ok, err := checker.Layer(ctx, l, out)
	f.left -= out.n
	f.free -= max(0, out.n-most)
	if err != nil || !ok {
		return image.Digest{}, false, err
	}
	d, err := image.ParseDigest("sha256:" + hex.EncodeToString(out.hash.Sum(nil)))
	return d, true, err
}

// bounded hashes what a layer unpacks to, and fails where that is too much.
type bounded struct {
	hash    hash.Hash
	n, most int64
	ratio   int64
	size    int64
	all     bool // most is what is left for all layers
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	switch {
	case int64(len(p)) <= b.most-b.n:
		b.n += int64(len(p))
		return b.hash.Write(p)
	case b.all:
		return 0, oci.Errorf(oci.ReasonTooLarge, "",
			"the image unpacks to more than the limit; raise --max-unpacked-bytes of the fetch step if it is no decompression bomb")
	default:
		return 0, oci.Errorf(oci.ReasonTooLarge, "",
			"it unpacks to more than %d times its size of %d bytes, as decompression bombs do; raise --max-ratio of the fetch step if it is none", b.ratio, b.size)
	}
}
