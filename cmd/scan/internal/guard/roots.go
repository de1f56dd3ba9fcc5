package guard

import (
	"path"
	"slices"
	"strings"

	"github.com/revet-dev/revet/cmd/scan/internal/packages"
	"github.com/revet-dev/revet/pkg/pipeline/layers"
)

// releases are the files that say of which distribution a tree is, as they count.
var releases = []string{"etc/os-release", "usr/lib/os-release"}

// releaseOf returns what the tree below a directory says it is; empty if it does not.
func (r *reading) releaseOf(root string) (packages.ReleaseName, error) {
	for _, name := range releases {
		e, ok := r.tree.Resolve(path.Join(root, name))
		if !ok || e.Type != layers.File {
			continue
		}
		of, err := packages.ReadRelease(r.tree, e)
		if err != nil || of != (packages.ReleaseName{}) {
			return of, err
		}
	}
	return packages.ReleaseName{}, nil
}

// contradiction tells of two files that say of two distributions which one it is.
func (r *reading) contradiction() error {
	var said []packages.ReleaseName
	for _, name := range releases {
		e, ok := r.tree.Resolve(name)
		if !ok || e.Type != layers.File {
			continue
		}
		of, err := packages.ReadRelease(r.tree, e)
		if err != nil {
			return err
		}
		if of != (packages.ReleaseName{}) && !slices.Contains(said, of) {
			said = append(said, of)
		}
	}
	if len(said) > 1 {
		r.unread("distribution", releases[1], "/etc/os-release and /usr/lib/os-release say different things, so that nobody knows with whose records to compare; "+
			"make the one a link to the other, as the distribution does")
	}
	return nil
}

// otherRoot tells of the package database of another system that lies in the image: its
// packages are compared as if they were of the image's own distribution.
func (r *reading) otherRoot(e *layers.Entry) error {
	for _, name := range places {
		full := "/" + e.Path + "/"
		at := strings.Index(full, "/"+name+"/")
		if at < 0 {
			continue
		}
		// The shorter name of a place is the end of a longer one.
		root := strings.TrimPrefix(strings.TrimSuffix(full[:at], "/usr"), "/")
		own, ok := r.tree.Resolve(name)
		if root == "" || ok && strings.HasPrefix(full, "/"+own.Path+"/") {
			return nil // its own, perhaps by a link
		}
		there, err := r.releaseOf(root)
		if err != nil {
			return err
		}
		here, err := r.releaseOf("")
		if err == nil && (there != here || there == packages.ReleaseName{}) {
			r.unread("distribution", e.Path, "the image holds the package database of another system than its own, whose packages are compared as if they were its own distribution's; "+
				"check that system as an image of its own, or remove it")
		}
		return err
	}
	return nil
}
