package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/document"
)

const (
	folder  = "scan"
	file    = "inventory.json"
	maxFile = 256 << 20
	// MaxLocations is how many places of a package are named.
	MaxLocations = 5
)

// File is what was found in the images of a layout.
type File struct {
	// Digest is what was fetched: of an image or an index.
	Digest image.Digest `json:"digest"`
	// Tool is the program that looked, and its version.
	Tool   Tool    `json:"tool"`
	Images []Image `json:"images"`
}

// Tool is a program.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Image is an image that was looked into.
type Image struct {
	Platform string       `json:"platform"`
	Digest   image.Digest `json:"digest"`
	// Distribution is ID:VERSION_ID of its os-release, or empty.
	Distribution string    `json:"distribution,omitempty"`
	Packages     []Package `json:"packages"`
	// Unread are files that name packages and could not be read, the first few.
	Unread []Unread `json:"unread,omitempty"`
	// UnreadCount counts all of them.
	UnreadCount int `json:"unreadCount,omitempty"`
}

// Package is a package as it is installed.
type Package struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Ecosystem string `json:"ecosystem"` // as OSV names it, with its release: "Debian:12"
	PURL      string `json:"purl"`
	// Compared is what vulnerabilities are told of, where that is another: the source
	// package of a distribution's.
	Compared Compared `json:"compared,omitzero"`
	// Locations are paths in the image, the first few.
	Locations []string `json:"locations,omitempty"`
}

// Compared is the name and version that vulnerabilities go by.
type Compared struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Key is the name and the version that p is compared by.
func (p Package) Key() Compared {
	if p.Compared != (Compared{}) {
		return p.Compared
	}
	return Compared{Name: p.Name, Version: p.Version}
}

// Unread is a file that could not be read.
type Unread struct {
	Path string `json:"path"`
	Why  string `json:"why"`
}

// Merge sorts packages and makes one of those that differ in their locations only.
func Merge(all []Package) []Package {
	byID := func(a, b Package) int {
		return cmp.Or(cmp.Compare(a.Ecosystem, b.Ecosystem), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version),
			cmp.Compare(a.PURL, b.PURL), cmp.Compare(a.Compared.Name, b.Compared.Name), cmp.Compare(a.Compared.Version, b.Compared.Version))
	}
	slices.SortStableFunc(all, func(a, b Package) int { return cmp.Or(byID(a, b), slices.Compare(a.Locations, b.Locations)) })
	var out []Package
	for _, p := range all {
		if n := len(out); n > 0 && byID(out[n-1], p) == 0 {
			last := &out[n-1]
			for _, l := range p.Locations {
				if len(last.Locations) < MaxLocations && !slices.Contains(last.Locations, l) {
					last.Locations = append(last.Locations, l)
				}
			}
			continue
		}
		p.Locations = slices.Clone(p.Locations[:min(len(p.Locations), MaxLocations)])
		out = append(out, p)
	}
	return out
}

// Covers reports an error unless f is of all of tree, and of that only.
func (f File) Covers(tree content.Tree) error {
	if f.Digest != tree.Root.Digest {
		return fmt.Errorf("the inventory is of %s, and %s was fetched", f.Digest, tree.Root.Digest)
	}
	looked := map[image.Digest]bool{}
	for _, i := range f.Images {
		looked[i.Digest] = true
	}
	for _, i := range tree.Images {
		if !looked[i.Manifest.Digest] {
			return fmt.Errorf("the inventory leaves out the image %s (%s)", i.Manifest.Digest, i.Config.Platform)
		}
	}
	return nil
}

// ErrMissing is of a layout that nobody took stock of.
var ErrMissing = errors.New("no inventory: the sbom step did not run, or did not finish")

// Path returns where the inventory is in the layout in dir.
func Path(dir string) string { return filepath.Join(dir, folder, file) }

var kind = document.Kind{Name: "inventory", Limit: maxFile}

// Write stores f in the layout in dir.
func Write(dir string, f File) error { return kind.Write(Path(dir), f) }

// Read returns the inventory in the layout in dir.
func Read(dir string) (File, error) {
	var f File
	err := kind.Read(Path(dir), &f)
	if errors.Is(err, fs.ErrNotExist) {
		return File{}, ErrMissing
	}
	if err != nil {
		return File{}, err
	}
	if f.Digest.IsZero() {
		return File{}, errors.New("the inventory does not say what it is of")
	}
	return f, nil
}
