package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/revet-dev/revet/pkg/image"
)

// manifest is one manifest or index, with its configuration if it is an image's.
type manifest struct {
	mediaType types.MediaType
	image     *v1.Manifest
	index     *v1.IndexManifest
	config    *v1.ConfigFile
}

// reader reads the manifests of one repository.
type reader struct {
	repository name.Repository
	puller     *remote.Puller
}

func (c *Client) reader(ctx context.Context, r image.Repository, as Account) (*reader, error) {
	repository, err := c.repository(r, as)
	if err != nil {
		return nil, err
	}
	puller, err := remote.NewPuller(c.options(ctx, as)...)
	if err != nil {
		return nil, err
	}
	return &reader{repository, puller}, nil
}

// Content returns what tells whether a digest can run. It looks into the children
// of an index only where none names a platform, as in the list that clients keep
// of an image's signatures and reports: that costs up to two requests each, and
// what is not known is runnable.
func (c *Client) Content(ctx context.Context, ref image.Reference, as Account) (image.Content, error) {
	r, err := c.reader(ctx, ref.Repository(), as)
	if err != nil {
		return image.Content{}, classify(ref.String(), err)
	}
	m, err := r.read(ctx, ref.Digest())
	if err != nil {
		return image.Content{}, classify(ref.String(), err)
	}
	content := m.content()
	if m.index != nil {
		content.Children, err = r.unplaced(ctx, m.index)
	}
	if err != nil {
		return image.Content{}, classify(ref.String(), err)
	}
	return content, nil
}

// unplaced returns the content of the children of an index none of which names a
// platform; of any other index nothing. It stops at the first that can run.
func (r *reader) unplaced(ctx context.Context, index *v1.IndexManifest) ([]image.Content, error) {
	if len(index.Manifests) > maxChildren {
		return nil, nil
	}
	for _, desc := range index.Manifests {
		if p := desc.Platform; p != nil && p.OS != "unknown" {
			return nil, nil
		}
	}
	var children []image.Content
	for _, desc := range index.Manifests {
		d, err := image.ParseDigest(desc.Digest.String())
		if err != nil {
			return nil, nil //nolint:nilerr // it is not known what this is, and so it is runnable
		}
		child, err := r.read(ctx, d)
		switch {
		case err != nil && reason(err) == NotFound:
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("the child %s: %w", d, err)
		}
		content := child.content()
		children = append(children, content)
		if content.Runnable("") {
			break
		}
	}
	return children, nil
}

// read gets a manifest by digest, recomputes the digest, and gets its
// configuration.
func (r *reader) read(ctx context.Context, d image.Digest) (*manifest, error) {
	desc, err := r.puller.Get(ctx, r.repository.Digest(d.String()))
	if err != nil {
		return nil, err
	}
	// The library compares the digest of the bytes with the one that was asked
	// for, except for a signed manifest of schema 1, where it believes a header.
	if got, _, err := v1.SHA256(bytes.NewReader(desc.Manifest)); err != nil || got.String() != d.String() {
		return nil, fmt.Errorf("%w: the registry answered with the content of %s", errInvalid, got)
	}
	m := &manifest{mediaType: desc.MediaType}
	if desc.MediaType.IsIndex() {
		if m.index, err = v1.ParseIndexManifest(bytes.NewReader(desc.Manifest)); err != nil {
			return nil, fmt.Errorf("%w: %w", errInvalid, err)
		}
		return m, nil
	}
	if m.image, err = v1.ParseManifest(bytes.NewReader(desc.Manifest)); err != nil {
		return nil, fmt.Errorf("%w: %w", errInvalid, err)
	}
	if m.image.Config.MediaType.IsConfig() {
		m.config, err = r.config(ctx, m.image.Config.Digest)
	}
	return m, err
}

func (r *reader) config(ctx context.Context, h v1.Hash) (*v1.ConfigFile, error) {
	d, err := image.ParseDigest(h.String())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errInvalid, err)
	}
	layer, err := r.puller.Layer(ctx, r.repository.Digest(d.String()))
	if err != nil {
		return nil, err
	}
	// A layer's "compressed" form is the blob as it is, verified as it is read.
	blob, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer func() { _ = blob.Close() }()
	content, err := io.ReadAll(blob)
	if err != nil {
		return nil, err
	}
	var config v1.ConfigFile
	if err := json.Unmarshal(content, &config); err != nil {
		return nil, fmt.Errorf("%w: the image configuration: %w", errInvalid, err)
	}
	return &config, nil
}

func (m *manifest) content() image.Content {
	if m.index != nil {
		// Kind only: without children it counts as not known.
		return image.Content{Kind: image.ContentIndex}
	}
	c := image.Content{Kind: image.ContentImage}
	for _, l := range m.image.Layers {
		c.LayerTypes = append(c.LayerTypes, string(l.MediaType))
	}
	if m.config != nil {
		c.Architecture = m.config.Architecture
		c.Command = len(m.config.Config.Cmd) > 0 || len(m.config.Config.Entrypoint) > 0
	}
	return c
}
