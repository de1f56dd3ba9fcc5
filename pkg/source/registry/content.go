package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
)

// What is read to tell what a digest is. Beyond it the digest is not known, and
// so it is verified.
const (
	maxListed  = 1024    // children of an index, up to the first that can run
	maxProof   = 4 << 20 // bytes of them, and of layers, together
	leastProof = 4 << 10 // what a read counts at least, as it is a request
	maxSniffed = 512     // of a blob that an index declares to be no manifest
)

// reader reads the content of one repository. Its methods decide what content is.
type reader struct {
	*session
	left   int64 // of maxProof
	proven *proven
}

func (c *Client) reader(ctx context.Context, r image.Repository, as Credentials) (*reader, error) {
	s, err := c.repository(ctx, r, as)
	if err != nil {
		return nil, err
	}
	return &reader{s, maxProof, c.proven}, nil
}

// Content returns what tells whether a digest can run: of its manifest, of a
// config or small layers where these may prove that it cannot, and of the
// children of an index up to the first that can. What of these cannot be read is
// not known, and that is runnable; an error is of the digest itself.
func (c *Client) Content(ctx context.Context, ref image.Reference, as Credentials) (image.Content, error) {
	r, err := c.reader(ctx, ref.Repository(), as)
	if err != nil {
		return image.Content{}, classify(ref.String(), err)
	}
	m, err := r.manifest(ctx, ref.Digest())
	if err != nil {
		return image.Content{}, classify(ref.String(), err)
	}
	return r.decide(ctx, m), nil
}

// decide decides what a manifest is within half of the time that the caller has. What
// takes longer is not known, and the caller has time left to say so.
func (r *reader) decide(ctx context.Context, m manifest) image.Content {
	if deadline, ok := ctx.Deadline(); ok {
		half, cancel := context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
		ctx = half
	}
	return r.content(ctx, m, maxDepth)
}

// maxDepth is how deep indexes in indexes are looked into.
const maxDepth = 2

// content decides what a manifest is, and an index with up to depth within it.
func (r *reader) content(ctx context.Context, m manifest, depth int) image.Content {
	switch {
	case m.unknown != nil:
		return image.Content{}
	case !m.IsIndex():
		return m.Content(ctx, r.proof)
	default:
		return r.children(ctx, m, depth)
	}
}

// children looks at the children of an index until one can run, or is not known.
func (r *reader) children(ctx context.Context, m manifest, depth int) image.Content {
	index := image.Content{Kind: image.ContentIndex}
	seen := map[image.Digest]bool{}
	for _, d := range m.Manifests {
		if seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		if depth == 0 || len(seen) > maxListed || r.left <= 0 || ctx.Err() != nil {
			return index
		}
		child := r.child(ctx, d, depth-1)
		index.Children = append(index.Children, child)
		if child.Runnable() {
			return index
		}
	}
	index.Complete = true
	return index
}

// child decides what an index names. What it declares to be no manifest may be
// one all the same, and is a blob only if the registry does not have it as one.
func (r *reader) child(ctx context.Context, d image.Descriptor, depth int) image.Content {
	if content, ok := r.proven.get(d.Digest); ok {
		return content
	}
	m, err := r.manifest(ctx, d.Digest)
	switch {
	case err == nil:
		r.left -= int64(len(m.raw))
		content := r.content(ctx, m, depth)
		r.proven.put(d.Digest, content)
		return content
	case reason(err) == source.NotFound && !d.NamesManifest():
		return r.blob(ctx, d)
	default:
		return image.Content{}
	}
}

// blob decides what a blob is that an index names beside its manifests. The beginning of a
// large one is enough to see that this registry has no manifest under the digest, but proves
// it of no other one, as nothing was recomputed.
func (r *reader) blob(ctx context.Context, d image.Descriptor) image.Content {
	blob, err := r.open(ctx, d.Digest)
	if err != nil {
		return image.Content{}
	}
	defer func() { _ = blob.Close() }()
	begin, err := io.ReadAll(io.LimitReader(blob, maxSniffed+1))
	if err != nil {
		return image.Content{}
	}
	r.left -= leastProof
	switch {
	case len(begin) <= maxSniffed:
		return image.BlobContent(begin) // read to its end, and so recomputed
	case image.NoJSONObject(begin):
		return image.Content{Kind: image.ContentBlob, ClaimedBlob: true}
	}
	whole, err := r.proof(ctx, image.KindBlob, d, maxProof)
	if err != nil {
		return image.Content{}
	}
	return image.BlobContent(whole)
}

// manifest is what is read of a digest that the registry has as a manifest.
type manifest struct {
	image.Manifest
	digest image.Digest
	raw    []byte
	// unknown is why it is not known what runtimes make of it, if it is not.
	unknown error
	schema1 bool
}

// newManifest recomputes the digest of a manifest. What it is, its fields decide, whatever
// the Content-Type.
func newManifest(raw []byte) manifest {
	m := manifest{raw: raw, digest: image.DigestOf(raw)}
	m.Manifest, m.unknown = image.ParseManifest(raw, "")
	var old struct {
		SchemaVersion int             `json:"schemaVersion"`
		FSLayers      json.RawMessage `json:"fsLayers"`
	}
	m.schema1 = m.unknown != nil && json.Unmarshal(raw, &old) == nil && (old.SchemaVersion == 1 || old.FSLayers != nil)
	return m
}

func (r *reader) manifest(ctx context.Context, d image.Digest) (manifest, error) {
	return r.byDigest(ctx, d)
}

// proof is an image.Read within what is left of maxProof.
func (r *reader) proof(ctx context.Context, _ image.Kind, d image.Descriptor, limit int64) ([]byte, error) {
	raw, err := r.read(ctx, d.Digest, min(limit, r.left))
	r.left -= max(int64(len(raw)), leastProof)
	return raw, err
}

// read gets a whole blob of at most limit bytes, its digest recomputed.
func (r *reader) read(ctx context.Context, d image.Digest, limit int64) ([]byte, error) {
	blob, err := r.open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer func() { _ = blob.Close() }()
	raw, err := io.ReadAll(io.LimitReader(blob, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("%w: %s has more than %d bytes", errInvalid, d, limit)
	}
	return raw, nil
}

// open opens a blob. The last Read fails if the blob has another digest.
func (r *reader) open(ctx context.Context, d image.Digest) (io.ReadCloser, error) {
	if d.IsZero() {
		return nil, errors.New("no digest")
	}
	resp, err := r.do(ctx, http.MethodGet, r.base.ResolveReference(&url.URL{Path: r.path + "/blobs/" + d.String()}))
	if err != nil {
		return nil, err
	}
	if err := r.check(ctx, resp); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return &recomputed{ReadCloser: resp.Body, want: d, hash: sha256.New()}, nil
}

// recomputed is a body whose digest is recomputed while it is read.
type recomputed struct {
	io.ReadCloser
	want image.Digest
	hash hash.Hash
}

func (b *recomputed) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.hash.Write(p[:n])
	if errors.Is(err, io.EOF) && hex.EncodeToString(b.hash.Sum(nil)) != b.want.Hex() {
		return n, fmt.Errorf("the registry answered to %s with other content", b.want)
	}
	return n, err
}

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
		Image:   v1alpha1.ImageFacts{MediaType: source.MediaType(m.Type()), Source: factsSource},
		Content: image.Content{Kind: image.ContentIndex},
	}
	if len(m.Manifests) > maxChildren {
		if facts.Content = r.children(ctx, m, maxDepth); !facts.Content.Runnable() {
			return facts, nil
		}
		return Facts{}, fmt.Errorf("%w: the index names %d children; at most %d are read", errInvalid, len(m.Manifests), maxChildren)
	}
	facts.Content.Complete = true
	var revisions source.Revisions
	seen := map[image.Digest]bool{}
	for _, d := range m.Manifests {
		if seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		facts.Children = append(facts.Children, d.Digest)
		if err := r.addChild(ctx, &facts, &revisions, d, labelNames); err != nil {
			return Facts{}, fmt.Errorf("the child %s: %w", d.Digest, err)
		}
	}
	revisions.SetIndex(&facts.Image, m.Annotations)
	return facts, nil
}

// addChild adds what an index names.
func (r *reader) addChild(ctx context.Context, f *Facts, claims *source.Revisions, d image.Descriptor, labelNames []string) error {
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
	claims.AddChild(d.Platform, own)
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
		MediaType: source.MediaType(m.Type()),
		Layers:    source.Count(len(m.Layers)),
		Size:      sizeOf(m),
		Base:      source.Base(m.Annotations, nil),
		Source:    factsSource,
	}
	source.SetRevision(&f, m.Annotations, nil)
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
	source.SetRevision(&f, m.Annotations, c.Config.Labels)
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
