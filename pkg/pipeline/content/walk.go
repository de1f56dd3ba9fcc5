package content

import (
	"context"

	"github.com/revet-dev/revet/pkg/image"
)

// The limits of what is read before any layer is.
const (
	// MaxManifest bounds a manifest or an index; registries refuse larger ones.
	MaxManifest = 4 << 20
	// MaxConfig bounds a configuration.
	MaxConfig = 8 << 20
	// MaxMetadata bounds all manifests and configurations of a tree together.
	MaxMetadata = 64 << 20

	maxManifests = 256  // of a tree
	maxDepth     = 3    // of indexes within indexes
	maxLayers    = 1000 // of an image; overlay file systems hold 500
)

// Tree is all that a digest names, layers not yet looked at.
type Tree struct {
	// Root is what the digest itself names.
	Root Descriptor
	// Images are what can run, in the order in which they are named.
	Images []Image
	// Attachments are children of an index that cannot run: provenance, SBOMs.
	Attachments []Attachment
	// Unselected are images of an index whose platform was not chosen. Nothing of
	// them was read.
	Unselected []Descriptor
}

// Image is an image for one platform.
type Image struct {
	Manifest Descriptor
	Config   Config
	Layers   []Layer
	// Annotations are those of its manifest.
	Annotations map[string]string
}

// Layer is a layer and the digest of its uncompressed content.
type Layer struct {
	Descriptor
	DiffID image.Digest
}

// Size is the sum of the compressed layers, as the manifest claims them.
func (i Image) Size() int64 {
	var n int64
	for _, l := range i.Layers {
		n = image.AddSize(n, l.Size)
	}
	return n
}

// Attachment is a manifest that no runtime can choose, and its blobs.
type Attachment struct {
	Manifest Descriptor
	Blobs    []Descriptor
}

// Kind tells manifests from other blobs: registries serve them apart.
type Kind string

// The kinds of content that Walk reads.
const (
	KindManifest Kind = "manifest"
	KindConfig   Kind = "config"
)

// Read returns the bytes that d names, at most limit of them. It must have
// recomputed their digest. d.Size is -1 where it is not known.
type Read func(ctx context.Context, kind Kind, d Descriptor, limit int64) ([]byte, error)

// Walk reads all manifests and configurations that root leads to.
func Walk(ctx context.Context, root image.Digest, read Read) (Tree, error) {
	return WalkSelected(ctx, root, nil, read)
}

// WalkSelected is Walk for chosen platforms. One that root has no image for is an
// error: whoever chose it wants it checked.
func WalkSelected(ctx context.Context, root image.Digest, chosen Selection, read Read) (Tree, error) {
	w := walker{read: read, chosen: chosen, seen: map[image.Digest]bool{}, met: map[Platform]bool{}}
	if err := w.visit(ctx, Descriptor{Digest: root, Size: -1}, 0); err != nil {
		return Tree{}, err
	}
	for _, p := range chosen {
		if !w.met[p] {
			return Tree{}, Errorf(ReasonMissing, "platform "+p.String(), "%s has no image for it; choose among those that it has, or push it", root)
		}
	}
	if len(w.tree.Images) == 0 {
		return Tree{}, Errorf(ReasonNotAnImage, "index "+root.String(), "it names no image that could run")
	}
	return w.tree, nil
}

type walker struct {
	read   Read
	chosen Selection
	tree   Tree
	seen   map[image.Digest]bool // digest: whether a runtime could choose it
	met    map[Platform]bool     // of those that were chosen
	bytes  int64
	nodes  int
}

func (w *walker) visit(ctx context.Context, d Descriptor, depth int) error {
	// An index may name one manifest several times. What was an attachment under
	// one descriptor may be an image under another: look again, if so.
	if before, ok := w.seen[d.Digest]; ok && (before || !d.selectable()) {
		return nil
	}
	subject := subjectOf(d)
	if w.nodes++; w.nodes > maxManifests {
		return Errorf(ReasonTooLarge, subject, "the index names more than %d manifests", maxManifests)
	}
	// A runtime goes by what the index says, not by what the image says of itself.
	if d.selectable() && !w.meets(*d.Platform) {
		w.tree.Unselected = append(w.tree.Unselected, d)
		return nil
	}
	w.seen[d.Digest] = d.selectable()
	raw, err := w.get(ctx, KindManifest, d, MaxManifest)
	if err != nil {
		if d.Platform != nil {
			err = Within(err, clip(d.Platform.String()))
		}
		return err
	}
	doc, err := parseDocument(raw, d.MediaType)
	if err != nil {
		return &Error{Reason: ReasonNotAnImage, Subject: subject, Err: err}
	}
	d.MediaType, d.Size = doc.mediaType(), int64(len(raw))
	if depth == 0 {
		w.tree.Root = d
	}
	if !doc.isIndex() {
		return w.leaf(ctx, d, doc, depth)
	}
	if depth == maxDepth {
		return Errorf(ReasonTooLarge, subject, "indexes are nested more than %d deep", maxDepth)
	}
	for _, child := range doc.Manifests {
		if err := w.visit(ctx, child, depth+1); err != nil {
			return Within(err, "index "+d.Digest.String())
		}
	}
	return nil
}

// leaf takes a manifest as an image or an attachment. A child is an attachment
// only if no runtime can choose it by platform and nothing in it is a layer of
// a file system: either alone would let an image go unchecked by its name.
func (w *walker) leaf(ctx context.Context, d Descriptor, doc document, depth int) error {
	subject := subjectOf(d)
	layers, others := 0, ""
	for _, l := range doc.Layers {
		if isLayer(l.MediaType) {
			layers++
		} else {
			others = l.MediaType
		}
	}
	odd := len(doc.Layers) > 0 && layers == 0
	if depth > 0 && !d.selectable() && (odd || !isConfig(doc.Config.MediaType)) && layers == 0 {
		w.tree.Attachments = append(w.tree.Attachments, Attachment{
			Manifest: d,
			Blobs:    append([]Descriptor{*doc.Config}, doc.Layers...),
		})
		return nil
	}
	switch {
	case !isConfig(doc.Config.MediaType):
		return Errorf(ReasonNotAnImage, subject, "its config has the media type %q: an artefact, not an image", clip(doc.Config.MediaType))
	case others != "":
		return Errorf(ReasonNotAnImage, subject, "it has a layer of the media type %q, which is not one of a file system", clip(others))
	case len(doc.Layers) > maxLayers:
		return Errorf(ReasonTooLarge, subject, "it has %d layers, more than %d", len(doc.Layers), maxLayers)
	}
	return w.image(ctx, d, doc)
}

func (w *walker) image(ctx context.Context, d Descriptor, doc document) error {
	for _, known := range w.tree.Images {
		if known.Manifest.Digest == d.Digest {
			return nil
		}
	}
	raw, err := w.get(ctx, KindConfig, *doc.Config, MaxConfig)
	if err != nil {
		return Within(err, subjectOf(d))
	}
	config, err := parseConfig(raw, len(doc.Layers))
	if err != nil {
		return Within(&Error{Reason: ReasonNotAnImage, Subject: "config " + doc.Config.Digest.String(), Err: err}, subjectOf(d))
	}
	// Where no index says it, runtimes go by the configuration.
	if !d.selectable() && !w.meets(config.Platform) {
		w.tree.Unselected = append(w.tree.Unselected, d)
		return nil
	}
	img := Image{Manifest: d, Config: config, Annotations: doc.Annotations}
	for i, l := range doc.Layers {
		img.Layers = append(img.Layers, Layer{Descriptor: l, DiffID: config.RootFS.DiffIDs[i]})
	}
	w.tree.Images = append(w.tree.Images, img)
	return nil
}

// meets reports whether p was chosen, and remembers that there is an image for it.
func (w *walker) meets(p Platform) bool {
	by, ok := w.chosen.admits(p)
	for _, c := range by {
		w.met[c] = true
	}
	return ok
}

// subjectOf names a manifest, with the platform that led to it.
func subjectOf(d Descriptor) string {
	if d.Platform == nil {
		return "manifest " + d.Digest.String()
	}
	return "manifest " + d.Digest.String() + " (" + clip(d.Platform.String()) + ")"
}

// get reads d within its own limit and what is left of the tree's.
func (w *walker) get(ctx context.Context, kind Kind, d Descriptor, limit int64) ([]byte, error) {
	left := MaxMetadata - w.bytes
	if d.Size > limit || d.Size > left || left <= 0 {
		return nil, Errorf(ReasonTooLarge, string(kind)+" "+d.Digest.String(),
			"it has %d bytes; the limit is %d for one and %d for all manifests and configurations", d.Size, limit, int64(MaxMetadata))
	}
	raw, err := w.read(ctx, kind, d, min(limit, left))
	if err != nil {
		return nil, err
	}
	w.bytes += int64(len(raw))
	return raw, nil
}
