package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
)

// factsSource says in ImageFacts that a registry was read.
const factsSource = "Registry"

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
func (c *Client) Facts(ctx context.Context, ref image.Reference, as Credentials, labelNames []string) (Facts, error) {
	r, err := c.reader(ctx, ref.Repository(), as)
	if err != nil {
		return Facts{}, classify(ref.String(), err)
	}
	m, err := r.manifest(ctx, ref.Digest())
	if err == nil && m.unknown != nil {
		err = fmt.Errorf("%w: %w", errInvalid, m.unknown)
	}
	if err != nil {
		return Facts{}, classify(ref.String(), err)
	}
	var facts Facts
	if m.IsIndex() {
		facts, err = r.index(ctx, m, labelNames)
	} else {
		facts.Content = r.content(ctx, m, 0)
		facts.Image, err = r.facts(ctx, m, labelNames)
	}
	if err != nil {
		return Facts{}, classify(ref.String(), err)
	}
	return facts, nil
}

// index adds up the children that are there. A list of artefacts may be longer
// than what an image has.
func (r *reader) index(ctx context.Context, m manifest, labelNames []string) (Facts, error) {
	facts := Facts{
		Image:   v1alpha1.ImageFacts{MediaType: m.Type(), Source: factsSource},
		Content: image.Content{Kind: image.ContentIndex},
	}
	if len(m.Manifests) > maxChildren {
		if facts.Content = r.children(ctx, m, maxDepth); !facts.Content.Runnable() {
			return facts, nil
		}
		return Facts{}, fmt.Errorf("%w: the index names %d children; at most %d are read", errInvalid, len(m.Manifests), maxChildren)
	}
	facts.Content.Complete = true
	seen := map[image.Digest]bool{}
	for _, d := range m.Manifests {
		if seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		facts.Children = append(facts.Children, d.Digest)
		if err := r.addChild(ctx, &facts, d, labelNames); err != nil {
			return Facts{}, fmt.Errorf("the child %s: %w", d.Digest, err)
		}
	}
	return facts, nil
}

// addChild adds what an index names.
func (r *reader) addChild(ctx context.Context, f *Facts, d image.Descriptor, labelNames []string) error {
	m, err := r.manifest(ctx, d.Digest)
	if err != nil && reason(err) != source.NotFound {
		return err
	}
	if err != nil {
		var content image.Content
		if !d.NamesManifest() {
			content = r.blob(ctx, d)
		}
		f.Content.Children = append(f.Content.Children, content)
		if content.Runnable() {
			f.Missing = append(f.Missing, d.Digest)
		}
		return nil
	}
	content := r.content(ctx, m, maxDepth-1)
	f.Content.Children = append(f.Content.Children, content)
	if m.unknown != nil || m.IsIndex() {
		return nil //nolint:nilerr // an index in an index is not added up
	}
	if !content.Runnable() || d.Platform.NoHost() {
		return nil // an attestation or the like, which is no part of what runs
	}
	own, err := r.facts(ctx, m, labelNames)
	if err != nil {
		return err
	}
	source.AddChild(&f.Image, d.Platform, own)
	if d.Platform.IsPlaced() || len(own.Platforms) > 0 {
		source.ListChild(&f.Image, d.Digest, d.Platform)
	} // else no host can have it: nobody says for which platform it is
	return nil
}

// config is what is read of an image's configuration.
type config struct {
	image.Platform
	Created time.Time `json:"created"`
	Config  struct {
		Labels map[string]string `json:"Labels"`
	} `json:"config"`
}

// facts of a single manifest.
func (r *reader) facts(ctx context.Context, m manifest, labelNames []string) (v1alpha1.ImageFacts, error) {
	f := v1alpha1.ImageFacts{
		MediaType: m.Type(),
		Layers:    source.Count(len(m.Layers)),
		Size:      sizeOf(m),
		Base:      source.Base(m.Annotations, nil),
		Source:    factsSource,
	}
	if !m.HasImageConfig() {
		return f, nil
	}
	raw, err := r.read(ctx, m.Config.Digest, image.MaxConfig)
	if err != nil {
		return f, err
	}
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return f, fmt.Errorf("%w: the image configuration: %w", errInvalid, err)
	}
	f.Labels = image.CarryLabels(c.Config.Labels, labelNames)
	f.Base = source.Base(m.Annotations, c.Config.Labels)
	if !c.Created.IsZero() {
		f.Created = &metav1.Time{Time: c.Created.UTC().Truncate(time.Second)}
	}
	f.Platforms = source.Platforms(c.Platform)
	return f, nil
}

func sizeOf(m manifest) (n int64) {
	for _, l := range m.Layers {
		n = image.AddSize(n, l.Size)
	}
	return n
}
