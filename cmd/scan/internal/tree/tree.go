package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/anchore/stereoscope/pkg/file"
	"github.com/anchore/stereoscope/pkg/filetree"
)

// Node is a file, a directory, a link, or a device.
type Node struct {
	// Path is relative to the root: "usr/bin/env".
	Path string
	// Mode tells the kind, too.
	Mode     fs.FileMode
	UID, GID int
	Size     int64
	// Link is the target of a symbolic link, as it is written.
	Link    string
	ModTime time.Time
}

// Files are those of a flattened image.
type Files interface {
	// Walk calls f for each node but the root, directories before what is in them.
	Walk(f func(Node) error) error
	// Open opens a regular file.
	Open(path string) (Content, error)
}

// Content is that of a file. Readers of binaries want io.ReaderAt and io.Seeker.
type Content interface {
	io.ReadSeekCloser
	io.ReaderAt
}

// Tree is a flattened image, searchable as Syft does it.
type Tree struct {
	files  Files
	nodes  map[string]Node
	paths  []string
	tree   filetree.ReadWriter
	index  filetree.Index
	search filetree.Searcher
}

// New reads the names of all files, and of those that may be programs the first bytes.
func New(files Files) (*Tree, error) {
	t := &Tree{files: files, nodes: map[string]Node{}, tree: filetree.New(), index: filetree.NewIndex()}
	build := filetree.NewBuilder(t.tree, t.index)
	err := files.Walk(func(n Node) error {
		m, err := t.metadata(n)
		if err != nil {
			return err
		}
		if _, err := build.Add(m); err != nil {
			return fmt.Errorf("take %q into the tree: %w", n.Path, err)
		}
		t.nodes[n.Path] = n
		t.paths = append(t.paths, n.Path)
		return nil
	})
	if err != nil {
		return nil, err
	}
	t.search = filetree.NewSearchContext(t.tree, t.index)
	return t, nil
}

func (t *Tree) metadata(n Node) (file.Metadata, error) {
	m := file.Metadata{
		FileInfo: info{n}, Path: "/" + n.Path, LinkDestination: n.Link, UserID: n.UID, GroupID: n.GID, Type: file.TypeFromMode(n.Mode),
	}
	if m.Type != file.TypeRegular || n.Size == 0 {
		return m, nil
	}
	var err error
	m.MIMEType, err = t.mediaType(n)
	return m, err
}

// programs are what programs begin with. Only these have their media type told: nothing
// that is on looks for another one, and telling that of every file takes long.
var programs = [][]byte{
	[]byte("\x7fELF"), []byte("MZ"), []byte("\xfe\xed\xfa\xce"), []byte("\xfe\xed\xfa\xcf"),
	[]byte("\xce\xfa\xed\xfe"), []byte("\xcf\xfa\xed\xfe"), []byte("\xca\xfe\xba\xbe"),
}

func (t *Tree) mediaType(n Node) (string, error) {
	f, err := t.files.Open(n.Path)
	if err != nil {
		return "", fmt.Errorf("read %q: %w", n.Path, err)
	}
	defer f.Close()
	var first [4]byte
	if _, err := io.ReadFull(f, first[:]); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read %q: %w", n.Path, err)
	}
	for _, p := range programs {
		if bytes.HasPrefix(first[:], p) {
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				return "", fmt.Errorf("read %q: %w", n.Path, err)
			}
			return file.MIMEType(f), nil
		}
	}
	return "", nil
}

// Each calls f for each node, sorted by path.
func (t *Tree) Each(f func(Node)) {
	for _, p := range t.paths {
		f(t.nodes[p])
	}
}

// Lookup finds a node. No link is followed.
func (t *Tree) Lookup(name string) (Node, bool) {
	n, ok := t.nodes[name]
	return n, ok
}

// Resolve finds what a name leads to, links followed. It is false for what is not
// there, and for a loop.
func (t *Tree) Resolve(name string) (Node, bool) {
	const most = 40 // as Linux has it
	todo := strings.Split(path.Clean("/" + name)[1:], "/")
	at, links := "", 0
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = strings.TrimPrefix(path.Dir("/"+at), "/")
			continue
		}
		next := path.Join(at, part)
		n, ok := t.nodes[next]
		if !ok {
			return Node{}, false
		}
		if n.Mode.Type() != fs.ModeSymlink {
			at = next
			continue
		}
		if links++; links > most || len(n.Link) > 4096 {
			return Node{}, false
		}
		if path.IsAbs(n.Link) {
			at = ""
		}
		todo = append(strings.Split(n.Link, "/"), todo...)
	}
	if at == "" {
		return Node{Mode: fs.ModeDir}, true
	}
	n, ok := t.nodes[at]
	return n, ok
}

// Open opens a regular file.
func (t *Tree) Open(name string) (Content, error) { return t.files.Open(name) }

// Read returns at most limit bytes of a file's beginning, and whether that is all.
func (t *Tree) Read(name string, limit int64) (raw []byte, whole bool, err error) {
	f, err := t.files.Open(name)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	raw, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, false, err
	}
	if int64(len(raw)) > limit {
		return raw[:limit], false, nil
	}
	return raw, true, nil
}

// info is a node as fs.FileInfo.
type info struct{ n Node }

// Name implements fs.FileInfo.
func (i info) Name() string { return path.Base(i.n.Path) }

// Size implements fs.FileInfo.
func (i info) Size() int64 { return i.n.Size }

// Mode implements fs.FileInfo.
func (i info) Mode() fs.FileMode { return i.n.Mode }

// ModTime implements fs.FileInfo.
func (i info) ModTime() time.Time { return i.n.ModTime }

// IsDir implements fs.FileInfo.
func (i info) IsDir() bool { return i.n.Mode.IsDir() }

// Sys implements fs.FileInfo.
func (i info) Sys() any { return nil }
