package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/layers"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Source provides content. Fetch does not trust it.
type Source interface {
	Manifest(ctx context.Context, d image.Digest) (io.ReadCloser, error)
	Blob(ctx context.Context, d image.Digest) (io.ReadCloser, error)
}

// Limits bound what an image may cost.
type Limits struct {
	// Bytes bounds what is stored: compressed layers and attachments.
	Bytes int64
	// Unpacked bounds the sum of all unpacked layers. Fetch never stores them.
	Unpacked int64
	// Ratio bounds the unpacked size of a layer as a multiple of its stored size. 0 means
	// DefaultRatio.
	Ratio int64
	// Entries bounds the files, directories and links in an image's layers. 0 means the value in
	// layers.DefaultLimits.
	Entries int
}

// Fetched is an image, or an index with everything selected from it.
type Fetched struct {
	oci.Tree
	// Ambiguities lists where runtimes read an image's layers differently, by the digest of its
	// manifest. Whoever judges the image must take them into account.
	Ambiguities map[image.Digest][]layers.Ambiguity
}

const (
	// DefaultRatio is far above the ratio of real files, and below the 230 to 1000 that gzip
	// reaches on zeros.
	DefaultRatio = 100
	// freeRatio is the size that any layer may unpack to, whatever its ratio. Small layers do no
	// harm.
	freeRatio = 64 << 20
	// freeAll bounds what all layers together may unpack to above their ratio. Many small layers,
	// or one that is named many times, can do harm.
	freeAll = 512 << 20
)

// Fetch pulls what digest names from src into dir. From an index it pulls the selected platforms,
// or all of them if none is selected.
func Fetch(ctx context.Context, src Source, digest image.Digest, chosen oci.Selection, dir oci.Layout, limits Limits) (Fetched, error) {
	if limits.Ratio <= 0 {
		limits.Ratio = DefaultRatio
	}
	f := fetcher{src: src, dir: dir, stored: map[image.Digest]bool{}, left: limits.Unpacked, free: freeAll, ratio: limits.Ratio, entries: limits.Entries}
	tree, err := oci.Walk(ctx, digest, chosen, f.read)
	if err != nil {
		return Fetched{}, explain(ctx, err)
	}
	if err := checkSize(tree, limits.Bytes); err != nil {
		return Fetched{}, err
	}
	out := Fetched{Tree: tree, Ambiguities: map[image.Digest][]layers.Ambiguity{}}
	for _, img := range tree.Images {
		found, err := f.image(ctx, img)
		if err != nil {
			return Fetched{}, oci.Within(explain(ctx, err), "image "+img.Config.String())
		}
		out.Ambiguities[img.Manifest.Digest] = found
	}
	for _, a := range tree.Attachments {
		for _, b := range a.Blobs {
			if err := f.blob(ctx, "attachment", b); err != nil {
				return Fetched{}, oci.Within(explain(ctx, err), "manifest "+a.Manifest.Digest.String())
			}
		}
	}
	if err := dir.Complete(tree.Root, chosen); err != nil {
		return Fetched{}, err
	}
	return out, nil
}

// checkSize compares the sizes in the manifests with the limit before Fetch pulls a layer. If a
// layer turns out larger than its manifest says, the pull ends there.
func checkSize(tree oci.Tree, limit int64) error {
	seen := map[image.Digest]bool{}
	left := limit
	add := func(d oci.Descriptor) bool {
		if seen[d.Digest] {
			return true
		}
		seen[d.Digest] = true
		if d.Size > left {
			return false
		}
		left -= d.Size
		return true
	}
	fits := true
	for _, img := range tree.Images {
		for _, l := range img.Layers {
			fits = fits && add(l.Descriptor)
		}
	}
	for _, a := range tree.Attachments {
		for _, b := range a.Blobs {
			fits = fits && add(b)
		}
	}
	if !fits {
		return oci.Errorf(oci.ReasonTooLarge, "image "+tree.Root.Digest.String(),
			"its layers are larger than %d bytes; raise --max-bytes of the fetch step and the size of its volume", limit)
	}
	return nil
}

type fetcher struct {
	src Source
	dir oci.Layout
	// stored are the layers in dir.
	stored map[image.Digest]bool
	// left is the number of unpacked bytes that may still come.
	left    int64
	free    int64 // left of freeAll
	ratio   int64
	entries int
}

// read implements oci.Read. It reads from the source and stores in the layout.
func (f *fetcher) read(ctx context.Context, kind oci.Kind, d oci.Descriptor, limit int64) ([]byte, error) {
	subject := string(kind) + " " + d.Digest.String()
	open := f.src.Blob
	if kind == oci.KindManifest {
		open = f.src.Manifest
	}
	rc, err := open(ctx, d.Digest)
	if err != nil {
		return nil, about(subject, err)
	}
	defer rc.Close()
	var raw bytes.Buffer
	bounded := &boundedReader{r: rc, left: limit}
	if err := f.dir.Put(d.Digest, d.Size, io.TeeReader(bounded, &raw)); err != nil {
		return nil, about(subject, err)
	}
	return raw.Bytes(), nil
}

// sized is a Source that can use a blob's size.
type sized interface {
	Sized(ctx context.Context, d image.Digest, size int64) (io.ReadCloser, error)
}

// blob stores d.
func (f *fetcher) blob(ctx context.Context, kind string, d oci.Descriptor) error {
	for {
		rc, err := f.openBlob(ctx, d)
		if err == nil {
			err = f.dir.Put(d.Digest, d.Size, rc)
			_ = rc.Close() // reading is complete
		}
		// Parts from different connections may not fit together. If so, pull the blob again in one
		// piece.
		if parts, ok := rc.(*resumed); err != nil && ok && isReason(err, oci.ReasonCorrupted) && parts.distrust() {
			continue
		}
		return about(kind+" "+d.Digest.String(), err)
	}
}

func (f *fetcher) openBlob(ctx context.Context, d oci.Descriptor) (io.ReadCloser, error) {
	if src, ok := f.src.(sized); ok {
		return src.Sized(ctx, d.Digest, d.Size)
	}
	return f.src.Blob(ctx, d.Digest)
}

func isReason(err error, reason oci.Reason) bool {
	var e *oci.Error
	return errors.As(err, &e) && e.Reason == reason
}

// layer stores l and compares its unpacked digest with its diff_id.
func (f *fetcher) layer(ctx context.Context, checker *layers.Checker, l oci.Layer) error {
	subject := "layer " + l.Digest.String()
	if !f.stored[l.Digest] {
		if err := f.blob(ctx, "layer", l.Descriptor); err != nil {
			return err
		}
		f.stored[l.Digest] = true
	}
	got, ok, err := f.unpack(ctx, checker, l.Descriptor)
	if err != nil {
		return about(subject, err)
	}
	// Fetch cannot compare the diff_id of a layer that it cannot unpack; the checker reports such a
	// layer.
	if ok && got != l.DiffID {
		return oci.Errorf(oci.ReasonCorrupted, subject,
			"it unpacks to the digest %s, but the configuration says %s", got, l.DiffID)
	}
	return nil
}

// about makes err an Error about subject, unless it already is an Error about something.
func about(subject string, err error) error {
	var e *oci.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e) && e.Subject != "":
		return err
	case e != nil:
		return &oci.Error{Reason: e.Reason, Subject: subject, Err: e.Err}
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return oci.Errorf(oci.ReasonTooLarge, subject, "the volume is full: %w", err)
	default:
		return &oci.Error{Reason: oci.ReasonUnavailable, Subject: subject, Err: err}
	}
}

// explain replaces the many forms that an expired deadline takes.
func explain(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, io.EOF) || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	subject := ""
	if e := (*oci.Error)(nil); errors.As(err, &e) {
		subject = e.Subject
	}
	return &oci.Error{Reason: oci.ReasonTimedOut, Subject: subject,
		Err: fmt.Errorf("time ran out while fetching it; raise --timeout of the step: %w", context.DeadlineExceeded)}
}

// boundedReader returns an error where io.LimitReader would silently end.
type boundedReader struct {
	r    io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if int64(n) > b.left {
		return 0, oci.Errorf(oci.ReasonTooLarge, "", "it is larger than the limit")
	}
	b.left -= int64(n)
	return n, err
}
