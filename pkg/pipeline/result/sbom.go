package result

import (
	"path/filepath"

	"github.com/revet-dev/revet/pkg/image"
)

const (
	// MaxSBOM bounds an SBOM.
	MaxSBOM = 64 << 20

	sbomFolder = "sbom"
	sbomSuffix = ".cdx.json"
)

// SBOMPath returns the path of an image's SBOM in the layout in dir.
func SBOMPath(dir string, digest image.Digest) string {
	return filepath.Join(dir, sbomFolder, digest.Hex()+sbomSuffix)
}

// WriteSBOM stores the SBOM of an image in the layout in dir.
func WriteSBOM(dir string, digest image.Digest, raw []byte) error {
	return document{Name: "SBOM"}.writeRaw(SBOMPath(dir, digest), raw)
}
