package sbom

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/document"
	"github.com/revet-dev/revet/pkg/pipeline/inventory"
)

const (
	folder      = "sbom"
	suffix      = ".cdx.json"
	format      = "CycloneDX"
	specVersion = "1.6"
	schema      = "http://cyclonedx.org/schema/bom-1.6.schema.json"
)

// The document, as far as it is written.
type bom struct {
	Schema       string      `json:"$schema"`
	Format       string      `json:"bomFormat"`
	SpecVersion  string      `json:"specVersion"`
	SerialNumber string      `json:"serialNumber"`
	Version      int         `json:"version"`
	Metadata     metadata    `json:"metadata"`
	Components   []component `json:"components"`
}

type metadata struct {
	Tools     tools     `json:"tools"`
	Component component `json:"component"`
}

type tools struct {
	Components []component `json:"components"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref,omitempty"`
	Name       string     `json:"name"`
	Version    string     `json:"version,omitempty"`
	PURL       string     `json:"purl,omitempty"`
	Properties []property `json:"properties,omitempty"`
	Evidence   *evidence  `json:"evidence,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type evidence struct {
	Occurrences []occurrence `json:"occurrences"`
}

type occurrence struct {
	Location string `json:"location"`
}

// Make returns the SBOM of an image that tool looked into.
func Make(img inventory.Image, tool inventory.Tool) ([]byte, error) {
	doc := bom{
		Schema: schema, Format: format, SpecVersion: specVersion, Version: 1,
		Metadata: metadata{
			Tools: tools{[]component{{Type: "application", Name: tool.Name, Version: tool.Version}}},
			Component: component{Type: "container", Ref: "image", Name: img.Digest.String(), Version: img.Digest.String(),
				Properties: properties("revet.dev/platform", img.Platform, "revet.dev/distribution", img.Distribution)},
		},
		Components: []component{},
	}
	for i, p := range img.Packages {
		c := component{
			Type: "library", Ref: "package-" + strconv.Itoa(i+1), Name: p.Name, Version: p.Version, PURL: p.PURL,
			Properties: properties("revet.dev/ecosystem", p.Ecosystem, "revet.dev/source", p.Compared.Name, "revet.dev/source-version", p.Compared.Version),
		}
		if len(p.Locations) > 0 {
			c.Evidence = &evidence{}
			for _, l := range p.Locations {
				c.Evidence.Occurrences = append(c.Evidence.Occurrences, occurrence{l})
			}
		}
		doc.Components = append(doc.Components, c)
	}
	for _, u := range img.Unread {
		doc.Metadata.Component.Properties = append(doc.Metadata.Component.Properties, property{"revet.dev/unread", u.Path})
	}
	if img.UnreadCount > len(img.Unread) {
		doc.Metadata.Component.Properties = append(doc.Metadata.Component.Properties, property{"revet.dev/unread-count", strconv.Itoa(img.UnreadCount)})
	}
	// Of what it says, so that another content has another number.
	body, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode SBOM: %w", err)
	}
	doc.SerialNumber = serial(sha256.Sum256(body))
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(doc); err != nil {
		return nil, fmt.Errorf("encode SBOM: %w", err)
	}
	return b.Bytes(), nil
}

// properties lists those that have a value.
func properties(pairs ...string) []property {
	var all []property
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			all = append(all, property{pairs[i], pairs[i+1]})
		}
	}
	return all
}

// serial makes a UUID of a hash, of the version that is for such.
func serial(h [sha256.Size]byte) string {
	h[6] = h[6]&0x0f | 0x80
	h[8] = h[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// Path returns where the SBOM of the image of that digest is in the layout in dir.
func Path(dir string, digest image.Digest) string {
	return filepath.Join(dir, folder, digest.Hex()+suffix)
}

// Write stores the SBOM of an image in the layout in dir.
func Write(dir string, digest image.Digest, raw []byte) error {
	return document.Kind{Name: "SBOM"}.WriteRaw(Path(dir, digest), raw)
}
