package validate

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

const maxSBOM = 64 << 20

// Materials holds what other steps found out about the images. The zero value means that none
// looked.
type Materials struct {
	// Packages maps each image to the packages of its SBOM. It is nil if no step made an SBOM.
	Packages map[image.Digest][]Package
	// Findings are the findings of a scanner. It is nil if none ran.
	Findings *result.Findings
}

// SBOM is the variable sbom.
type SBOM struct {
	Packages []Package `cel:"packages"`
}

// Package is an element of sbom.packages.
type Package struct {
	Name    string `cel:"name"`
	Version string `cel:"version"`
	PURL    string `cel:"purl"`
	// Type is the type in the purl: deb, golang, npm, ...
	Type string `cel:"type"`
}

// Findings is the variable findings.
type Findings struct {
	Vulnerabilities []Vulnerability `cel:"vulnerabilities"`
	DatabaseAsOf    time.Time       `cel:"databaseAsOf"`
}

// Vulnerability is an element of findings.vulnerabilities.
type Vulnerability struct {
	ID      string   `cel:"id"`
	Aliases []string `cel:"aliases"`
	Level   string   `cel:"level"`
	Score   float64  `cel:"score"`
	Package string   `cel:"package"`
	Version string   `cel:"version"`
	FixedIn []string `cel:"fixedIn"`
	Ignored bool     `cel:"ignored"`
	// Kind is the kind of the package: deb, golang, npm, ...
	Kind           string `cel:"kind"`
	KnownExploited bool   `cel:"knownExploited"`
	Malware        bool   `cel:"malware"`
}

// Base is the variable base: the base image that the image claims.
type Base struct {
	Name   string `cel:"name"`
	Digest string `cel:"digest"`
}

const (
	baseName   = "org.opencontainers.image.base.name"
	baseDigest = "org.opencontainers.image.base.digest"
)

// baseOf reads the annotations, where build tools put it, and falls back to the labels.
func baseOf(img oci.Image) Base {
	first := func(key string) string {
		if v := img.Annotations[key]; v != "" {
			return v
		}
		return img.Config.Config.Labels[key]
	}
	return Base{Name: first(baseName), Digest: first(baseDigest)}
}

// findings returns the findings of one image.
func (m Materials) findings(d image.Digest) Findings {
	if m.Findings == nil {
		return Findings{}
	}
	f := Findings{DatabaseAsOf: m.Findings.Database.AsOf}
	for _, v := range m.Findings.Vulnerabilities {
		if v.Digest != d {
			continue
		}
		f.Vulnerabilities = append(f.Vulnerabilities, Vulnerability{
			ID: v.ID, Aliases: v.Aliases, Level: string(v.Level), Score: v.Score,
			Package: v.Package.Name, Version: v.Package.Version, FixedIn: v.FixedIn, Ignored: v.Ignored != nil,
			Kind: cmp.Or(v.Package.Kind, purlType(v.Package.PURL)), KnownExploited: v.KnownExploited, Malware: v.Malware,
		})
	}
	return f
}

// LoadMaterials reads the SBOMs and findings that the layout in dir holds for the images of tree.
// If it finds some, they must cover every image. Otherwise rules would pass images that nobody
// scanned.
func LoadMaterials(dir string, tree oci.Tree) (Materials, error) {
	var m Materials
	for _, img := range tree.Images {
		packages, err := readSBOM(result.SBOMPath(dir, img.Manifest.Digest))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Materials{}, fmt.Errorf("the SBOM of image %s: %w", img.Config, err)
		}
		if m.Packages == nil {
			m.Packages = map[image.Digest][]Package{}
		}
		m.Packages[img.Manifest.Digest] = packages
	}
	if n := len(m.Packages); n > 0 && n < len(tree.Images) {
		return Materials{}, fmt.Errorf("the layout holds SBOMs for %d of %d images", n, len(tree.Images))
	}
	found, err := result.ReadFindings(dir)
	if errors.Is(err, result.ErrNoFindings) {
		return m, nil
	}
	if err != nil {
		return Materials{}, err
	}
	if found.Digest != tree.Root.Digest {
		return Materials{}, fmt.Errorf("the findings describe %s, but fetch pulled %s", found.Digest, tree.Root.Digest)
	}
	scanned := map[image.Digest]bool{}
	for _, i := range found.Images {
		scanned[i.Digest] = true
	}
	for _, img := range tree.Images {
		if !scanned[img.Manifest.Digest] {
			return Materials{}, fmt.Errorf("the findings leave out image %s (%s)", img.Manifest.Digest, img.Config)
		}
	}
	m.Findings = &found
	return m, nil
}

// readSBOM reads the packages of a CycloneDX document.
func readSBOM(path string) ([]Package, error) {
	f, err := os.Open(path) //nolint:gosec // the caller names the layout
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxSBOM+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxSBOM {
		return nil, fmt.Errorf("it has more than %d bytes", maxSBOM)
	}
	var doc struct {
		Format     string `json:"bomFormat"`
		Components []struct {
			Type    string `json:"type"`
			Name    string `json:"name"`
			Group   string `json:"group"`
			Version string `json:"version"`
			PURL    string `json:"purl"`
		} `json:"components"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("cannot read it: %w", err)
	}
	if doc.Format != "CycloneDX" {
		return nil, fmt.Errorf("its bomFormat is %q, not CycloneDX", image.Cut(doc.Format, 60))
	}
	packages := make([]Package, 0, len(doc.Components))
	for _, c := range doc.Components {
		if c.Type == "operating-system" || c.Type == "file" {
			continue // not a package
		}
		p := Package{Name: c.Name, Version: c.Version, PURL: c.PURL, Type: purlType(c.PURL)}
		if c.Group != "" {
			p.Name = c.Group + "/" + c.Name
		}
		packages = append(packages, p)
	}
	return packages, nil
}

// purlType returns the type of a purl: "deb" for "pkg:deb/debian/bash@5.2".
func purlType(purl string) string {
	rest, ok := strings.CutPrefix(purl, "pkg:")
	if !ok {
		return ""
	}
	kind, _, _ := strings.Cut(strings.TrimLeft(rest, "/"), "/")
	return kind
}
