package openshift

import (
	"encoding/json"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
)

// factsSource says in ImageFacts that they come from an Image object.
const factsSource = "Image"

// metadata is what Revet reads of an Image's dockerImageMetadata.
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

// config is what Revet reads of an Image's dockerImageConfig. It has what dockerImageMetadata
// lacks, but not every Image has it.
type config struct {
	OS      string `json:"os"`
	Variant string `json:"variant"`
}

// Children are the Image objects of an index's children, by digest, as far as they were read.
type Children map[string]*imagev1.Image

// Runs reports whether an Image shows an image that runs: its configuration declares an
// architecture or a command, or it is an index with a child for a platform. Anybody may write
// the object before the digest is pushed, so a no proves nothing.
func Runs(img *imagev1.Image) bool {
	if isIndex(img) {
		for _, m := range img.DockerImageManifests {
			if p := (&image.Platform{OS: m.OS, Architecture: m.Architecture}); p.IsPlaced() && !p.NoHost() {
				return true
			}
		}
		return false
	}
	m, err := parseMetadata(img)
	return err == nil && declares(m)
}

// declares reports whether a configuration declares something that runs.
func declares(m metadata) bool {
	p := image.Platform{Architecture: m.Architecture}
	return (m.Architecture != "" && !p.NoHost()) || len(m.Config.Cmd) > 0 || len(m.Config.Entrypoint) > 0
}

// Facts returns what an Image says of its digest. It carries only the labels that labelNames
// lists.
func Facts(img *imagev1.Image, children Children, labelNames []string) (v1alpha1.ImageFacts, error) {
	if isIndex(img) {
		return indexFacts(img, children, labelNames)
	}
	m, err := parseMetadata(img)
	if err != nil {
		return v1alpha1.ImageFacts{}, err
	}
	f := v1alpha1.ImageFacts{
		MediaType: source.MediaType(img.DockerImageManifestMediaType),
		Labels:    image.CarryLabels(m.Config.Labels, labelNames),
		Layers:    source.Count(len(img.DockerImageLayers)),
		Created:   parseTime(m.Created),
		Base:      source.Base(nil, m.Config.Labels),
		Source:    factsSource,
	}
	for _, l := range img.DockerImageLayers {
		f.Size = image.AddSize(f.Size, l.LayerSize)
	}
	f.Platforms = source.Platforms(platform(img, m))
	source.SetRevision(&f, nil, m.Config.Labels)
	return f, nil
}

// indexFacts adds up the children that were read. The index itself has neither labels nor a
// time of its own: the time in its dockerImageMetadata is the push's.
func indexFacts(img *imagev1.Image, children Children, labelNames []string) (v1alpha1.ImageFacts, error) {
	f := v1alpha1.ImageFacts{MediaType: source.MediaType(img.DockerImageManifestMediaType), Source: factsSource}
	var revisions source.Revisions
	seen := map[string]bool{}
	for _, m := range img.DockerImageManifests {
		if seen[m.Digest] {
			continue
		}
		seen[m.Digest] = true
		platform := &image.Platform{OS: m.OS, Architecture: m.Architecture, Variant: m.Variant}
		var facts v1alpha1.ImageFacts
		if child, ok := children[m.Digest]; ok && !isIndex(child) {
			if !platform.IsPlaced() && !Runs(child) {
				continue // an attestation or the like, which is no part of what runs
			}
			var err error
			if facts, err = Facts(child, nil, labelNames); err != nil {
				return v1alpha1.ImageFacts{}, err
			}
		}
		source.AddChild(&f, platform, facts)
		revisions.AddChild(platform, facts)
	}
	revisions.SetIndex(&f, nil)
	return f, nil
}

// ChildDigests returns the digests of an index's children, each once and in order; nil for a
// single image. It leaves out what is no digest.
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

// platform returns that of a single image. An Image object without the configuration knows
// only the architecture; what runs on OpenShift is linux.
func platform(img *imagev1.Image, m metadata) image.Platform {
	c := config{OS: "linux"}
	if img.DockerImageConfig != "" {
		if err := json.Unmarshal([]byte(img.DockerImageConfig), &c); err != nil {
			c = config{OS: "linux"}
		}
	}
	return image.Platform{OS: c.OS, Architecture: m.Architecture, Variant: c.Variant}
}

func parseTime(s string) *metav1.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.IsZero() {
		return nil
	}
	return &metav1.Time{Time: t.UTC().Truncate(time.Second)}
}
