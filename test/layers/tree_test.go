package layers

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// tree is what a container sees below its root, by path.
type tree map[string]node

type node struct {
	kind    string // file, dir, symlink, char, block, fifo
	content string // of a file its content or digest, of a link its target
	mode    fs.FileMode
}

// names reports whether a check reads the node: it is a file, or a name of one.
func (n node) names() bool { return n.kind == "file" || n.kind == "symlink" }

func (n node) String() string {
	if n.kind == "" {
		return "nothing"
	}
	return fmt.Sprintf("%s %q %v", n.kind, n.content, n.mode)
}

// short keeps small contents as they are, for a reader's sake.
func short(r io.Reader) (string, error) {
	content, err := io.ReadAll(r)
	if err != nil {
		return "", err
	}
	if len(content) > 40 {
		return fmt.Sprintf("sha256:%x", sha256.Sum256(content)), nil
	}
	return string(content), nil
}

// walk reads the tree that is mounted at root.
func walk(root string) (tree, error) {
	out := tree{}
	return out, out.add(root, "")
}

func (t tree) add(root, below string) error {
	all, err := os.ReadDir(filepath.Join(root, below))
	if err != nil && below != "" {
		t[below] = unreachable(err)
		return nil
	}
	if err != nil {
		return err
	}
	for _, d := range all {
		name := filepath.Join(below, d.Name())
		n, err := look(filepath.Join(root, name))
		if errors.Is(err, fs.ErrNotExist) {
			// Overlay lists a whiteout in a directory that only one layer has, and
			// finds nothing there.
			continue
		}
		if err != nil {
			n = unreachable(err)
		}
		t[name] = n
		if n.kind != "dir" {
			continue
		}
		if err := t.add(root, name); err != nil {
			return err
		}
	}
	return nil
}

// unreachable is what a container can name and not look at.
func unreachable(err error) node {
	var errno syscall.Errno
	errors.As(err, &errno)
	return node{kind: "unreachable", content: errno.Error()}
}

func look(path string) (node, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return node{}, err
	}
	n := node{mode: info.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)}
	switch info.Mode().Type() {
	case 0:
		n.kind = "file"
		f, err := os.Open(path)
		if err != nil {
			return node{}, err
		}
		defer f.Close()
		n.content, err = short(f)
		return n, err
	case fs.ModeDir:
		n.kind = "dir"
	case fs.ModeSymlink:
		n.kind, n.mode = "symlink", 0
		n.content, err = os.Readlink(path)
		return n, err
	case fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice:
		n.kind = "block"
		if info.Mode()&fs.ModeCharDevice != 0 {
			n.kind = "char"
		}
	case fs.ModeNamedPipe:
		n.kind = "fifo"
	default:
		return node{}, fmt.Errorf("%s is a %s, which no entry asks for", path, info.Mode().Type())
	}
	return n, nil
}

// difference is a path at which two trees are not the same.
type difference struct {
	path        string
	ours, shown node
}

// unread reports whether a runtime shows a file that was not read, or other content.
func (d difference) unread() bool {
	return d.shown.names() && (d.ours.kind != d.shown.kind || d.ours.content != d.shown.content)
}

// onlyDevice reports whether nothing that can be read is concerned: one of the two is
// a device or a pipe, and the other one too, or nothing.
func (d difference) onlyDevice() bool {
	readable := func(n node) bool { return n.names() || n.kind == "dir" || n.kind == "unreachable" }
	return !readable(d.ours) && !readable(d.shown)
}

// onlyMode reports whether nothing but permissions differs.
func (d difference) onlyMode() bool {
	return d.ours.kind == d.shown.kind && d.ours.content == d.shown.content
}

func (d difference) String() string {
	return fmt.Sprintf("%q: we read %s, it shows %s", d.path, d.ours, d.shown)
}

// compare returns where shown differs from ours, by path.
func compare(ours, shown tree) []difference {
	paths := maps.Clone(ours)
	maps.Copy(paths, shown)
	var out []difference
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		if ours[p] != shown[p] {
			out = append(out, difference{path: p, ours: ours[p], shown: shown[p]})
		}
	}
	return out
}
