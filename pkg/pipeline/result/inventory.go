package result

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

const (
	inventoryName = "inventory.json"
	maxInventory  = 256 << 20
	// MaxLocations is how many places of a package are named.
	MaxLocations = 5
)

// Inventory lists the packages of all images of a layout.
type Inventory struct {
	// Digest is what was fetched: of an image or an index.
	Digest image.Digest `json:"digest"`
	// Tool is the program that looked, and its version.
	Tool   Tool             `json:"tool"`
	Images []InventoryImage `json:"images"`
}

// InventoryImage is an image and its packages.
type InventoryImage struct {
	Platform string       `json:"platform"`
	Digest   image.Digest `json:"digest"`
	// Release is what its os-release says; nil if there is none.
	Release  *Release  `json:"release,omitempty"`
	Packages []Package `json:"packages"`
	// Gaps are what of it could not be read.
	Gaps []Gap `json:"gaps,omitempty"`
}

// Distribution is ID:VERSION_ID of the image's os-release, or empty.
func (i InventoryImage) Distribution() string {
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
	// Extended is set if the image is configured for fixes that only subscribers get.
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
	// Private is set if the package is in no registry. A public package may have the
	// same name by chance.
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
func (f Inventory) Covers(tree oci.Tree) error {
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

// ErrNoInventory means that the sbom step did not write into the layout.
var ErrNoInventory = errors.New("no inventory: the sbom step did not run, or did not finish")

// InventoryPath returns the path of the inventory in the layout in dir.
func InventoryPath(dir string) string { return filepath.Join(dir, scanFolder, inventoryName) }

var inventoryFile = document{Name: "inventory", Limit: maxInventory}

// WriteInventory stores f in the layout in dir.
func WriteInventory(dir string, f Inventory) error { return inventoryFile.write(InventoryPath(dir), f) }

// ReadInventory returns the inventory in the layout in dir.
func ReadInventory(dir string) (Inventory, error) {
	var f Inventory
	err := inventoryFile.read(InventoryPath(dir), &f)
	if errors.Is(err, fs.ErrNotExist) {
		return Inventory{}, ErrNoInventory
	}
	if err != nil {
		return Inventory{}, err
	}
	return f, f.check()
}

func (f Inventory) check() error {
	if f.Digest.IsZero() {
		return errors.New("the inventory names no digest; run the sbom step again")
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
