package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

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

// reader reads the content of one repository. Its methods tell what content is.
type reader struct {
	repository name.Repository
	puller     *remote.Puller
	left       int64 // of maxProof
	proven     *proven
}

func (c *Client) reader(ctx context.Context, r image.Repository, as Credentials) (*reader, error) {
	repository, err := c.repository(r, as)
	if err != nil {
		return nil, err
	}
	puller, err := remote.NewPuller(c.options(ctx, as)...)
	if err != nil {
		return nil, err
	}
	return &reader{repository, puller, maxProof, c.proven}, nil
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
	// What takes too long is not known, and the caller has time left to say so.
	if deadline, ok := ctx.Deadline(); ok {
		half, cancel := context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
		ctx = half
	}
	return r.content(ctx, m, maxDepth), nil
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

// blob decides what a blob is that an index names beside its manifests. Its
// beginning is enough to see that it is no JSON, which saves reading large ones.
func (r *reader) blob(ctx context.Context, d image.Descriptor) image.Content {
	blob, err := r.open(ctx, d.Digest)
	if err != nil {
		return image.Content{}
	}
	defer func() { _ = blob.Close() }()
	begin, err := io.ReadAll(io.LimitReader(blob, maxSniffed))
	if err != nil {
		return image.Content{}
	}
	r.left -= leastProof
	if image.NoJSONObject(begin) {
		return image.Content{Kind: image.ContentBlob}
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
	raw []byte
	// unknown is why it is not known what runtimes make of it, if it is not.
	unknown error
}

// manifest gets a manifest by digest and recomputes the digest. What it is, its
// fields say, whatever the Content-Type.
func (r *reader) manifest(ctx context.Context, d image.Digest) (manifest, error) {
	desc, err := r.puller.Get(ctx, r.repository.Digest(d.String()))
	if err != nil {
		return manifest{}, err
	}
	// The library compares the digest of the bytes with the one that was asked
	// for, except for a signed manifest of schema 1, where it believes a header.
	if got, _, err := v1.SHA256(bytes.NewReader(desc.Manifest)); err != nil || got.String() != d.String() {
		return manifest{}, fmt.Errorf("%w: the registry answered with the content of %s", errInvalid, got)
	}
	m := manifest{raw: desc.Manifest}
	m.Manifest, m.unknown = image.ParseManifest(desc.Manifest, "")
	return m, nil
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

// open opens a blob, whose digest is recomputed up to its end.
func (r *reader) open(ctx context.Context, d image.Digest) (io.ReadCloser, error) {
	if d.IsZero() {
		return nil, errors.New("no digest")
	}
	layer, err := r.puller.Layer(ctx, r.repository.Digest(d.String()))
	if err != nil {
		return nil, err
	}
	// A layer's "compressed" form is the blob as it is, verified as it is read.
	return layer.Compressed()
}
