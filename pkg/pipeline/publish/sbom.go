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

const sbomType = "application/vnd.cyclonedx+json"

// SBOM returns an SBOM as an artefact beside the image that it is about.
func SBOM(subject oci.Descriptor, raw []byte) Artifact {
	return Artifact{Subject: subject, Type: sbomType, Content: raw, Title: "sbom.cdx.json"}
}

// SBOMs returns the SBOMs of tree's images from the layout in dir. The layout must have an SBOM for
// every image or for none. The same SBOM always gives the same artefact.
func SBOMs(dir string, tree oci.Tree) ([]Artifact, error) {
	var all []Artifact
	for _, img := range tree.Images {
		raw, err := readBounded(result.SBOMPath(dir, img.Manifest.Digest), result.MaxSBOM)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read SBOM: %w", err)
		}
		all = append(all, SBOM(img.Manifest, raw))
	}
	if n := len(all); n > 0 && n < len(tree.Images) {
		return nil, fmt.Errorf("the layout holds SBOMs for %d of %d images", n, len(tree.Images))
	}
	return all, nil
}

func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the caller names the layout
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(raw)) > most {
		err = fmt.Errorf("%q is larger than %d bytes", filepath.Base(path), most)
	}
	return raw, err
}
