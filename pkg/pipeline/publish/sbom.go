package publish

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

const (
	sbomType = "application/vnd.cyclonedx+json"
	maxSBOM  = 64 << 20
)

// SBOMs returns the SBOMs that the layout in dir holds of tree's images: of all
// or of none. The same SBOM gives the same artefact, however often it is pushed.
func SBOMs(dir string, tree oci.Tree) ([]Artifact, error) {
	var all []Artifact
	for _, img := range tree.Images {
		raw, err := readBounded(result.SBOMPath(dir, img.Manifest.Digest), maxSBOM)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read SBOM: %w", err)
		}
		all = append(all, Artifact{Subject: img.Manifest, Type: sbomType, Content: raw, Title: "sbom.cdx.json"})
	}
	if n := len(all); n > 0 && n < len(tree.Images) {
		return nil, fmt.Errorf("there are SBOMs of %d of %d images", n, len(tree.Images))
	}
	return all, nil
}

func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the layout is what the caller names
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(raw)) > most {
		err = fmt.Errorf("%q has more than %d bytes", filepath.Base(path), most)
	}
	return raw, err
}
