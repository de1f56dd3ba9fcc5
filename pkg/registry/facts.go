package registry

import (
	"context"
	"fmt"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// The bounds of v1alpha1.ImageFacts.
const (
	maxPlatforms = 32
	maxBase      = 512
)

// factsSource says in ImageFacts that a registry was read.
const factsSource = "Registry"

// baseName is the label and the annotation that names an image's base.
const baseName = "org.opencontainers.image.base.name"

// Facts is what a registry says of a digest.
type Facts struct {
	Image   v1alpha1.ImageFacts
	Content image.Content
	// Children are an index's, each once and in order; nil for a single image.
	Children []image.Digest
	// Missing are those children that the registry does not have.
	Missing []image.Digest
}

// Facts reads a digest, and the children of an index. Of the labels only those
// that labelNames lists are carried.
func (c *Client) Facts(ctx context.Context, ref image.Reference, as Account, labelNames []string) (Facts, error) {
	r, err := c.reader(ctx, ref.Repository(), as)
	if err != nil {
		return Facts{}, classify(ref.String(), err)
	}
	m, err := r.read(ctx, ref.Digest())
	if err != nil {
		return Facts{}, classify(ref.String(), err)
	}
	if m.index == nil {
		return Facts{Image: m.facts(labelNames), Content: m.content()}, nil
	}
	facts, err := r.index(ctx, m, labelNames)
	if err != nil {
		return Facts{}, classify(ref.String(), err)
	}
	return facts, nil
}

// index adds up the children that are there.
func (r *reader) index(ctx context.Context, m *manifest, labelNames []string) (Facts, error) {
	if len(m.index.Manifests) > maxChildren {
		return Facts{}, fmt.Errorf("%w: the index names %d children; at most %d are read", errInvalid, len(m.index.Manifests), maxChildren)
	}
	facts := Facts{
		Image:   v1alpha1.ImageFacts{MediaType: string(m.mediaType), Source: factsSource},
		Content: image.Content{Kind: image.ContentIndex},
	}
	seen := map[image.Digest]bool{}
	for _, desc := range m.index.Manifests {
		d, err := image.ParseDigest(desc.Digest.String())
		if err != nil {
			return Facts{}, fmt.Errorf("%w: a child of the index: %w", errInvalid, err)
		}
		if seen[d] {
			continue
		}
		seen[d] = true
		facts.Children = append(facts.Children, d)
		child, err := r.read(ctx, d)
		if err != nil && reason(err) != NotFound {
			return Facts{}, fmt.Errorf("the child %s: %w", d, err)
		}
		if err != nil {
			facts.Missing = append(facts.Missing, d)
			facts.Content.Children = append(facts.Content.Children, image.Content{})
			continue
		}
		facts.add(desc, child, labelNames)
	}
	return facts, nil
}

func (f *Facts) add(desc v1.Descriptor, child *manifest, labelNames []string) {
	content := child.content()
	f.Content.Children = append(f.Content.Children, content)
	if child.index != nil {
		return // an index in an index is not looked into
	}
	own := child.facts(labelNames)
	f.Image.Layers += own.Layers
	f.Image.Size = image.AddSize(f.Image.Size, own.Size)
	if !content.Runnable("") {
		return // an attestation: it counts by size, and has no platform or labels
	}
	platforms := own.Platforms
	if p := desc.Platform; p != nil && p.OS != "" && p.Architecture != "" {
		platforms = []string{platform(p.OS, p.Architecture, p.Variant)}
	}
	for _, p := range platforms {
		if len(f.Image.Platforms) < maxPlatforms {
			f.Image.Platforms = append(f.Image.Platforms, p)
		}
	}
	if f.Image.Labels == nil {
		f.Image.Labels = own.Labels // the first child that has them, in the index's order
	}
	if f.Image.Base == "" {
		f.Image.Base = own.Base
	}
	if own.Created != nil && (f.Image.Created == nil || f.Image.Created.Before(own.Created)) {
		f.Image.Created = own.Created
	}
}

// facts of a single manifest.
func (m *manifest) facts(labelNames []string) v1alpha1.ImageFacts {
	f := v1alpha1.ImageFacts{
		MediaType: string(m.mediaType),
		Layers:    int32(min(len(m.image.Layers), 1<<20)),
		Base:      image.Cut(m.image.Annotations[baseName], maxBase),
		Source:    factsSource,
	}
	for _, l := range m.image.Layers {
		f.Size = image.AddSize(f.Size, l.Size)
	}
	if m.config == nil {
		return f
	}
	labels := m.config.Config.Labels
	f.Labels = image.CarryLabels(labels, labelNames)
	if f.Base == "" {
		f.Base = image.Cut(labels[baseName], maxBase)
	}
	if created := m.config.Created.Time; !created.IsZero() {
		f.Created = &metav1.Time{Time: created.UTC().Truncate(time.Second)}
	}
	if m.config.OS != "" && m.config.Architecture != "" {
		f.Platforms = []string{platform(m.config.OS, m.config.Architecture, m.config.Variant)}
	}
	return f
}

func platform(os, architecture, variant string) string {
	return image.Cut(strings.TrimSuffix(os+"/"+architecture+"/"+variant, "/"), 128)
}
