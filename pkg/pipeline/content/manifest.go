package content

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/revet-dev/revet/pkg/image"
)

// The media types of manifests and indexes.
const (
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	ociIndex       = "application/vnd.oci.image.index.v1+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// ManifestTypes are the media types to ask a registry for.
func ManifestTypes() []string {
	return []string{ociIndex, dockerList, ociManifest, dockerManifest}
}

// Descriptor names content by its digest.
type Descriptor struct {
	MediaType string       `json:"mediaType"`
	Digest    image.Digest `json:"digest"`
	Size      int64        `json:"size"`
	Platform  *Platform    `json:"platform,omitempty"`
	// Annotations are the pusher's words, bounded by the manifest's size.
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Platform is what an image claims to run on.
type Platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant,omitempty"`
}

// String returns os/architecture[/variant], or "unknown".
func (p Platform) String() string {
	if p.OS == "" && p.Architecture == "" {
		return "unknown"
	}
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// selectable reports whether a runtime could choose a child of an index for
// its platform. Build attestations carry unknown/unknown, artefacts none.
func (d Descriptor) selectable() bool {
	return d.Platform != nil && *d.Platform != Platform{OS: "unknown", Architecture: "unknown"}
}

// document is an index or a manifest.
type document struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        *Descriptor  `json:"config"`
	Layers        []Descriptor `json:"layers"`
	Manifests     []Descriptor `json:"manifests"`
	// Annotations are the pusher's words, bounded by the manifest's size.
	Annotations map[string]string `json:"annotations"`
	// FSLayers is there in schema 1 only, which carries no configuration.
	FSLayers json.RawMessage `json:"fsLayers"`
}

// isIndex is meaningful after parseDocument has refused what could be both.
func (d document) isIndex() bool { return d.Manifests != nil }

// mediaType is what the document says of itself, else what its fields show:
// OCI allows the field to be left out.
func (d document) mediaType() string {
	switch {
	case d.MediaType != "":
		return d.MediaType
	case d.isIndex():
		return ociIndex
	default:
		return ociManifest
	}
}

// parseDocument reads an index or a manifest. claimed is the media type in the
// descriptor that led here, or "" for the root.
func parseDocument(raw []byte, claimed string) (document, error) {
	var d document
	if err := decode(raw, &d); err != nil {
		return document{}, fmt.Errorf("not a manifest: %w", err)
	}
	switch {
	case d.SchemaVersion == 1 || d.FSLayers != nil:
		return document{}, fmt.Errorf("a manifest of schema version 1, which is not supported; build and push the image again with a current tool")
	case d.SchemaVersion != 2:
		return document{}, fmt.Errorf("not a manifest: schemaVersion is %d, not 2", d.SchemaVersion)
	case d.Manifests != nil && (d.Config != nil || d.Layers != nil):
		return document{}, fmt.Errorf("ambiguous: it can be read as an index and as an image")
	case d.Manifests == nil && d.Config == nil:
		return document{}, fmt.Errorf("neither an image (no config) nor an index (no manifests)")
	}
	if claimed != "" && d.MediaType != "" && claimed != d.MediaType {
		return document{}, fmt.Errorf("ambiguous: it is named as %q and says that it is %q", clip(claimed), clip(d.MediaType))
	}
	for _, mediaType := range []string{claimed, d.MediaType} {
		if err := agrees(mediaType, d.isIndex()); err != nil {
			return document{}, err
		}
	}
	return d, d.checkSizes()
}

// agrees reports an error if mediaType, where there is one, is not that of an
// index, or of an image.
func agrees(mediaType string, index bool) error {
	switch mediaType {
	case "":
		return nil
	case ociIndex, dockerList:
		if index {
			return nil
		}
	case ociManifest, dockerManifest:
		if !index {
			return nil
		}
	default:
		return fmt.Errorf("media type %q is not that of an image or an index", clip(mediaType))
	}
	return fmt.Errorf("ambiguous: its fields do not fit its media type %q", clip(mediaType))
}

// checkSizes refuses descriptors that promise nothing or the impossible.
func (d document) checkSizes() error {
	all := append(append([]Descriptor{}, d.Manifests...), d.Layers...)
	if d.Config != nil {
		all = append(all, *d.Config)
	}
	for _, c := range all {
		if c.Digest.IsZero() {
			return fmt.Errorf("it names content without a digest")
		}
		if c.Size < 0 {
			return fmt.Errorf("it names %s with the size %d", c.Digest, c.Size)
		}
	}
	return nil
}

// decode reads one JSON value and refuses anything after it.
func decode(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("there is more after the JSON document")
	}
	return nil
}

// clip bounds what a hostile value adds to a message.
func clip(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
