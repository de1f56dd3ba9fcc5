package image

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// The media types of manifests and indexes.
const (
	OCIManifest    = "application/vnd.oci.image.manifest.v1+json"
	OCIIndex       = "application/vnd.oci.image.index.v1+json"
	DockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	DockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// The limits on a document. Registries and runtimes refuse larger manifests.
const (
	MaxManifest = 4 << 20
	MaxConfig   = 8 << 20
)

// ManifestTypes returns the media types to ask a registry for.
func ManifestTypes() []string {
	return []string{OCIIndex, DockerList, OCIManifest, DockerManifest}
}

// Descriptor names content by its digest.
type Descriptor struct {
	MediaType string    `json:"mediaType"`
	Digest    Digest    `json:"digest"`
	Size      int64     `json:"size"`
	Platform  *Platform `json:"platform,omitempty"`
	// Annotations are chosen by the pusher. The manifest's size bounds them.
	Annotations map[string]string `json:"annotations,omitempty"`
}

// NamesManifest reports whether the descriptor claims to name a manifest or an index. Even if it
// does not, the content may be one: some runtimes ignore the claim.
func (d Descriptor) NamesManifest() bool {
	switch d.MediaType {
	case "", OCIManifest, OCIIndex, DockerManifest, DockerList:
		return true
	default:
		return false
	}
}

// Manifest is an index, the manifest of an image, or the manifest of an artefact. Only
// ParseManifest makes it.
type Manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        *Descriptor  `json:"config"`
	Layers        []Descriptor `json:"layers"`
	Manifests     []Descriptor `json:"manifests"`
	// Annotations are chosen by the pusher. The manifest's size bounds them.
	Annotations map[string]string `json:"annotations"`
	// FSLayers exists only in schema 1, which has no configuration.
	FSLayers json.RawMessage `json:"fsLayers"`
}

// IsIndex reports whether m is an index: a document with manifests is one.
func (m Manifest) IsIndex() bool { return m.Manifests != nil }

// Type returns the media type in m, or else the one that its fields imply. OCI allows a document to
// leave it out.
func (m Manifest) Type() string {
	switch {
	case m.MediaType != "":
		return m.MediaType
	case m.IsIndex():
		return OCIIndex
	default:
		return OCIManifest
	}
}

// ParseManifest parses an index or a manifest. claimed is the media type in the descriptor that led
// here, or "". An error means that nobody knows what runtimes make of these bytes. It never means
// that they cannot run.
func ParseManifest(raw []byte, claimed string) (Manifest, error) {
	m, err := decodeManifest(raw)
	if err != nil {
		return Manifest{}, fmt.Errorf("not a manifest: %w", err)
	}
	switch {
	case m.SchemaVersion == 1 || m.FSLayers != nil:
		return Manifest{}, fmt.Errorf("a manifest of schema version 1, which is not supported; build and push the image again with a current tool")
	case m.Manifests != nil && (m.Config != nil || m.Layers != nil):
		return Manifest{}, fmt.Errorf("ambiguous: it can be read as an index and as an image")
	case m.Manifests == nil && m.Config == nil:
		// OCI's former artifact manifest has no config. No runtime starts an image without one.
		return Manifest{SchemaVersion: m.SchemaVersion, MediaType: m.MediaType, Annotations: m.Annotations}, nil
	case m.SchemaVersion != 2:
		return Manifest{}, fmt.Errorf("not a manifest: schemaVersion is %d, not 2", m.SchemaVersion)
	}
	if claimed != "" && m.MediaType != "" && claimed != m.MediaType {
		return Manifest{}, fmt.Errorf("ambiguous: it is named as %q and says that it is %q", clip(claimed), clip(m.MediaType))
	}
	for _, mediaType := range []string{claimed, m.MediaType} {
		if err := m.agrees(mediaType); err != nil {
			return Manifest{}, err
		}
	}
	return m, m.checkDescriptors()
}

// decodeManifest decodes m as runtimes do. They hold the config as a value, so a later null leaves
// it as it is; with a pointer, null would remove it.
func decodeManifest(raw []byte) (Manifest, error) {
	var doc struct {
		Manifest
		Config given `json:"config"`
	}
	if err := Decode(raw, &doc); err != nil {
		return Manifest{}, err
	}
	if doc.Config.is {
		doc.Manifest.Config = &doc.Config.Descriptor
	}
	return doc.Manifest, nil
}

// given is a descriptor that remembers whether it was present.
type given struct {
	Descriptor
	is bool
}

// UnmarshalJSON adds to what the same key held before, as in runtimes.
func (g *given) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		return nil
	}
	g.is = true
	return json.Unmarshal(raw, &g.Descriptor)
}

// agrees returns an error if mediaType is set and contradicts the fields.
func (m Manifest) agrees(mediaType string) error {
	switch mediaType {
	case "":
		return nil
	case OCIIndex, DockerList:
		if m.IsIndex() {
			return nil
		}
	case OCIManifest, DockerManifest:
		if !m.IsIndex() {
			return nil
		}
	default:
		return fmt.Errorf("ambiguous: it has the fields of a manifest, and the media type %q", clip(mediaType))
	}
	return fmt.Errorf("ambiguous: its fields do not fit its media type %q", clip(mediaType))
}

// checkDescriptors refuses descriptors without a digest or with an impossible size.
func (m Manifest) checkDescriptors() error {
	all := append(append([]Descriptor{}, m.Manifests...), m.Layers...)
	if m.Config != nil {
		all = append(all, *m.Config)
	}
	for _, d := range all {
		if d.Digest.IsZero() {
			return fmt.Errorf("it names content without a digest")
		}
		if d.Size < 0 {
			return fmt.Errorf("it names %s with the size %d", d.Digest, d.Size)
		}
	}
	return nil
}

// Decode decodes one JSON value and refuses anything after it, as runtimes do.
func Decode(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("more data follows the JSON document")
	}
	return nil
}
