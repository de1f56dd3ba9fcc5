package guard

import (
	"path"
	"slices"
	"strings"

	"github.com/revet-dev/revet/cmd/scan/internal/packages"
	"github.com/revet-dev/revet/pkg/pipeline/layers"
)

// releases are the files that name the distribution of a tree, in order of precedence.
var releases = []string{"etc/os-release", "usr/lib/os-release"}

// releaseOf returns the distribution that the tree below a directory names, or an empty value.
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

// contradiction reports os-release files that name two different distributions.
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
		r.unread("distribution", releases[1], "/etc/os-release and /usr/lib/os-release contradict each other, so it is unclear which records apply; "+
			"make one a link to the other, as the distribution does")
	}
	return nil
}

// otherRoot reports the package database of another system in the image. Its packages would be
// compared as if they belonged to the image's own distribution.
func (r *reading) otherRoot(e *layers.Entry) error {
	for _, name := range places {
		full := "/" + e.Path + "/"
		at := strings.Index(full, "/"+name+"/")
		if at < 0 {
			continue
		}
		// A shorter place name can be the end of a longer one.
		root := strings.TrimPrefix(strings.TrimSuffix(full[:at], "/usr"), "/")
		own, ok := r.tree.Resolve(name)
		if root == "" || ok && strings.HasPrefix(full, "/"+own.Path+"/") {
			return nil // its own, perhaps through a link
		}
		there, err := r.releaseOf(root)
		if err != nil {
			return err
		}
		here, err := r.releaseOf("")
		if err == nil && (there != here || there == packages.ReleaseName{}) {
			r.unread("distribution", e.Path, "the image contains the package database of another system, whose packages are compared as if they belonged to the image's own distribution; "+
				"check that system as an image of its own, or remove it")
		}
		return err
	}
	return nil
}
