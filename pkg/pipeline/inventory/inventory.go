package inventory

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/document"
	"github.com/revet-dev/revet/pkg/pipeline/findings"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
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
	// Release is what its os-release says; nil if there is none.
	Release  *Release  `json:"release,omitempty"`
	Packages []Package `json:"packages"`
	// Gaps are what of it could not be read.
	Gaps []findings.Gap `json:"gaps,omitempty"`
}

// Distribution is ID:VERSION_ID of the image's os-release, or empty.
func (i Image) Distribution() string {
	if i.Release == nil {
		return ""
	}
	if version := cmp.Or(i.Release.VersionID, i.Release.Codename); version != "" {
		return i.Release.ID + ":" + version
	}
	return i.Release.ID
}

// Release is what of os-release says which distribution it is, by its fields' names.
type Release struct {
	ID         string   `json:"id"`
	IDLike     []string `json:"idLike,omitempty"`
	Name       string   `json:"name,omitempty"`
	Version    string   `json:"version,omitempty"`
	VersionID  string   `json:"versionID,omitempty"`
	Codename   string   `json:"codename,omitempty"`
	SupportEnd string   `json:"supportEnd,omitempty"`
	// Extended says that the image is set up for fixes that subscribers get.
	Extended bool `json:"extended,omitempty"`
}

// Package is a package as it is installed, with what it is compared by.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Type is as the scanner names it: "deb", "go-module".
	Type     string `json:"type"`
	Language string `json:"language,omitempty"`
	PURL     string `json:"purl,omitempty"`
	// CPEs are the names by which the NVD may know it, as far as it is compared by them.
	CPEs []CPE `json:"cpes,omitempty"`
	// Upstreams are the packages that it was built from.
	Upstreams []Upstream `json:"upstreams,omitempty"`
	// Metadata is what else of its kind is compared.
	Metadata *Metadata `json:"metadata,omitempty"`
	Licenses []string  `json:"licenses,omitempty"`
	// Private says that it is of no registry: it has the name of a stranger's by chance.
	Private bool `json:"private,omitempty"`
	// Owners are the indexes of packages that it came with.
	Owners []int `json:"owners,omitempty"`
	// Locations are paths in the image, the first few.
	Locations []string `json:"locations,omitempty"`
}

// Kind is the package's as package URLs name it: "deb", "golang"; without such a URL
// it is its type.
func (p Package) Kind() string {
	rest, ok := strings.CutPrefix(p.PURL, "pkg:")
	kind, _, found := strings.Cut(rest, "/")
	if !ok || !found {
		return p.Type
	}
	return kind
}

// CPE is a name of the NVD's, and who says so.
type CPE struct {
	Value  string `json:"value"`
	Source string `json:"source,omitempty"`
}

// Upstream is a package that another was built from.
type Upstream struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

// Metadata is the scanner's of one kind.
type Metadata struct {
	Kind  string          `json:"kind"`
	Value json.RawMessage `json:"value"`
}

// Covers reports an error unless f is of all of tree, and of that only.
func (f File) Covers(tree oci.Tree) error {
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
	return f, f.check()
}

func (f File) check() error {
	if f.Digest.IsZero() {
		return errors.New("the inventory does not say what it is of")
	}
	for _, img := range f.Images {
		for i, p := range img.Packages {
			for _, o := range p.Owners {
				if o < 0 || o >= len(img.Packages) || o == i {
					return fmt.Errorf("the inventory says that %.80q came with package %d, of %d", p.Name, o, len(img.Packages))
				}
			}
		}
	}
	return nil
}
