package rootfs

import (
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// FS is a file system of what was wanted. It is fs.FS, fs.StatFS and fs.ReadDirFS.
type FS struct {
	content  *os.File
	nodes    map[string]*node
	dangling map[string]string
}

// Dangling are the symbolic links that [Want] asked for and that name no file that
// was wanted, with the paths that they name.
func (f *FS) Dangling() map[string]string { return f.dangling }

// maxHops is how many links may lead to one another, as on Linux.
const maxHops = 40

// follow gives symbolic links the content of what they name.
func (b *builder) follow() (dangling map[string]string, err error) {
	dangling = map[string]string{}
	found := map[string]*node{}
	for name, target := range b.links {
		for hops := 0; b.nodes[target] == nil && hops < maxHops; hops++ {
			next, ok := b.links[target]
			if !ok {
				break
			}
			target = next
		}
		if n := b.nodes[target]; n != nil {
			found[name] = n
			continue
		}
		dangling[name] = b.links[name]
	}
	for name, n := range found {
		if err := b.add(name, n); err != nil {
			return nil, err
		}
	}
	return dangling, nil
}

// finish makes the directories.
func (b *builder) finish() (*FS, error) {
	dangling, err := b.follow()
	if err != nil {
		return nil, err
	}
	f := &FS{content: b.spool.file, nodes: b.nodes, dangling: dangling}
	root := &node{name: ".", mode: fs.ModeDir | 0o555}
	dirs := map[string]*node{".": root}
	for name, n := range b.nodes {
		for child := n; ; {
			dir := path.Dir(name)
			parent, ok := dirs[dir]
			if !ok {
				if len(dirs) >= maxDirectories {
					return nil, tooMany("directories of files that name packages", maxDirectories)
				}
				parent = &node{name: path.Base(dir), mode: fs.ModeDir | 0o555}
				dirs[dir] = parent
			}
			parent.children = append(parent.children, child)
			if ok {
				break
			}
			name, child = dir, parent
		}
	}
	for name, dir := range dirs {
		// A malformed layer may have a file and, below it, others: what leads to
		// something stays.
		if file, ok := f.nodes[name]; ok {
			parent := dirs[path.Dir(name)]
			parent.children = slices.DeleteFunc(parent.children, func(n *node) bool { return n == file })
		}
		f.nodes[name] = dir
	}
	for _, dir := range dirs {
		slices.SortFunc(dir.children, func(a, b *node) int { return strings.Compare(a.name, b.name) })
	}
	return f, nil
}

// Close gives up what was kept.
func (f *FS) Close() error { return f.content.Close() }

func (f *FS) find(op, name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n, ok := f.nodes[name]
	if !ok {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return n, nil
}

// Open implements fs.FS.
func (f *FS) Open(name string) (fs.File, error) {
	n, err := f.find("open", name)
	if err != nil {
		return nil, err
	}
	if n.IsDir() {
		return &directoryFile{node: n}, nil
	}
	return &regularFile{SectionReader: io.NewSectionReader(f.content, n.offset, n.size), node: n}, nil
}

// Stat implements fs.StatFS.
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	n, err := f.find("stat", name)
	if err != nil {
		return nil, err
	}
	return n, nil
}

// ReadDir implements fs.ReadDirFS.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := f.find("readdir", name)
	if err != nil {
		return nil, err
	}
	return entries(n.children), nil
}

func entries(children []*node) []fs.DirEntry {
	all := make([]fs.DirEntry, len(children))
	for i, c := range children {
		all[i] = fs.FileInfoToDirEntry(c)
	}
	return all
}

// node is its own fs.FileInfo.

// Name implements fs.FileInfo.
func (n *node) Name() string { return n.name }

// Size implements fs.FileInfo.
func (n *node) Size() int64 { return n.size }

// Mode implements fs.FileInfo.
func (n *node) Mode() fs.FileMode { return n.mode }

// ModTime implements fs.FileInfo. Nobody asks when a file was made.
func (n *node) ModTime() time.Time { return time.Time{} }

// IsDir implements fs.FileInfo.
func (n *node) IsDir() bool { return n.mode.IsDir() }

// Sys implements fs.FileInfo.
func (n *node) Sys() any { return nil }

type regularFile struct {
	*io.SectionReader
	node *node
}

// Stat implements fs.File.
func (f *regularFile) Stat() (fs.FileInfo, error) { return f.node, nil }

// Close implements fs.File.
func (f *regularFile) Close() error { return nil }

type directoryFile struct {
	node *node
	read int
}

// Stat implements fs.File.
func (d *directoryFile) Stat() (fs.FileInfo, error) { return d.node, nil }

// Read implements fs.File.
func (d *directoryFile) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.node.name, Err: fs.ErrInvalid}
}

// Close implements fs.File.
func (d *directoryFile) Close() error { return nil }

// ReadDir implements fs.ReadDirFile.
func (d *directoryFile) ReadDir(n int) ([]fs.DirEntry, error) {
	rest := d.node.children[d.read:]
	if n > 0 {
		if len(rest) == 0 {
			return nil, io.EOF
		}
		rest = rest[:min(n, len(rest))]
	}
	d.read += len(rest)
	return entries(rest), nil
}
