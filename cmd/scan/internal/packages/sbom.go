package packages

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/anchore/syft/syft/format/common/cyclonedxhelpers"
	"github.com/anchore/syft/syft/source"

	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// Describe describes the image of an SBOM.
func Describe(img oci.Image) source.Description {
	digest := img.Manifest.Digest.String()
	about := source.ImageMetadata{
		UserInput: digest, ID: digest, ManifestDigest: digest, MediaType: img.Manifest.MediaType,
		OS: img.Config.OS, Architecture: img.Config.Architecture, Variant: img.Config.Variant,
	}
	for _, l := range img.Layers {
		about.Layers = append(about.Layers, source.LayerMetadata{MediaType: l.MediaType, Digest: l.Digest.String(), Size: l.Size})
		about.Size += l.Size
	}
	return source.Description{ID: digest, Name: digest, Version: digest, Metadata: about}
}

// SBOM returns Syft's CycloneDX document of the packages. The same image gives the same bytes: SBOM
// leaves out times, and derives the serial number from the rest.
func (f *Found) SBOM(platform string, gaps []result.Gap) ([]byte, error) {
	bom := cyclonedxhelpers.ToFormatModel(*f.bom)
	bom.SerialNumber, bom.Metadata.Timestamp = "", ""
	about := []cyclonedx.Property{{Name: "revet.dev/platform", Value: platform}}
	for _, g := range gaps {
		about = append(about, cyclonedx.Property{Name: "revet.dev/" + g.Rule, Value: g.Message})
	}
	if bom.Metadata.Component.Properties != nil {
		about = append(*bom.Metadata.Component.Properties, about...)
	}
	bom.Metadata.Component.Properties = &about
	raw, err := encode(bom)
	if err != nil {
		return nil, err
	}
	bom.SerialNumber = serial(sha256.Sum256(raw))
	return encode(bom)
}

func encode(bom *cyclonedx.BOM) ([]byte, error) {
	var b bytes.Buffer
	e := cyclonedx.NewBOMEncoder(&b, cyclonedx.BOMFileFormatJSON)
	if err := e.SetPretty(true).SetEscapeHTML(false).EncodeVersion(bom, cyclonedx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("encode SBOM: %w", err)
	}
	return b.Bytes(), nil
}

// serial makes a UUID from a hash, in the version for hashes.
func serial(h [sha256.Size]byte) string {
	h[6] = h[6]&0x0f | 0x80
	h[8] = h[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
