package layers

import (
	"archive/tar"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"path"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
)

// Whiteouts, as OCI images and their predecessors write them.
const (
	whiteoutPrefix = ".wh."
	whiteoutOpaque = ".wh..wh..opq"
	whiteoutMeta   = ".wh..wh." // left by an old file system; not part of the image
)

// builder stacks layers.
//
// There are two ways to do that. Overlay: unpack each layer on its own, turn whiteouts into devices
// and attributes, and let the kernel merge. Native: unpack each layer over the layers below, and
// let a whiteout remove files. The builder does the first. At each entry it also checks whether the
// second would give the same result. It does, if no links or files lie on the way in the layers
// below.
type builder struct {
	limits Limits
	below  *nodes // the layers below, merged
	own    *nodes // this layer
	inodes inodes
	text   text
	keep   keeper // nil for Check
	// content reads the content of the present entry.
	content io.Reader

	layer   int
	digest  image.Digest
	clock   uint32 // counts the entries of the layer
	lazy    bool   // the layer has a table of contents
	entries int
	steps   int64
	paths   int64 // bytes of all entries' paths
	found   found
	// The directory of the last entry, because most entries share it with the entry before.
	lastDir string
	lastTo  place
}

// keeper keeps the content of a file.
type keeper func(h *tar.Header) (offset int64, err error)

func newBuilder(limits Limits) *builder {
	b := &builder{limits: limits}
	b.below = newNodes(maphash.MakeSeed(), &b.text)
	return b
}

func (b *builder) tell(kind Kind, name, format string, args ...any) {
	a := Ambiguity{Kind: kind, Layer: b.digest, Path: name}
	if b.found.count[kind] < maxEach { // there may be millions
		a.Message = fmt.Sprintf(format, args...)
	}
	b.found.add(a)
}

// begin starts the next layer.
func (b *builder) begin(layer int, digest image.Digest) {
	b.layer, b.digest, b.clock, b.lazy = layer, digest, 0, false
	b.own = newNodes(b.below.seed, &b.text)
	b.lastDir, b.lastTo = "", place{}
}

// count counts an entry, or a directory that an entry implies.
func (b *builder) count() error {
	if b.entries++; b.entries > b.limits.Entries {
		return tooLarge("its layers have too many files", int64(b.limits.Entries), "--max-entries")
	}
	return nil
}

// spell counts the bytes of a path. Links can turn short names into long paths, and whoever walks
// the tree gets them all.
func (b *builder) spell(at place, base string) error {
	if b.paths += int64(at.length + len(base)); b.paths > maxPathBytes {
		return tooMany("bytes of paths", maxPathBytes)
	}
	return nil
}

// place is a directory: in the layer (own), and in the layers below where they show through
// (below). If the layer has no such directory, own is 0.
type place struct {
	own, below ref
	length     int // of the path
}

// errRefused means that no runtime creates the entry.
var errRefused = errors.New("refused")

// entry adds one entry of the layer.
func (b *builder) entry(h *tar.Header) error {
	b.clock++
	if err := b.count(); err != nil {
		return err
	}
	name, ok := b.clean(h)
	if !ok {
		return nil
	}
	b.attributes(name, h)
	if name == "" {
		return b.rootEntry(h)
	}
	dir, base := path.Split(name)
	at, err := b.parent(strings.TrimSuffix(dir, "/"), name)
	if errors.Is(err, errRefused) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := b.spell(at, base); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeXGlobalHeader {
		b.global(at, base, name, h)
		return nil
	}
	if strings.HasPrefix(base, whiteoutPrefix) {
		return b.whiteout(at, base, name, h)
	}
	return b.put(at, base, name, h)
}

// rootEntry adds the entry of the root itself.
func (b *builder) rootEntry(h *tar.Header) error {
	switch {
	case h.Typeflag == tar.TypeXGlobalHeader:
		return nil
	case h.Typeflag != tar.TypeDir:
		b.tell(EntryName, h.Name, "it stands for the root and is not a directory: containerd ignores it, containers/storage refuses the layer")
	case b.keep != nil:
		b.own.at(root).inode = b.inodes.add(inodeOf(h, b.layer))
	}
	return nil
}

// clean returns the path of an entry relative to the root, "" for the root itself.
func (b *builder) clean(h *tar.Header) (string, bool) {
	name := path.Clean(h.Name)
	if name == ".." || strings.HasPrefix(name, "../") {
		b.tell(EntryName, h.Name, "it leads out of the root: some runtimes keep it inside, others refuse the layer")
	}
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if len(name) > maxPath {
		b.tell(EntryName, name, "its path has %d bytes: whether a runtime can unpack it depends on the directory it unpacks to", len(name))
		return "", false
	}
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > maxName {
			b.tell(EntryName, name, "a part of it has %d bytes; Linux allows %d, and runtimes refuse the layer", len(part), maxName)
			return "", false
		}
	}
	if strings.ContainsRune(name, 0) {
		b.tell(EntryName, name, "it contains a zero byte; runtimes refuse the layer")
		return "", false
	}
	if i := strings.LastIndexByte(name, '/'); i > 0 && strings.Contains("/"+name[:i], "/"+whiteoutPrefix) {
		b.tell(WhiteoutName, name, "its directory is named like a whiteout: some runtimes leave it out, others show it")
	}
	return name, true
}

// step counts one directory on the way to an entry.
func (b *builder) step() error {
	if b.steps++; b.steps > int64(b.limits.Entries)*stepsEach {
		return tooLarge("its files are nested too deep", int64(b.limits.Entries)*stepsEach, "--max-entries")
	}
	return nil
}

// parent finds the directory dir. It follows links as far as this layer has them, and creates
// missing directories.
func (b *builder) parent(dir, name string) (place, error) {
	if dir == "" {
		return b.top(), nil
	}
	if dir == b.lastDir && b.lastTo.own != 0 {
		return b.lastTo, nil
	}
	w := walk{b: b, name: name, at: []place{b.top()}, tell: true}
	if err := w.follow(dir); err != nil {
		return place{}, err
	}
	at, err := w.make()
	if err != nil {
		return place{}, err
	}
	b.lastDir, b.lastTo = dir, at
	return at, nil
}

// top returns the root. What lies below an opaque root shows through, as on overlay file systems.
func (b *builder) top() place { return place{own: root, below: root} }

// inside returns the place of own, a directory of the layer in at.
func (b *builder) inside(at place, own ref, base string) place {
	in := place{own: own, length: at.length + 1 + len(base)}
	d := b.own.at(own)
	if at.below == 0 || d.opaque != 0 || d.cleared != 0 {
		return in
	}
	if low := b.below.find(at.below, base); low != 0 && b.below.at(low).kind == Dir {
		in.below = low
	}
	return in
}

// under returns what the layers below have as base in at, unless this layer removed it.
func (b *builder) under(at place, base string) ref {
	if own := b.own.find(at.own, base); own != 0 {
		if d := b.own.at(own); d.cleared != 0 || d.kind != Dir {
			return 0
		}
	}
	return b.below.find(at.below, base)
}

// whiteout handles a file that marks something as removed.
func (b *builder) whiteout(at place, base, name string, h *tar.Header) error {
	b.lastDir = "" // markers change it
	if h.Typeflag != tar.TypeReg || h.Size > 0 {
		b.tell(WhiteoutType, name, "a whiteout that is not an empty file: containerd and containers/storage remove what it names, other tools show it")
	}
	gone := strings.TrimPrefix(base, whiteoutPrefix)
	switch {
	case base == whiteoutOpaque && at.own == root:
		if b.below.at(root).child != 0 {
			b.tell(OpaqueRoot, name, "native snapshotters and vfs hide everything in lower layers, overlay file systems show it")
		}
		b.own.at(root).opaque = b.clock // to detect what the order changes
		return nil
	case base == whiteoutOpaque:
		b.own.at(at.own).opaque = b.clock
		return nil
	case gone == "" || gone == "." || gone == "..":
		b.tell(WhiteoutName, name, "old runtimes remove its own directory or the one above; others refuse the layer")
		return nil
	case strings.HasPrefix(base, whiteoutMeta):
		b.tell(WhiteoutName, name, "a name used by AUFS: containers/storage with vfs ignores it, others remove %q", gone)
		return nil
	}
	own := b.own.find(at.own, gone)
	if own != 0 {
		what := "contains it too: overlay file systems refuse the layer, native snapshotters and vfs remove it"
		if b.own.at(own).kind == whiteout {
			what = "removes it twice: overlay file systems refuse the layer, native snapshotters and vfs do not"
		}
		b.tell(WhiteoutAndEntry, name, "the layer removes %q and %s", gone, what)
		b.own.at(own).cleared |= byWhiteout
		return nil
	}
	own, err := b.own.add(at.own, gone)
	if err != nil {
		return err
	}
	d := b.own.at(own)
	d.kind, d.made, d.told, d.cleared = whiteout, b.clock, b.clock, byWhiteout
	return nil
}

// put adds an entry that is shown.
func (b *builder) put(at place, base, name string, h *tar.Header) error {
	kind, ok := b.kindOf(name, h)
	if !ok {
		return nil
	}
	var target uint32
	if h.Typeflag == tar.TypeLink {
		var err error
		if kind, target, err = b.target(at, base, name, h.Linkname); err != nil || kind == 0 {
			return err
		}
	}
	b.device(at, base, name, kind, h)
	own, err := b.replace(at, base, name, kind)
	if err != nil {
		return err
	}
	return b.fill(own, kind, target, name, h)
}

// kindOf returns the type of an entry. For a hard link it returns File.
func (b *builder) kindOf(name string, h *tar.Header) (Type, bool) {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeRegA, tar.TypeLink: //nolint:staticcheck // old archives use TypeRegA
		return File, true
	case tar.TypeDir:
		return Dir, true
	case tar.TypeSymlink:
		return Symlink, true
	case tar.TypeChar:
		return CharDevice, true
	case tar.TypeBlock:
		return BlockDevice, true
	case tar.TypeFifo:
		return Fifo, true
	case tar.TypeGNUSparse, tar.TypeCont:
		b.tell(EntryType, name, "a file of type %q, which containerd and containers/storage refuse and other tools unpack", h.Typeflag)
		return File, true
	default:
		b.tell(EntryType, name, "an entry of type %q: runtimes refuse the layer, other tools ignore it or take it for a file", h.Typeflag)
		return File, h.Size > 0
	}
}

// replace makes room for an entry and returns its node.
func (b *builder) replace(at place, base, name string, kind Type) (ref, error) {
	own := b.own.find(at.own, base)
	if own == 0 {
		var err error
		if own, err = b.own.add(at.own, base); err != nil {
			return 0, err
		}
		d := b.own.at(own)
		d.kind, d.made, d.told = kind, b.clock, b.clock
		return own, nil
	}
	d := b.own.at(own)
	if d.kind != Dir || kind != Dir {
		b.lastDir = ""
	}
	switch {
	case d.kind == Dir && kind == Dir:
		if d.told == 0 {
			d.told = b.clock
		}
		return own, nil
	case d.kind == Dir:
		// At the end, runtimes set the time of each directory that had an entry. If a link has
		// taken its place they follow it, and if nothing is there they fail.
		if b.own.dated(own) || kind == Symlink && d.told != 0 {
			b.tell(Replaced, name, "the layer has a directory that contains others, and then something else in its place: most runtimes refuse the layer")
		}
		b.own.clear(own)
	}
	if d.kind != whiteout {
		d.cleared |= byReplacing
	}
	d.kind, d.inode, d.opaque, d.told = kind, 0, 0, b.clock
	return own, nil
}

// fill copies the header into a node.
func (b *builder) fill(own ref, kind Type, target uint32, name string, h *tar.Header) error {
	d := b.own.at(own)
	if target != 0 || h.Typeflag == tar.TypeLink {
		d.inode = target
		if target != 0 && kind != Symlink {
			b.inodes.at(target).mode = uint32(h.Mode & 0o7777)
		}
		return nil
	}
	if b.keep == nil && kind != Symlink {
		return nil
	}
	i := inodeOf(h, b.layer)
	switch kind {
	case Symlink:
		if len(h.Linkname) > maxPath {
			b.tell(EntryName, name, "a symbolic link to a path of %d bytes; runtimes refuse the layer", len(h.Linkname))
			h.Linkname = h.Linkname[:maxPath]
		}
		at, err := b.text.put(h.Linkname)
		if err != nil {
			return err
		}
		i.link, i.linked, i.size = at, uint16(len(h.Linkname)), 0 //nolint:gosec // at most maxPath
	case File:
		var err error
		if i.offset, err = b.keep(h); err != nil {
			return err
		}
	default:
		i.size = 0
	}
	d.inode = b.inodes.add(i)
	return nil
}
