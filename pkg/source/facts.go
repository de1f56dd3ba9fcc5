package source

import (
	"cmp"
	"strings"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// The bounds of v1alpha1.ImageFacts.
const (
	maxPlatforms = 32
	maxBase      = 512
	maxPlatform  = 128
	maxChildren  = 64
	maxChildName = 64  // of a child's platform
	maxMediaType = 255 // RFC 6838 has room for 127 and 127
	maxCount     = 1 << 20
)

// baseName is the label, and the annotation, that names an image's base.
const baseName = "org.opencontainers.image.base.name"

// AddChild adds the facts of an index's child to those of the index. An Image object and a
// registry give the same facts, because both are added up here. A child that no host can run
// is no part of what runs, and is not counted: BuildKit marks its attestations with the
// platform unknown/unknown. Platform is what the index says of the child; it may be nil.
func AddChild(index *v1alpha1.ImageFacts, platform *image.Platform, child v1alpha1.ImageFacts) {
	if platform.NoHost() {
		return
	}
	platforms := child.Platforms
	if platform.IsPlaced() {
		platforms = Platforms(*platform)
	}
	for _, p := range platforms {
		if len(index.Platforms) < maxPlatforms {
			index.Platforms = append(index.Platforms, p)
		}
	}
	index.Layers = min(index.Layers+child.Layers, maxCount)
	index.Size = image.AddSize(index.Size, child.Size)
	if index.Labels == nil {
		index.Labels = child.Labels // the first child that has them, in the index's order
	}
	index.Base = cmp.Or(index.Base, child.Base)
	if child.Created != nil && (index.Created == nil || index.Created.Before(child.Created)) {
		index.Created = child.Created
	}
}

// ListChild lists a child that can run among an index's children. Only who recomputed the
// index's bytes may list what they name. Platform is what the index says of the child; it
// may be nil.
func ListChild(index *v1alpha1.ImageFacts, child image.Digest, platform *image.Platform) {
	if len(index.Children) == maxChildren {
		index.ChildrenOmitted++
		return
	}
	listed := v1alpha1.ChildImage{Digest: child.String()}
	if platform != nil {
		if p := Platforms(*platform); len(p) > 0 && len(p[0]) <= maxChildName {
			listed.Platform = p[0] // a part of the name would be another platform
		}
	}
	index.Children = append(index.Children, listed)
}

// Platforms returns a platform as ImageFacts hold it; nil for one that is not complete, that
// no host has, or whose name would read as that of another.
func Platforms(p image.Platform) []string {
	if p.OS == "" || p.Architecture == "" || p.NoHost() || strings.Contains(p.OS+p.Architecture+p.Variant, "/") {
		return nil
	}
	return []string{image.Cut(p.String(), maxPlatform)}
}

// Base returns the name of an image's base from the annotations of its manifest, or else from
// the labels of its configuration.
func Base(annotations, labels map[string]string) string {
	return image.Cut(cmp.Or(annotations[baseName], labels[baseName]), maxBase)
}

// MediaType returns a media type as ImageFacts hold it. Who pushes writes it.
func MediaType(claimed string) string { return image.Cut(claimed, maxMediaType) }

// Count returns a number of layers as ImageFacts hold it.
func Count(n int) int32 { return int32(min(n, maxCount)) } //nolint:gosec // bounded in the same expression
