package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/anchore/stereoscope/pkg/file"
	"github.com/anchore/stereoscope/pkg/filetree"

	"github.com/revet-dev/revet/pkg/pipeline/layers"
)

// Tree is a flattened image that can be searched like Syft's own trees.
type Tree struct {
	layers *layers.Tree
	tree   filetree.ReadWriter
	index  filetree.Index
	search filetree.Searcher
	hidden map[string]string // the reason, by path
}

// New reads the names of all files, and the first bytes of those that may be programs.
func New(flat *layers.Tree) (*Tree, error) {
	t := &Tree{layers: flat, tree: filetree.New(), index: filetree.NewIndex()}
	build := filetree.NewBuilder(t.tree, t.index)
	err := flat.Walk(func(e *layers.Entry) error {
		if e.Path == "" {
			return nil
		}
		m, err := t.metadata(e)
		if err != nil {
			return err
		}
		if _, err := build.Add(m); err != nil {
			return fmt.Errorf("add %q to the tree: %w", e.Path, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	t.search = filetree.NewSearchContext(t.tree, t.index)
	return t, nil
}

func (t *Tree) metadata(e *layers.Entry) (file.Metadata, error) {
	m := file.Metadata{
		FileInfo: file.ManualInfo{NameValue: path.Base(e.Path), SizeValue: e.Size, ModeValue: e.Mode, ModTimeValue: e.ModTime},
		Path:     "/" + e.Path, LinkDestination: e.Link, UserID: e.UID, GroupID: e.GID, Type: file.TypeFromMode(e.Mode),
	}
	if e.Type != layers.File || e.Size == 0 {
		return m, nil
	}
	var err error
	m.MIMEType, err = t.mediaType(e)
	return m, err
}

// programs are the first bytes of programs. Only programs get a media type: no enabled part of Syft
// asks for another one, and detecting it for every file takes long.
var programs = [][]byte{
	[]byte("\x7fELF"), []byte("MZ"), []byte("\xfe\xed\xfa\xce"), []byte("\xfe\xed\xfa\xcf"),
	[]byte("\xce\xfa\xed\xfe"), []byte("\xcf\xfa\xed\xfe"), []byte("\xca\xfe\xba\xbe"),
}

func (t *Tree) mediaType(e *layers.Entry) (string, error) {
	f, err := t.layers.Open(e)
	if err != nil {
		return "", fmt.Errorf("read %q: %w", e.Path, err)
	}
	var first [4]byte
	if _, err := f.ReadAt(first[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read %q: %w", e.Path, err)
	}
	for _, p := range programs {
		if bytes.HasPrefix(first[:], p) {
			return file.MIMEType(f), nil
		}
	}
	return "", nil
}

// Hide hides the content of a file from Syft, for the reason why. Each hard link must be hidden
// separately.
func (t *Tree) Hide(name, why string) {
	if t.hidden == nil {
		t.hidden = map[string]string{}
	}
	t.hidden[name] = why
}

// Walk calls f for every entry, and for directories before their content.
func (t *Tree) Walk(f func(*layers.Entry) error) error { return t.layers.Walk(f) }

// Lookup returns the entry with that name. It does not follow links.
func (t *Tree) Lookup(name string) (*layers.Entry, bool) { return t.layers.Lookup(name) }

// Children returns the entries in a directory.
func (t *Tree) Children(name string) []*layers.Entry { return t.layers.Children(name) }

// Resolve returns what a name leads to, following links. It returns false if nothing is there, and
// for a loop.
func (t *Tree) Resolve(name string) (*layers.Entry, bool) {
	const most = 40 // as in Linux
	todo := strings.Split(name, "/")
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
		e, ok := t.layers.Lookup(next)
		if !ok {
			return nil, false
		}
		if e.Type != layers.Symlink {
			at = next
			continue
		}
		if links++; links > most {
			return nil, false
		}
		if path.IsAbs(e.Link) {
			at = ""
		}
		todo = append(strings.Split(e.Link, "/"), todo...)
	}
	return t.layers.Lookup(at)
}

// Open opens a regular file.
func (t *Tree) Open(e *layers.Entry) (*io.SectionReader, error) { return t.layers.Open(e) }

// Read returns up to limit bytes from the beginning of a file, and whether that is the whole file.
func (t *Tree) Read(e *layers.Entry, limit int64) (raw []byte, whole bool, err error) {
	f, err := t.layers.Open(e)
	if err != nil {
		return nil, false, err
	}
	raw = make([]byte, min(limit, f.Size()))
	if _, err := io.ReadFull(f, raw); err != nil {
		return nil, false, fmt.Errorf("read %q: %w", e.Path, err)
	}
	return raw, int64(len(raw)) == f.Size(), nil
}
