package apiserver

import (
	"encoding/json"
	"strings"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// The bounds of v1alpha1.ImageFacts.
const (
	maxPlatforms = 32
	maxBase      = 512
)

// factsSource says in ImageFacts that an Image object was read.
const factsSource = "Image"

// baseName is the label that names an image's base.
const baseName = "org.opencontainers.image.base.name"

// metadata is what is read of an Image's dockerImageMetadata.
type metadata struct {
	Architecture string
	Created      string
	Size         int64
	Config       struct {
		Cmd        []string
		Entrypoint []string
		Labels     map[string]string
	}
}

// config is what is read of an Image's dockerImageConfig, which is not always
// there, and knows what dockerImageMetadata has no field for.
type config struct {
	OS      string `json:"os"`
	Variant string `json:"variant"`
}

// Children gives the Image objects of an index's children, by digest. A child
// that was not read is not in it; nil is no children.
type Children map[string]*imagev1.Image

// Content returns what an Image tells of whether its digest can run: whether it is
// an index, and no more. Anybody may write the object, so it exempts nothing.
func Content(img *imagev1.Image, children Children) image.Content {
	if !isIndex(img) {
		return image.Content{}
	}
	c := image.Content{Kind: image.ContentIndex}
	for _, m := range img.DockerImageManifests {
		var child image.Content
		if ci, ok := children[m.Digest]; ok {
			child = Content(ci, nil) // an index in an index is not looked into
		}
		c.Children = append(c.Children, child)
	}
	return c
}

// maxListed is how many children of a list are read.
const maxListed = 64

// ReadContent is Content, with the children of an index read by get where none is
// for a platform: such is the list that clients keep of an image's signatures and
// reports, which changes whenever one is added. Of any other index they are not
// read. get returns nil for what is not there. It stops at the first child that
// can run, or is not known.
func ReadContent(img *imagev1.Image, get func(digest string) (*imagev1.Image, error)) (image.Content, error) {
	digests := ChildDigests(img)
	if !Unplaced(img) || len(digests) > maxListed {
		return Content(img, nil), nil
	}
	children := Children{}
	for _, d := range digests {
		child, err := get(d.String())
		if err != nil {
			return image.Content{}, err
		}
		if child == nil || Content(child, nil).Runnable() {
			break // the rest does not matter
		}
		children[d.String()] = child
	}
	return Content(img, children), nil
}

// Unplaced reports whether img is an index none of whose children is for a platform.
func Unplaced(img *imagev1.Image) bool {
	for _, m := range img.DockerImageManifests {
		if m.OS != "" && m.OS != "unknown" {
			return false
		}
	}
	return len(img.DockerImageManifests) > 0
}

// Facts returns what an Image says of its digest. Of the labels only those that
// labelNames lists are carried.
func Facts(img *imagev1.Image, children Children, labelNames []string) (v1alpha1.ImageFacts, error) {
	if isIndex(img) {
		return indexFacts(img, children, labelNames)
	}
	m, err := parseMetadata(img)
	if err != nil {
		return v1alpha1.ImageFacts{}, err
	}
	f := v1alpha1.ImageFacts{
		MediaType: img.DockerImageManifestMediaType,
		Labels:    image.CarryLabels(m.Config.Labels, labelNames),
		Layers:    clampCount(len(img.DockerImageLayers)),
		Created:   parseTime(m.Created),
		Base:      image.Cut(m.Config.Labels[baseName], maxBase),
		Source:    factsSource,
	}
	for _, l := range img.DockerImageLayers {
		f.Size = image.AddSize(f.Size, l.LayerSize)
	}
	if p := platform(img, m); p != "" {
		f.Platforms = []string{p}
	}
	return f, nil
}

// indexFacts adds up the children that were read. The index itself has neither
// labels nor a time of its own: its dockerImageMetadata's is the push's.
func indexFacts(img *imagev1.Image, children Children, labelNames []string) (v1alpha1.ImageFacts, error) {
	f := v1alpha1.ImageFacts{MediaType: img.DockerImageManifestMediaType, Source: factsSource}
	for _, m := range img.DockerImageManifests {
		if p := joinPlatform(m.OS, m.Architecture, m.Variant); p != "" && len(f.Platforms) < maxPlatforms {
			f.Platforms = append(f.Platforms, p)
		}
		child, ok := children[m.Digest]
		if !ok || isIndex(child) {
			continue
		}
		c, err := Facts(child, nil, labelNames)
		if err != nil {
			return v1alpha1.ImageFacts{}, err
		}
		f.Layers += c.Layers
		f.Size = image.AddSize(f.Size, c.Size)
		if f.Labels == nil {
			f.Labels = c.Labels // the first child that has them, in the index's order
		}
		if f.Base == "" {
			f.Base = c.Base
		}
		if c.Created != nil && (f.Created == nil || f.Created.Before(c.Created)) {
			f.Created = c.Created
		}
	}
	return f, nil
}

// ChildDigests returns the digests of an index's children, each once and in
// order; nil for a single image. What is no digest is left out.
func ChildDigests(img *imagev1.Image) []image.Digest {
	seen := map[image.Digest]bool{}
	var digests []image.Digest
	for _, m := range img.DockerImageManifests {
		d, err := image.ParseDigest(m.Digest)
		if err != nil || seen[d] {
			continue
		}
		seen[d] = true
		digests = append(digests, d)
	}
	return digests
}

func isIndex(img *imagev1.Image) bool {
	switch img.DockerImageManifestMediaType {
	case "application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json":
		return true
	default:
		return len(img.DockerImageManifests) > 0
	}
}

func parseMetadata(img *imagev1.Image) (metadata, error) {
	var m metadata
	raw := img.DockerImageMetadata.Raw
	if len(raw) == 0 && img.DockerImageMetadata.Object != nil {
		var err error
		if raw, err = json.Marshal(img.DockerImageMetadata.Object); err != nil {
			return m, &DecodeError{Malformed, err}
		}
	}
	if len(raw) == 0 {
		return m, nil
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, &DecodeError{Malformed, err}
	}
	return m, nil
}

// platform of a single image. Where the Image does not carry the configuration
// only the architecture is known; what runs on OpenShift is linux.
func platform(img *imagev1.Image, m metadata) string {
	c := config{OS: "linux"}
	if img.DockerImageConfig != "" {
		if err := json.Unmarshal([]byte(img.DockerImageConfig), &c); err != nil {
			c = config{OS: "linux"}
		}
	}
	return joinPlatform(c.OS, m.Architecture, c.Variant)
}

func joinPlatform(os, architecture, variant string) string {
	if os == "" || architecture == "" {
		return ""
	}
	return image.Cut(strings.TrimSuffix(os+"/"+architecture+"/"+variant, "/"), 128)
}

func parseTime(s string) *metav1.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.IsZero() {
		return nil
	}
	return &metav1.Time{Time: t.UTC().Truncate(time.Second)}
}

// clampCount is for a count that came from outside.
func clampCount(n int) int32 { return int32(min(n, 1<<20)) } //nolint:gosec // bounded in the same expression
