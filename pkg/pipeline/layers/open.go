package layers

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Tree shows the layers of an image as one tree. It is safe for concurrent reads.
type Tree struct {
	b     *builder
	spool *spool
}

// Entry is a name in the tree.
type Entry struct {
	// Path is relative to the root, which is "". It need not be UTF-8.
	Path string
	Type Type
	Mode fs.FileMode // including the type
	UID  int
	GID  int
	Size int64
	// Link is the target of a symbolic link as written.
	Link string
	// Layer is the number of the layer that has the entry, counted from 0. It is -1 for a directory
	// without an entry in any layer.
	Layer   int
	ModTime time.Time

	inode uint32
}

// Open reads the layers of img. It keeps the content of files in temp.
func Open(ctx context.Context, blobs Blobs, img oci.Image, limits Limits, temp string) (*Tree, error) {
	c := NewChecker(blobs, limits)
	kept, err := newSpool(temp, c.b.limits.Kept)
	if err != nil {
		return nil, err
	}
	c.b.keep = func(h *tar.Header) (int64, error) {
		if h.Size > c.b.limits.File {
			return 0, tooLarge(fmt.Sprintf("its file %.200q has %d bytes", h.Name, h.Size), c.b.limits.File, "--max-file-bytes")
		}
		return kept.put(contextReader{ctx, c.b.content}, h.Size)
	}
	for _, l := range img.Layers {
		if _, err := c.Layer(ctx, l.Descriptor, io.Discard); err != nil {
			_ = kept.file.Close() // it has no name and is not needed any more
			return nil, err
		}
	}
	if _, err := c.Finish(); err != nil {
		_ = kept.file.Close() // as above
		return nil, err
	}
	return &Tree{b: c.b, spool: kept}, nil
}

// Close releases the kept content.
func (t *Tree) Close() error { return t.spool.file.Close() }

// Ambiguities returns where runtimes read the layers differently.
func (t *Tree) Ambiguities() []Ambiguity { return t.b.found.all }

// Walk calls f for every entry: the root first, each directory before its content, and the content
// in the order of names.
func (t *Tree) Walk(f func(*Entry) error) error { return t.walk(root, "", f) }

func (t *Tree) walk(r ref, name string, f func(*Entry) error) error {
	if err := f(t.entry(r, name)); err != nil {
		return err
	}
	for _, c := range t.b.below.sorted(r) {
		path := t.b.below.name(c)
		if name != "" {
			path = name + "/" + path
		}
		if err := t.walk(c, path, f); err != nil {
			return err
		}
	}
	return nil
}

// Lookup returns the entry at a path. It does not follow links.
func (t *Tree) Lookup(path string) (*Entry, bool) {
	at := root
	if path != "" {
		for part := range strings.SplitSeq(path, "/") {
			if at = t.b.below.find(at, part); at == 0 {
				return nil, false
			}
		}
	}
	return t.entry(at, path), true
}

// Children returns the entries in a directory, by name. It returns nil for anything else.
func (t *Tree) Children(path string) []*Entry {
	at := root
	if path != "" {
		for part := range strings.SplitSeq(path, "/") {
			if at = t.b.below.find(at, part); at == 0 {
				return nil
			}
		}
		path += "/"
	}
	var all []*Entry
	for _, c := range t.b.below.sorted(at) {
		all = append(all, t.entry(c, path+t.b.below.name(c)))
	}
	return all
}

// Open returns the content of a regular file.
func (t *Tree) Open(e *Entry) (*io.SectionReader, error) {
	if e.Type != File {
		return nil, &fs.PathError{Op: "open", Path: e.Path, Err: fs.ErrInvalid}
	}
	if e.inode == 0 {
		return io.NewSectionReader(t.spool.file, 0, 0), nil
	}
	i := t.b.inodes.at(e.inode)
	return io.NewSectionReader(t.spool.file, i.offset, i.size), nil
}

func (t *Tree) entry(r ref, name string) *Entry {
	d := t.b.below.at(r)
	e := &Entry{Path: name, Type: d.kind, Mode: kindMode(d.kind) | 0o755, Layer: -1, inode: d.inode}
	if d.inode == 0 {
		return e
	}
	i := t.b.inodes.at(d.inode)
	e.Mode = kindMode(d.kind) | permissions(i.mode)
	e.UID, e.GID, e.Layer, e.ModTime = int(i.uid), int(i.gid), int(i.layer), time.Unix(i.modified, 0).UTC()
	switch d.kind {
	case File:
		e.Size = i.size
	case Symlink:
		e.Link = string(t.b.text.get(i.link, int(i.linked)))
	default: // other types have neither
	}
	return e
}

func kindMode(t Type) fs.FileMode {
	switch t {
	case Dir:
		return fs.ModeDir
	case Symlink:
		return fs.ModeSymlink
	case CharDevice:
		return fs.ModeDevice | fs.ModeCharDevice
	case BlockDevice:
		return fs.ModeDevice
	case Fifo:
		return fs.ModeNamedPipe
	default:
		return 0
	}
}

func permissions(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	for bit, flag := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if mode&bit != 0 {
			m |= flag
		}
	}
	return m
}
