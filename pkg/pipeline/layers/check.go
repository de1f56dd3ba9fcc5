package layers

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Blobs is the source of layers.
type Blobs interface {
	Blob(digest image.Digest) (io.ReadCloser, error)
}

// Check finds out where runtimes read the layers of img differently.
func Check(ctx context.Context, blobs Blobs, img oci.Image, limits Limits) ([]Ambiguity, error) {
	c := NewChecker(blobs, limits)
	for _, l := range img.Layers {
		if _, err := c.Layer(ctx, l.Descriptor, io.Discard); err != nil {
			return nil, err
		}
	}
	return c.Finish()
}

// Checker is Check for callers that read the layers anyway. They pass one layer after another, the
// lowest first.
type Checker struct {
	b     *builder
	blobs Blobs
	left  int64
	holes int64 // of sparse files
	layer int
	// rubbish counts the layers that are not archives.
	rubbish int
}

// NewChecker returns a Checker for one image.
func NewChecker(blobs Blobs, limits Limits) *Checker {
	limits = limits.filled()
	return &Checker{b: newBuilder(limits), blobs: blobs, left: limits.Unpacked}
}

// Layer reads the next layer and writes its unpacked bytes to unpacked. If the layer cannot be
// unpacked, Layer returns false and records an Ambiguity.
func (c *Checker) Layer(ctx context.Context, d oci.Descriptor, unpacked io.Writer) (bool, error) {
	read, err := c.read(ctx, d, unpacked)
	c.layer++
	return read, subject(ctx, "layer "+d.Digest.String(), err)
}

// Finish returns what was found in the layers, in their order. If an image has layers, but none of
// them is an archive, Finish returns an error: it is not an image.
func (c *Checker) Finish() ([]Ambiguity, error) {
	if c.layer > 0 && c.rubbish == c.layer {
		return nil, oci.Errorf(oci.ReasonNotAnImage, "", "none of its %d layers is an archive that a runtime could unpack", c.layer)
	}
	return c.b.found.all, nil
}

func (c *Checker) read(ctx context.Context, d oci.Descriptor, unpacked io.Writer) (bool, error) {
	c.b.begin(c.layer, d.Digest)
	if encrypted(d.MediaType) {
		c.b.tell(Unreadable, "", "it is encrypted: only those who have a key can see its content")
		return false, c.b.end()
	}
	blob, err := c.blobs.Blob(d.Digest)
	if err != nil {
		return false, err
	}
	defer blob.Close()
	sum := sha256.New()
	stored := bufio.NewReaderSize(contextReader{ctx, io.TeeReader(blob, sum)}, 64<<10)
	p, err := packed(stored)
	if err != nil {
		return false, err
	}
	_, err = stored.Peek(1)
	c.b.media(d.MediaType, p, errors.Is(err, io.EOF))
	tables, err := c.tables(d)
	if err != nil {
		return false, err
	}
	c.b.lazy = len(tables) > 0
	c.foreign(d)
	if p == xzipped {
		c.b.tell(Unreadable, "", "it is compressed with xz, which Revet does not unpack; build the image again with gzip or zstd")
	} else if err := c.unpack(stored, unpacked, tables); errors.Is(err, errNoArchive) {
		runs, err := c.mounted(d)
		if err != nil {
			return false, err
		}
		if !runs {
			c.rubbish++
		}
	} else if err != nil {
		return false, corrupted(err)
	}
	if err := finish(stored, sum, d.Digest); err != nil {
		return false, err
	}
	return p != xzipped, c.b.end()
}

// finish reads the rest of a blob and recomputes its digest.
func finish(stored io.Reader, sum hash.Hash, want image.Digest) error {
	if _, err := io.Copy(io.Discard, stored); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want.Hex() {
		return oci.Errorf(oci.ReasonCorrupted, "", "its bytes in the image layout have the digest sha256:%s", got)
	}
	return nil
}

// unpack reads the archive in stored, and what follows it.
func (c *Checker) unpack(stored io.Reader, unpacked io.Writer, tables []*table) error {
	u, err := decompress(stored)
	if err != nil {
		return err
	}
	defer u.Close()
	counted := &counter{r: u, left: &c.left, max: c.b.limits.Unpacked}
	all := bufio.NewReaderSize(io.TeeReader(counted, unpacked), 64<<10)
	if err := c.archive(tar.NewReader(all), tables, counted); errors.Is(err, errNoArchive) {
		if _, err := io.Copy(io.Discard, all); err != nil {
			return err
		}
		return errNoArchive
	} else if err != nil {
		return err
	}
	after := &zeros{}
	if _, err := io.Copy(after, all); err != nil {
		return err
	}
	if after.other {
		c.b.tell(AfterEnd, "", "data follows the end of the archive: Go's tar stops there, other tools read on")
	}
	if u.trailing {
		c.b.tell(AfterEnd, "", "data follows the end of the compressed stream: some runtimes refuse the layer, others ignore it")
	}
	return nil
}

var errNoArchive = errors.New("no archive")

// archive reads the entries of a layer.
func (c *Checker) archive(r *tar.Reader, tables []*table, counted *counter) error {
	compare := comparison{b: c.b, tables: tables}
	sparse := holes{limits: c.b.limits, read: counted, bytes: &c.holes}
	for first := true; ; first = false {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			compare.finish()
			return sparse.next(nil)
		}
		if first && (errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF)) {
			c.b.tell(Unreadable, "", "it is not an archive: most runtimes refuse the image, and Revet did not check what others see in it")
			return errNoArchive
		}
		if err != nil {
			return err
		}
		if err := sparse.next(h); err != nil {
			return err
		}
		c.b.content = r
		content := compare.begin(h)
		if content != nil {
			c.b.content = io.TeeReader(r, content)
		}
		if err := c.b.entry(h); err != nil {
			return err
		}
		if content == nil {
			continue
		}
		if _, err := io.Copy(io.Discard, c.b.content); err != nil {
			return err
		}
		compare.end()
	}
}

// zeros records whether it receives anything but zeros.
type zeros struct{ other bool }

func (z *zeros) Write(p []byte) (int, error) {
	for _, c := range p {
		if c != 0 {
			z.other = true
			break
		}
	}
	return len(p), nil
}

// counter bounds the unpacked bytes.
type counter struct {
	r    io.Reader
	n    int64
	left *int64
	max  int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if *c.left -= int64(n); *c.left < 0 {
		return 0, tooLarge("its layers unpack to too many bytes", c.max, "--max-unpacked-bytes")
	}
	return n, err
}

// corrupted marks err as corruption, unless it has a reason already.
func corrupted(err error) error {
	var (
		e    *oci.Error
		disk *storeError
	)
	if err == nil || errors.As(err, &e) || errors.As(err, &disk) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return oci.Errorf(oci.ReasonCorrupted, "", "cannot unpack it: %w", err)
}

// subject adds to err which layer it is about.
func subject(ctx context.Context, name string, err error) error {
	var e *oci.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return oci.Errorf(oci.ReasonTimedOut, name, "time ran out while checking it; raise --timeout of the step: %w", ctx.Err())
	case errors.As(err, &e) && e.Subject == "":
		return &oci.Error{Reason: e.Reason, Subject: name, Err: e.Err}
	case e != nil:
		return err
	default:
		return fmt.Errorf("read %s: %w", name, err)
	}
}
