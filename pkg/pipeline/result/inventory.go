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
	// MaxInventory bounds an inventory, in bytes.
	MaxInventory = 256 << 20
	// MaxLocations is the number of locations listed for a package.
	MaxLocations = 5
)

// Inventory lists the packages of all images of a layout.
type Inventory struct {
	// Digest is the image or index that fetch pulled.
	Digest image.Digest `json:"digest"`
	// Tool is the program that found the packages, with its version.
	Tool   Tool             `json:"tool"`
	Images []InventoryImage `json:"images"`
}

// InventoryImage is an image and its packages.
type InventoryImage struct {
	Platform string       `json:"platform"`
	Digest   image.Digest `json:"digest"`
	// Release comes from the image's os-release. It is nil if the image has none.
	Release  *Release  `json:"release,omitempty"`
	Packages []Package `json:"packages"`
	// Gaps are the parts of the image that could not be read.
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

// Release holds the fields of os-release that identify the distribution, under their own names.
type Release struct {
	ID         string   `json:"id"`
	IDLike     []string `json:"idLike,omitempty"`
	Name       string   `json:"name,omitempty"`
	Version    string   `json:"version,omitempty"`
	VersionID  string   `json:"versionID,omitempty"`
	Codename   string   `json:"codename,omitempty"`
	SupportEnd string   `json:"supportEnd,omitempty"`
	// Extended is set if the image is configured to get fixes that only subscribers get.
	Extended bool `json:"extended,omitempty"`
}

// Package is an installed package, with everything that the comparison needs.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Type is the type in the scanner's words: "deb", "go-module".
	Type     string `json:"type"`
	Language string `json:"language,omitempty"`
	PURL     string `json:"purl,omitempty"`
	// CPEs are names under which the NVD may know it, if packages of its kind are compared by CPE.
	CPEs []CPE `json:"cpes,omitempty"`
	// Upstreams are the packages it was built from.
	Upstreams []Upstream `json:"upstreams,omitempty"`
	// Metadata holds further data that packages of its kind are compared by.
	Metadata *Metadata `json:"metadata,omitempty"`
	Licenses []string  `json:"licenses,omitempty"`
	// Private is set if the package is in no registry. A public package may share its name by
	// chance.
	Private bool `json:"private,omitempty"`
	// Owners are the indexes of the packages that brought it along.
	Owners []int `json:"owners,omitempty"`
	// Locations are the first few paths in the image.
	Locations []string `json:"locations,omitempty"`
}

// Kind returns the kind of the package in the words of package URLs: "deb", "golang". Without a
// package URL it returns the type.
func (p Package) Kind() string {
	rest, ok := strings.CutPrefix(p.PURL, "pkg:")
	kind, _, found := strings.Cut(rest, "/")
	if !ok || !found {
		return p.Type
	}
	return kind
}

// CPE is a name in the NVD, and the source of the name.
type CPE struct {
	Value  string `json:"value"`
	Source string `json:"source,omitempty"`
}

// Upstream is a package that another one was built from.
type Upstream struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

// Metadata is the scanner's metadata of one kind.
type Metadata struct {
	Kind  string          `json:"kind"`
	Value json.RawMessage `json:"value"`
}

// Covers returns an error unless f covers all of tree, and nothing else.
func (f Inventory) Covers(tree oci.Tree) error {
	if f.Digest != tree.Root.Digest {
		return fmt.Errorf("the inventory describes %s, but fetch pulled %s", f.Digest, tree.Root.Digest)
	}
	looked := map[image.Digest]bool{}
	for _, i := range f.Images {
		looked[i.Digest] = true
	}
	for _, i := range tree.Images {
		if !looked[i.Manifest.Digest] {
			return fmt.Errorf("the inventory leaves out image %s (%s)", i.Manifest.Digest, i.Config.Platform)
		}
	}
	return nil
}

// ErrNoInventory means that the sbom step did not write into the layout.
var ErrNoInventory = errors.New("no inventory: the sbom step did not run, or did not finish")

// InventoryPath returns the path of the inventory in the layout in dir.
func InventoryPath(dir string) string { return filepath.Join(dir, scanFolder, inventoryName) }

var inventoryFile = document{Name: "inventory", Limit: MaxInventory}

// WriteInventory stores f in the layout in dir.
func WriteInventory(dir string, f Inventory) error { return inventoryFile.write(InventoryPath(dir), f) }

// ReadInventory returns the inventory in the layout in dir, and the digest of its bytes.
func ReadInventory(dir string) (Inventory, image.Digest, error) {
	var f Inventory
	digest, err := inventoryFile.readDigest(InventoryPath(dir), &f)
	if errors.Is(err, fs.ErrNotExist) {
		return Inventory{}, image.Digest{}, ErrNoInventory
	}
	if err != nil {
		return Inventory{}, image.Digest{}, err
	}
	return f, digest, f.check()
}

func (f Inventory) check() error {
	if f.Digest.IsZero() {
		return errors.New("the inventory names no digest; run the sbom step again")
	}
	for _, img := range f.Images {
		for i, p := range img.Packages {
			for _, o := range p.Owners {
				if o < 0 || o >= len(img.Packages) || o == i {
					return fmt.Errorf("the inventory says that %.80q came with package %d of %d", p.Name, o, len(img.Packages))
				}
			}
		}
	}
	return nil
}
