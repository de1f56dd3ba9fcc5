package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// uploadTime is how long a registry may take to answer when a layer was sent.
const uploadTime = 15 * time.Minute

// push writes the layers, the config, and then the manifest under the tag: a crash
// before that leaves the old database, and blobs for the registry to remove. It
// returns after the registry names the new one by the tag.
func push(ctx context.Context, o Options, n next) error {
	subject := "database " + o.To.String()
	registry := o.Registry
	registry.Answer = content.MaxManifest
	registry.Stall = max(registry.Stall, uploadTime)
	named, rt, err := fetch.Guarded(o.To.Repository(), registry)
	if err != nil {
		return err
	}
	auth := remote.WithAuth(authn.Anonymous)
	if registry.Keychain != nil {
		auth = remote.WithAuthFromKeychain(registry.Keychain)
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithTransport(rt), auth}
	for _, e := range n.artifact.Config.Ecosystems {
		l, err := newLayer(e, n.layers[e.Name])
		if err != nil {
			return err
		}
		if err := remote.WriteLayer(named, l, options...); err != nil {
			return failed(ctx, subject+", ecosystem "+e.Name, err)
		}
	}
	if err := remote.WriteLayer(named, static.NewLayer(n.artifact.RawConfig, vulndb.ConfigType), options...); err != nil {
		return failed(ctx, subject, err)
	}
	if err := remote.Put(named.Tag(o.To.Tag()), manifest(n.artifact.Manifest), options...); err != nil {
		return failed(ctx, subject, err)
	}
	got, err := vulndb.Inspect(ctx, o.To, o.Registry)
	if err != nil {
		return fmt.Errorf("read again what was written: %w", err)
	}
	if got.Digest != n.artifact.Digest {
		return fmt.Errorf("%s: %s was written, and the registry has %s now; does somebody else write it too?", subject, n.artifact.Digest, got.Digest)
	}
	return nil
}

func failed(ctx context.Context, subject string, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return content.Errorf(content.ReasonTimedOut, subject, "time ran out while it was pushed: %w", err)
	}
	return fetch.Classify(subject, err)
}

// manifest is what is put under the tag.
type manifest []byte

// RawManifest implements remote.Taggable.
func (m manifest) RawManifest() ([]byte, error) { return m, nil }

// MediaType tells the library how to send it.
func (m manifest) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// layer is a file to upload.
type layer struct {
	hash v1.Hash
	size int64
	from io.ReaderAt
}

func newLayer(e vulndb.Ecosystem, from io.ReaderAt) (layer, error) {
	if from == nil {
		return layer{}, fmt.Errorf("the layer of %s is not there", e.Name)
	}
	h, err := v1.NewHash(e.Digest.String())
	return layer{h, e.Size, from}, err
}

// Digest implements v1.Layer.
func (l layer) Digest() (v1.Hash, error) { return l.hash, nil }

// DiffID implements v1.Layer. It is never unpacked.
func (l layer) DiffID() (v1.Hash, error) { return l.hash, nil }

// Compressed implements v1.Layer.
func (l layer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(l.from, 0, l.size)), nil
}

// Uncompressed implements v1.Layer.
func (l layer) Uncompressed() (io.ReadCloser, error) { return l.Compressed() }

// Size implements v1.Layer.
func (l layer) Size() (int64, error) { return l.size, nil }

// MediaType implements v1.Layer.
func (l layer) MediaType() (types.MediaType, error) { return vulndb.LayerType, nil }
