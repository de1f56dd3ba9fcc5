package sbom

import (
	"path/filepath"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/document"
)

const (
	folder = "sbom"
	suffix = ".cdx.json"
)

// Path returns where the SBOM of the image of that digest is in the layout in dir.
func Path(dir string, digest image.Digest) string {
	return filepath.Join(dir, folder, digest.Hex()+suffix)
}

// Write stores the SBOM of an image in the layout in dir.
func Write(dir string, digest image.Digest, raw []byte) error {
	return document.Kind{Name: "SBOM"}.WriteRaw(Path(dir, digest), raw)
}
