package vulndb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// uploadTime is how long a registry may take to answer after Push has sent a part.
const uploadTime = 15 * time.Minute

// Push writes the parts in dir, then the config, and last the manifest under the tag. A crash
// before the last step leaves the old database in place, and some blobs for the registry to
// collect. Push returns once the registry serves the new database under the tag.
func Push(ctx context.Context, to Reference, a Artifact, dir string, registry fetch.Options) error {
	if to.tag == "" {
		return fmt.Errorf("a database needs a tag to be written to, and %s has none", to)
	}
	inspecting := registry
	registry.Answer = oci.MaxManifest
	registry.Stall = max(registry.Stall, uploadTime)
	named, rt, err := fetch.Guarded(to.repository, registry)
	if err != nil {
		return err
	}
	auth := remote.WithAuth(authn.Anonymous)
	if registry.Keychain != nil {
		auth = remote.WithAuthFromKeychain(registry.Keychain)
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithTransport(rt), remote.WithRetryPredicate(fetch.Repeatable), auth}
	subject := "database " + to.String()
	for i, p := range a.Config.Parts {
		if err := remote.WriteLayer(named, layer{p, partPath(dir, i)}, options...); err != nil {
			return failed(ctx, subject+", "+partName(i), err)
		}
	}
	if err := remote.WriteLayer(named, static.NewLayer(a.RawConfig, ConfigType), options...); err != nil {
		return failed(ctx, subject, err)
	}
	if err := remote.Put(named.Tag(to.tag), rawManifest(a.Manifest), options...); err != nil {
		return failed(ctx, subject, err)
	}
	got, err := Inspect(ctx, to, inspecting)
	if err != nil {
		return fmt.Errorf("read back the database: %w", err)
	}
	if got.Digest != a.Digest {
		return fmt.Errorf("%s: wrote %s, but the registry now has %s; does something else write to this tag?", subject, a.Digest, got.Digest)
	}
	return nil
}

func failed(ctx context.Context, subject string, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return oci.Errorf(oci.ReasonTimedOut, subject, "time ran out while pushing: %w", err)
	}
	return fetch.ClassifyPush(subject, err)
}

// rawManifest is the manifest that Push writes under the tag.
type rawManifest []byte

// RawManifest implements remote.Taggable.
func (m rawManifest) RawManifest() ([]byte, error) { return m, nil }

// MediaType implements remote.Taggable.
func (m rawManifest) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// layer is a part to upload.
type layer struct {
	Part
	path string
}

// Digest implements v1.Layer.
func (l layer) Digest() (v1.Hash, error) { return v1.NewHash(l.Part.Digest.String()) }

// DiffID implements v1.Layer. Nothing unpacks the layer, so it is the digest.
func (l layer) DiffID() (v1.Hash, error) { return l.Digest() }

// Compressed implements v1.Layer.
func (l layer) Compressed() (io.ReadCloser, error) { return os.Open(l.path) }

// Uncompressed implements v1.Layer.
func (l layer) Uncompressed() (io.ReadCloser, error) { return l.Compressed() }

// Size implements v1.Layer.
func (l layer) Size() (int64, error) { return l.Part.Size, nil }

// MediaType implements v1.Layer.
func (l layer) MediaType() (types.MediaType, error) { return LayerType, nil }
