package vulndb

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// The media types of the artefact and its parts.
const (
	ArtifactType = "application/vnd.revet.vulnerability-database"
	ConfigType   = "application/vnd.revet.vulnerability-database.config.v2+json"
	LayerType    = "application/vnd.revet.vulnerability-database.part.v2+zstd"

	manifestType   = "application/vnd.oci.image.manifest.v1+json"
	madeAnnotation = "org.opencontainers.image.created"
)

// descriptor is a descriptor in a manifest.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      image.Digest      `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// Artifact is a database without its layers. Pack makes it, and Pull reads it.
type Artifact struct {
	Digest   image.Digest
	Manifest []byte
	// RawConfig is Config in its stored form.
	RawConfig []byte
	Config    Config
}

// MediaType returns the media type of the manifest.
func (Artifact) MediaType() string { return manifestType }

// Pack makes the artefact whose parts c names.
func Pack(c Config) (Artifact, error) {
	c = c.sorted()
	raw, err := json.Marshal(c)
	if err != nil {
		return Artifact{}, fmt.Errorf("encode the database's config: %w", err)
	}
	if len(raw) > maxConfig {
		return Artifact{}, fmt.Errorf("the database's config has %d bytes; the limit is %d", len(raw), maxConfig)
	}
	if c, err = decodeConfig(raw); err != nil {
		return Artifact{}, err
	}
	m := manifest{
		SchemaVersion: 2, MediaType: manifestType, ArtifactType: ArtifactType,
		Config:      descriptor{MediaType: ConfigType, Digest: sum(raw), Size: int64(len(raw))},
		Annotations: map[string]string{madeAnnotation: c.Mirrored.Format("2006-01-02T15:04:05Z")},
	}
	for _, p := range c.Parts {
		m.Layers = append(m.Layers, descriptor{MediaType: LayerType, Digest: p.Digest, Size: p.Size})
	}
	b, err := json.Marshal(m)
	if err != nil {
		return Artifact{}, fmt.Errorf("encode the database's manifest: %w", err)
	}
	return Artifact{Digest: sum(b), Manifest: b, RawConfig: raw, Config: c}, nil
}

// decodeManifest reads a manifest. If it is not the manifest of a database, the error says why.
func decodeManifest(raw []byte) (manifest, error) {
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return manifest{}, oci.Errorf(ReasonBroken, "", "cannot read its manifest: %w; %s", err, CureBroken)
	}
	switch {
	case m.ArtifactType != ArtifactType:
		return manifest{}, oci.Errorf(ReasonFormat, "", "it is not a vulnerability database: its artifactType is %.80q; %s", m.ArtifactType, cureFormat)
	case m.Config.MediaType != ConfigType:
		return manifest{}, oci.Errorf(ReasonFormat, "", "its config has the type %.80q; %s", m.Config.MediaType, cureFormat)
	case m.SchemaVersion != 2 || m.MediaType != manifestType:
		return manifest{}, oci.Errorf(ReasonBroken, "", "its manifest has the type %.80q and schema version %d; %s", m.MediaType, m.SchemaVersion, CureBroken)
	case m.Config.Digest.IsZero() || m.Config.Size <= 0 || m.Config.Size > maxConfig:
		return manifest{}, oci.Errorf(ReasonBroken, "", "its config is %s of %d bytes; the limit is %d; %s",
			m.Config.Digest, m.Config.Size, maxConfig, CureBroken)
	}
	return m, nil
}

// fits returns an error unless the manifest and the config name the same parts.
func (m manifest) fits(c Config) error {
	if len(m.Layers) != len(c.Parts) {
		return oci.Errorf(ReasonBroken, "", "its manifest has %d layers, but its config names %d parts; %s", len(m.Layers), len(c.Parts), CureBroken)
	}
	for i, p := range c.Parts {
		l := m.Layers[i]
		var err error
		switch {
		case l.MediaType != LayerType:
			err = fmt.Errorf("its type is %.80q", l.MediaType)
		case l.Digest != p.Digest || l.Size != p.Size:
			err = errors.New("the manifest and the config name different layers")
		default:
			continue
		}
		return oci.Errorf(ReasonBroken, partName(i), "%w; %s", err, CureBroken)
	}
	return nil
}

func partName(i int) string { return fmt.Sprintf("part %d", i+1) }

func sum(b []byte) image.Digest {
	h := sha256.New()
	h.Write(b)
	return digestOf(h)
}

func digestOf(h hash.Hash) image.Digest {
	d, err := image.ParseDigest("sha256:" + hex.EncodeToString(h.Sum(nil)))
	if err != nil {
		panic(err) // a SHA-256 hash is always a valid digest
	}
	return d
}
