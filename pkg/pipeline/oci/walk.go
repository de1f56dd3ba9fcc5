package oci

import (
	"context"
	"errors"
	"slices"

	"github.com/revet-dev/revet/pkg/image"
)

// The limits on what is read before any layer.
const (
	// MaxManifest bounds a manifest or an index. Registries refuse larger ones.
	MaxManifest = image.MaxManifest
	// MaxConfig bounds a configuration.
	MaxConfig = image.MaxConfig
	// MaxMetadata bounds all manifests and configurations of a tree together.
	MaxMetadata = 64 << 20

	maxManifests = 256  // images and indexes in a tree
	maxNodes     = 4096 // everything in a tree, including artefacts: lists of referrers are long
	maxDepth     = 3    // indexes within indexes
	maxLayers    = 1000 // layers of an image; overlay file systems support 500
)

// Tree is everything a digest names. Layers are not read yet.
type Tree struct {
	// Root is what the digest itself names.
	Root Descriptor
	// Images can run. They are in the order in which the manifests name them.
	Images []Image
	// Attachments are children of an index that cannot run, such as provenance and SBOMs.
	Attachments []Attachment
	// Unselected are images of an index whose platform was not selected. Walk does not read them.
	Unselected []Descriptor
	// MissingAttachments are children of an index that the registry no longer has, and whose
	// platform no host has: attestations that a retention policy removed. No runtime asks for them.
	MissingAttachments []Descriptor
}

// Image is an image for one platform.
type Image struct {
	Manifest Descriptor
	Config   Config
	Layers   []Layer
	// Annotations are the annotations of its manifest.
	Annotations map[string]string
}

// Layer is a layer and the digest of its uncompressed content.
type Layer struct {
	Descriptor
	DiffID image.Digest
}

// Size returns the sum of the compressed layer sizes that the manifest claims.
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

// Walk reads all manifests and configurations that root leads to. If no platform is selected, it
// visits them all. Otherwise it visits every child of an index that a runtime on a host of a
// selected platform could take. If a selected platform has no image, Walk returns an error, because
// its owner wants that image checked.
func Walk(ctx context.Context, root image.Digest, chosen Selection, read Read) (Tree, error) {
	w := walker{read: read, chosen: chosen, seen: map[image.Digest]*walkedNode{}, met: map[Platform]bool{}}
	if err := w.visit(ctx, Descriptor{Digest: root, Size: -1}, position{choices: chosen.choices(nil)}); err != nil {
		return Tree{}, err
	}
	t := w.tree
	switch {
	case len(t.Images)+len(t.Unselected)+len(t.MissingAttachments) == 0:
		return Tree{}, Errorf(ReasonNotAnImage, "index "+root.String(), "it names no image that can run")
	case len(t.Images) > 0 && len(t.Attachments) > maxManifests:
		return Tree{}, Errorf(ReasonTooLarge, "index "+root.String(), "it names more than %d manifests", maxManifests)
	case len(t.Images) > 0 && w.oversize != nil:
		return Tree{}, w.oversize
	}
	for _, p := range chosen {
		if !w.met[p] {
			return Tree{}, Errorf(ReasonMissing, "platform "+p.String(), "%s has no image for it; select one of its platforms, or push an image for this one", root)
		}
	}
	if len(t.Images) == 0 {
		return Tree{}, Errorf(ReasonMissing, "index "+root.String(), "the registry has nothing that it names")
	}
	return t, nil
}

type walker struct {
	read   Read
	chosen Selection
	tree   Tree
	seen   map[image.Digest]*walkedNode
	met    map[Platform]bool // the selected ones that were met
	// Counters of visited children, of the images and indexes among them, and of bytes read.
	nodes, images int
	bytes, proofs int64
	// oversize is the error for a child of an index that is too large for a manifest.
	oversize error
}

// walkedNode caches what Walk knows about a digest.
type walkedNode struct {
	doc    image.Manifest
	blob   bool // not a manifest
	known  bool // content is set
	listed bool // listed in the tree as an image
	attach bool // listed in the tree as an attachment

	content image.Content
}

// position is the place in the tree where a manifest is named.
type position struct {
	depth   int
	choices []image.Choice // one for each selected platform
}

func (w *walker) visit(ctx context.Context, d Descriptor, at position) error {
	if w.nodes++; w.nodes > maxNodes {
		return Errorf(ReasonTooLarge, subjectOf(d), "the index names more than %d manifests", maxNodes)
	}
	// Runtimes go by the platform in the index, not by the image's own claim.
	if placed(d) && !w.admits(at, image.Choice.Takes, *d.Platform) {
		w.tree.Unselected = append(w.tree.Unselected, d)
		return nil
	}
	n, err := w.node(ctx, d, at)
	switch {
	case isMissing(err) && d.Platform.NoHost():
		w.tree.MissingAttachments = append(w.tree.MissingAttachments, d)
		return nil
	case err != nil:
		return err
	case n.blob:
		return nil
	case n.doc.IsIndex():
		return w.index(ctx, d, n.doc, at)
	}
	d.MediaType = n.doc.Type()
	if d.Platform.NoHost() && w.saysNoHost(ctx, n.doc) {
		return w.attachment(d, n, at)
	}
	// If something looks like an image where one is expected, no proof is needed.
	if (at.depth == 0 || placed(d)) && n.doc.LooksLikeImage() {
		return w.image(ctx, d, n, at)
	}
	if !n.known {
		n.content, n.known = n.doc.Content(ctx, w.proof), true
	}
	if !n.content.Runnable() {
		return w.attachment(d, n, at)
	}
	return w.image(ctx, d, n, at)
}

// placed reports whether a runtime could take a child for its platform.
func placed(d Descriptor) bool { return d.Platform.IsPlaced() && !d.Platform.NoHost() }

// admits reports whether takes accepts p for one of the selected platforms.
func (w *walker) admits(at position, takes func(image.Choice, Platform) bool, p Platform) bool {
	return len(w.chosen) == 0 || slices.ContainsFunc(at.choices, func(c image.Choice) bool { return takes(c, p) })
}

// node reads what d names. It reads each digest once.
func (w *walker) node(ctx context.Context, d Descriptor, at position) (*walkedNode, error) {
	if n := w.seen[d.Digest]; n != nil {
		return n, nil
	}
	n, err := w.open(ctx, d, at)
	if err != nil {
		return nil, err
	}
	w.seen[d.Digest] = n
	return n, nil
}

func (w *walker) open(ctx context.Context, d Descriptor, at position) (*walkedNode, error) {
	if !d.NamesManifest() {
		d.Size = -1 // it may be the size of a layer; only the bytes read count
	}
	raw, err := w.get(ctx, KindManifest, d, MaxManifest)
	switch {
	case isMissing(err) && at.depth > 0 && !d.NamesManifest():
		return w.blob(ctx, d)
	case err != nil && d.Platform != nil:
		return nil, Within(err, clip(d.Platform.String()))
	case err != nil:
		return nil, err
	case !d.NamesManifest() && !image.BlobContent(raw).Runnable():
		return &walkedNode{blob: true}, nil
	}
	doc, err := image.ParseManifest(raw, d.MediaType)
	if err != nil {
		return nil, &Error{Reason: ReasonUnreadable, Subject: subjectOf(d), Err: err}
	}
	if at.depth == 0 {
		d.MediaType, d.Size = doc.Type(), int64(len(raw))
		w.tree.Root = d
	}
	return &walkedNode{doc: doc}, nil
}

// blob reads a child of an index that is not declared to be a manifest, and that the registry does
// not serve as one. It cannot run if it cannot be a manifest. Either its bytes prove that, or its
// size does: no runtime reads a manifest that large.
func (w *walker) blob(ctx context.Context, d Descriptor) (*walkedNode, error) {
	raw, err := w.get(ctx, KindBlob, d, MaxManifest)
	var e *Error
	switch {
	case errors.As(err, &e) && e.Reason == ReasonTooLarge && MaxMetadata-w.bytes > MaxManifest:
		w.oversize = err
	case err != nil:
		return nil, err
	case image.BlobContent(raw).Runnable():
		return nil, Errorf(ReasonUnreadable, subjectOf(d), "ambiguous: it is named as %q, but can also be read as a manifest", clip(d.MediaType))
	}
	return &walkedNode{blob: true}, nil
}

// The limits on proofs. To prove that a manifest is not an image, Walk may have to read layers. It
// bounds the bytes of each read, and the number of reads.
const (
	maxProofs  = 16 << 20
	leastProof = 4 << 10
)

// proof is the function through which an image.Manifest reads to decide. If a read fails, the
// question stays open. The read will fail again if the content is needed.
func (w *walker) proof(ctx context.Context, kind Kind, d Descriptor, limit int64) ([]byte, error) {
	raw, err := w.get(ctx, kind, d, min(limit, maxProofs-w.proofs))
	w.proofs += max(int64(len(raw)), leastProof)
	return raw, err
}

func isMissing(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Reason == ReasonMissing
}

// count counts images and indexes against the limit. It counts one again for each visit.
func (w *walker) count(d Descriptor) error {
	if w.images++; w.images > maxManifests {
		return Errorf(ReasonTooLarge, subjectOf(d), "the index names more than %d manifests", maxManifests)
	}
	return nil
}

func (w *walker) index(ctx context.Context, d Descriptor, doc image.Manifest, at position) error {
	if at.depth == maxDepth {
		return Errorf(ReasonTooLarge, subjectOf(d), "indexes are nested more than %d deep", maxDepth)
	}
	if err := w.count(d); err != nil {
		return err
	}
	below := position{depth: at.depth + 1, choices: w.chosen.choices(doc.Manifests)}
	for _, child := range doc.Manifests {
		if err := w.visit(ctx, child, below); err != nil {
			return Within(err, "index "+d.Digest.String())
		}
	}
	return nil
}

// saysNoHost reports whether the configuration, too, names a platform that no host has, as in
// BuildKit's attestations. Their layers may be large.
func (w *walker) saysNoHost(ctx context.Context, doc image.Manifest) bool {
	if !doc.HasImageConfig() {
		return false
	}
	raw, err := w.get(ctx, KindConfig, *doc.Config, MaxConfig)
	if err != nil {
		return false
	}
	var p Platform
	return image.Decode(raw, &p) == nil && p.NoHost()
}

// attachment adds a manifest that cannot run.
func (w *walker) attachment(d Descriptor, n *walkedNode, at position) error {
	if at.depth == 0 {
		return Errorf(ReasonNotAnImage, subjectOf(d), "%s", n.content.Why())
	}
	if n.attach {
		return nil
	}
	n.attach = true
	a := Attachment{Manifest: d}
	if n.doc.Config != nil {
		a.Blobs = append([]Descriptor{*n.doc.Config}, n.doc.Layers...)
	}
	w.tree.Attachments = append(w.tree.Attachments, a)
	return nil
}

func (w *walker) image(ctx context.Context, d Descriptor, n *walkedNode, at position) error {
	if len(n.doc.Layers) > maxLayers {
		return Errorf(ReasonTooLarge, subjectOf(d), "it has %d layers; the limit is %d", len(n.doc.Layers), maxLayers)
	}
	if err := w.count(d); err != nil {
		return err
	}
	raw, err := w.get(ctx, KindConfig, *n.doc.Config, MaxConfig)
	if err != nil {
		return Within(err, subjectOf(d))
	}
	config, err := parseConfig(raw, len(n.doc.Layers))
	if err != nil {
		return Within(&Error{Reason: ReasonUnreadable, Subject: "config " + n.doc.Config.Digest.String(), Err: err}, subjectOf(d))
	}
	if !w.selects(d, config.Platform, at) {
		w.tree.Unselected = append(w.tree.Unselected, d)
		return nil
	}
	if n.listed {
		return nil
	}
	n.listed = true
	img := Image{Manifest: d, Config: config, Annotations: n.doc.Annotations}
	for i, l := range n.doc.Layers {
		img.Layers = append(img.Layers, Layer{Descriptor: l, DiffID: config.RootFS.DiffIDs[i]})
	}
	w.tree.Images = append(w.tree.Images, img)
	return nil
}

// selects reports whether an image is selected, and marks the selected platforms that it serves.
func (w *walker) selects(d Descriptor, config Platform, at position) bool {
	takes, p := image.Choice.Meets, config
	if placed(d) {
		takes, p = image.Choice.Takes, *d.Platform
	}
	for i, c := range at.choices {
		if takes(c, p) {
			w.met[w.chosen[i]] = true
		}
	}
	if at.depth > 0 && !d.Platform.IsPlaced() {
		takes = image.Choice.TakesUnplaced
	}
	return w.admits(at, takes, p)
}

// subjectOf names a manifest in messages, with the platform that led to it.
func subjectOf(d Descriptor) string {
	if d.Platform == nil {
		return "manifest " + d.Digest.String()
	}
	return "manifest " + d.Digest.String() + " (" + clip(d.Platform.String()) + ")"
}

// get reads d within its own limit and the tree's remaining limit.
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
