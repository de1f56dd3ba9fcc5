package rootfs

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
)

// Blobs is where layers are read from.
type Blobs interface {
	Blob(digest image.Digest) (io.ReadCloser, error)
}

// Want says whether a file is wanted.
type Want struct {
	Yes bool
	// Mark, if there is one, must be in the content; the file is dropped otherwise.
	Mark []byte
	// Link asks that a symbolic link at the path shows the wanted file that it names;
	// one that names another is told of, by [FS.Dangling].
	Link bool
}

// Wanted judges a file by its path, which is relative, and its permissions.
type Wanted func(path string, mode fs.FileMode) Want

// Whiteouts, as OCI images and all before them write them.
const (
	whiteoutPrefix = ".wh."
	whiteoutOpaque = ".wh..wh..opq"
	whiteoutMeta   = ".wh..wh." // of a file system of old; not part of the image
)

// Open reads the layers of img. What it keeps is in a file in temp.
func Open(ctx context.Context, blobs Blobs, img content.Image, wanted Wanted, limits Limits, temp string) (*FS, error) {
	kept, err := newSpool(temp, limits.Kept)
	if err != nil {
		return nil, err
	}
	seed := maphash.MakeSeed()
	b := &builder{blobs: blobs, wanted: wanted, limits: limits, seed: seed, spool: kept, nodes: map[string]*node{}, links: map[string]string{}, above: newShadow(seed)}
	out, err := b.build(ctx, img)
	if err != nil {
		_ = kept.file.Close() // it has no name and no use any more
		return nil, err
	}
	return out, nil
}

// node is a file that is kept, or a directory that leads to one.
type node struct {
	name     string
	mode     fs.FileMode
	size     int64
	offset   int64
	layer    int     // that it is of
	children []*node // of a directory, sorted by name
}

type builder struct {
	blobs  Blobs
	wanted Wanted
	limits Limits
	seed   maphash.Seed

	spool     *spool
	nodes     map[string]*node
	pathBytes int
	above     shadow
	pending   []link
	links     map[string]string // symbolic links that are wanted, and what they name
	entries   int
	unpacked  int64
}

// link is a hard link that is wanted, of a layer, to what this layer or a lower
// one has.
type link struct {
	path, target string
	layer        int
	mark         []byte
}

func (b *builder) build(ctx context.Context, img content.Image) (*FS, error) {
	for i, l := range slices.Backward(img.Layers) {
		if err := b.each(ctx, l.Descriptor, func(archive *tar.Reader) error { return b.read(ctx, i, archive) }); err != nil {
			return nil, subject(ctx, "layer "+l.Digest.String(), err)
		}
	}
	// What hard links name may lie where nothing is wanted, in a lower layer, or
	// where a higher one removed it. Then the layers are read once more for that.
	b.entries, b.unpacked = 0, 0
	for i, l := range slices.Backward(img.Layers) {
		if !slices.ContainsFunc(b.pending, func(p link) bool { return p.layer >= i }) {
			continue
		}
		if err := b.each(ctx, l.Descriptor, func(archive *tar.Reader) error { return b.readTargets(ctx, i, archive) }); err != nil {
			return nil, subject(ctx, "layer "+l.Digest.String(), err)
		}
	}
	if len(b.pending) > 0 {
		p := b.pending[0]
		return nil, content.Errorf(content.ReasonCorrupted, "layer "+img.Layers[p.layer].Digest.String(),
			"its hard link %.200q names %.200q, which is not there", p.path, p.target)
	}
	return b.finish()
}

// each reads one layer, to its end, and recomputes its digest.
func (b *builder) each(ctx context.Context, d content.Descriptor, read func(*tar.Reader) error) error {
	blob, err := b.blobs.Blob(d.Digest)
	if err != nil {
		return err
	}
	defer blob.Close()
	hash := sha256.New()
	stored := io.TeeReader(blob, hash)
	unpacked, err := fetch.Decompress(stored)
	if err != nil {
		return content.Errorf(content.ReasonCorrupted, "", "it cannot be unpacked: %w", err)
	}
	defer unpacked.Close()
	counted := &counter{r: contextReader{ctx, unpacked}, n: &b.unpacked, max: b.limits.Unpacked}
	if err := read(tar.NewReader(bufio.NewReaderSize(counted, 64<<10))); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, contextReader{ctx, stored}); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != d.Digest.Hex() {
		return content.Errorf(content.ReasonCorrupted, "", "its bytes in the image layout have the digest sha256:%s", got)
	}
	return nil
}

// next returns the next entry and its path, or "" for one that does not matter.
func (b *builder) next(archive *tar.Reader) (string, *tar.Header, error) {
	h, err := archive.Next()
	if errors.Is(err, io.EOF) {
		return "", nil, io.EOF
	}
	if err != nil {
		return "", nil, corrupted(err)
	}
	if b.entries++; b.entries > b.limits.Entries {
		return "", nil, tooLarge("its layers have too many files", int64(b.limits.Entries), "--max-entries")
	}
	name := clean(h.Name)
	if len(name) > maxPath {
		return "", nil, content.Errorf(content.ReasonCorrupted, "", "it has a path of %d bytes", len(name))
	}
	return name, h, nil
}

// read reads the entries of layer i, below those that were read before.
func (b *builder) read(ctx context.Context, i int, archive *tar.Reader) error {
	own := layer{entries: newShadow(b.seed), removed: newShadow(b.seed)}
	looked := map[string]string{} // what was wanted and not kept, and the mark that it has not
	links := map[string]link{}    // by their paths
	for {
		name, h, err := b.next(archive)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if name == "" {
			continue
		}
		if base := path.Base(name); strings.HasPrefix(base, whiteoutPrefix) {
			own.remove(path.Dir(name), base)
			continue
		}
		dir := h.Typeflag == tar.TypeDir
		b.replace(own, name, dir)
		delete(links, name)
		delete(looked, name)
		if dir || b.above.hides(name, dir) {
			continue
		}
		want := b.wanted(name, h.FileInfo().Mode().Perm())
		switch {
		case !want.Yes:
		case isFile(h):
			n, err := b.keep(ctx, i, name, h, want.Mark, archive)
			if err != nil {
				return err
			}
			if n == nil {
				looked[name] = string(want.Mark)
			}
			if err := b.add(name, n); err != nil {
				return err
			}
		case h.Typeflag == tar.TypeLink:
			links[name] = link{path: name, target: clean(h.Linkname), layer: i, mark: want.Mark}
			if len(links)+len(b.pending) > maxLinks {
				return tooMany("hard links", maxLinks)
			}
		case h.Typeflag == tar.TypeSymlink && want.Link:
			b.links[name] = destination(name, h.Linkname)
			if len(b.links) > maxLinks {
				return tooMany("symbolic links", maxLinks)
			}
		}
	}
	b.above.absorb(own)
	return b.resolve(links, looked)
}

// readTargets keeps what pending hard links name and layer i has.
func (b *builder) readTargets(ctx context.Context, i int, archive *tar.Reader) error {
	// Two links may name one file under different marks: then it is kept whatever is
	// in it.
	wanted := map[string][]byte{}
	for _, p := range b.pending {
		if p.layer < i {
			continue
		}
		if mark, ok := wanted[p.target]; ok && !bytes.Equal(mark, p.mark) {
			wanted[p.target] = nil
			continue
		}
		wanted[p.target] = p.mark
	}
	found := map[string]*node{}
	for {
		name, h, err := b.next(archive)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		mark, ok := wanted[name]
		if !ok || !isFile(h) {
			continue
		}
		n, err := b.keep(ctx, i, name, h, mark, archive)
		if err != nil {
			return err
		}
		found[name] = n // nil if it has not the mark
	}
	var rest []link
	for _, p := range b.pending {
		n, ok := found[p.target]
		if !ok || p.layer < i {
			rest = append(rest, p)
			continue
		}
		if err := b.add(p.path, n); err != nil {
			return err
		}
	}
	b.pending = rest
	return nil
}

func isFile(h *tar.Header) bool {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeRegA, tar.TypeGNUSparse: //nolint:staticcheck // old archives have TypeRegA
		return true
	default:
		return false
	}
}

// remove notes a whiteout.
func (l layer) remove(dir, base string) {
	switch {
	case base == whiteoutOpaque && dir == ".":
		// Nothing of lower layers is left: there is no path that stands for all.
		l.removed.set("", opaque)
	case base == whiteoutOpaque:
		l.removed.set(dir, opaque)
	case strings.HasPrefix(base, whiteoutMeta):
	default:
		l.removed.set(path.Join(dir, strings.TrimPrefix(base, whiteoutPrefix)), blocked)
	}
}

// replace makes room for an entry: the last one of a path in a layer is the one
// that counts.
func (b *builder) replace(own layer, name string, dir bool) {
	before := own.entries.get(name)
	if dir {
		own.entries.set(name, directory)
	} else {
		own.entries.set(name, blocked)
	}
	if before == 0 || before == directory && dir || b.above.hides(name, dir) {
		return
	}
	delete(b.nodes, name)
	delete(b.links, name)
	if before == directory {
		below := func(other string) bool {
			return strings.HasPrefix(other, name+"/") && !b.above.hides(other, false)
		}
		maps.DeleteFunc(b.nodes, func(other string, _ *node) bool { return below(other) })
		maps.DeleteFunc(b.links, func(other, _ string) bool { return below(other) })
	}
}

// keep keeps the content of a file. It returns nil if it has not the mark.
func (b *builder) keep(ctx context.Context, i int, name string, h *tar.Header, mark []byte, r io.Reader) (*node, error) {
	if h.Size > b.limits.File {
		return nil, tooLarge(fmt.Sprintf("its file %.200q has %d bytes", name, h.Size), b.limits.File, "--max-file-bytes")
	}
	offset := b.spool.size
	kept, err := b.spool.put(ctx, r, h.Size, mark)
	if err != nil || !kept {
		return nil, corrupted(err)
	}
	return &node{mode: h.FileInfo().Mode().Perm(), size: h.Size, offset: offset, layer: i}, nil
}

// add shows what was kept under a path.
func (b *builder) add(name string, kept *node) error {
	if kept == nil {
		return nil
	}
	if b.pathBytes += len(name); b.pathBytes > maxPathBytes || len(b.nodes) >= maxFiles {
		return tooMany("files that name packages", maxFiles)
	}
	n := *kept
	n.name = path.Base(name)
	b.nodes[name] = &n
	return nil
}

// resolve gives the hard links of a layer the content that is in the same layer,
// and leaves the others pending.
func (b *builder) resolve(links map[string]link, looked map[string]string) error {
	for _, l := range links {
		if target := b.nodes[l.target]; target != nil && target.layer == l.layer {
			if err := b.add(l.path, target); err != nil {
				return err
			}
			continue
		}
		if missing, ok := looked[l.target]; ok && len(l.mark) > 0 && missing == string(l.mark) {
			continue // it has not the mark that this link asks for, either
		}
		b.pending = append(b.pending, l)
	}
	return nil
}

// destination returns the path that a symbolic link at name names, from the root.
func destination(name, target string) string {
	if path.IsAbs(target) {
		return clean(target)
	}
	return clean(path.Join(path.Dir(name), target))
}

// clean returns the path relative to the root, "" for the root itself. What leads
// out of it ends at it, as in a container.
func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// counter bounds what is unpacked.
type counter struct {
	r   io.Reader
	n   *int64
	max int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if *c.n += int64(n); *c.n > c.max {
		return 0, tooLarge("its layers unpack to too many bytes", c.max, "--max-unpacked-bytes")
	}
	return n, err
}

// corrupted is err, unless it says itself what it is.
func corrupted(err error) error {
	var (
		e    *content.Error
		disk *storeError
	)
	if err == nil || errors.As(err, &e) || errors.As(err, &disk) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return content.Errorf(content.ReasonCorrupted, "", "it cannot be read: %w", err)
}

// subject makes err one about a layer.
func subject(ctx context.Context, name string, err error) error {
	var e *content.Error
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return content.Errorf(content.ReasonTimedOut, name, "time ran out while it was looked into; raise --timeout of the scan steps: %w", ctx.Err())
	case errors.As(err, &e) && e.Subject == "":
		return &content.Error{Reason: e.Reason, Subject: name, Err: e.Err}
	case e != nil:
		return err
	default:
		return fmt.Errorf("read %s: %w", name, err)
	}
}
