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

// The limits of one document; registries and runtimes refuse larger manifests.
const (
	MaxManifest = 4 << 20
	MaxConfig   = 8 << 20
)

// ManifestTypes are the media types to ask a registry for.
func ManifestTypes() []string {
	return []string{OCIIndex, DockerList, OCIManifest, DockerManifest}
}

// Descriptor names content by its digest.
type Descriptor struct {
	MediaType string    `json:"mediaType"`
	Digest    Digest    `json:"digest"`
	Size      int64     `json:"size"`
	Platform  *Platform `json:"platform,omitempty"`
	// Annotations are the pusher's words, bounded by the manifest's size.
	Annotations map[string]string `json:"annotations,omitempty"`
}

// NamesManifest reports whether the descriptor claims to name a manifest or an
// index. What it names may be one all the same: some runtimes pass the claim over.
func (d Descriptor) NamesManifest() bool {
	switch d.MediaType {
	case "", OCIManifest, OCIIndex, DockerManifest, DockerList:
		return true
	default:
		return false
	}
}

// Manifest is an index, the manifest of an image or the manifest of an artefact.
// ParseManifest makes it.
type Manifest struct {
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

// IsIndex reports whether m is an index: what has manifests is one.
func (m Manifest) IsIndex() bool { return m.Manifests != nil }

// Type is what m says of itself, else what its fields show: OCI allows the media
// type to be left out.
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

// ParseManifest reads an index or a manifest. claimed is the media type in the
// descriptor that led here, or "". Every error means that it is not known what
// runtimes make of these bytes; it never means that they cannot run.
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
		// Such is OCI's former artifact manifest. No runtime starts without a config.
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

// decodeManifest reads m as runtimes do, which hold the config as a value: a null
// after it leaves it as it is, and to a pointer it would take it away.
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

// given is a descriptor, and whether there is one.
type given struct {
	Descriptor
	is bool
}

// UnmarshalJSON adds to what the same key held before, as runtimes do.
func (g *given) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		return nil
	}
	g.is = true
	return json.Unmarshal(raw, &g.Descriptor)
}

// agrees reports an error if mediaType, where there is one, does not fit the fields.
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

// checkDescriptors refuses descriptors that promise nothing or the impossible.
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

// Decode reads one JSON value and refuses anything after it, as runtimes do.
func Decode(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("there is more after the JSON document")
	}
	return nil
}
