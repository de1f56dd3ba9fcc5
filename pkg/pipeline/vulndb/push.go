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

// uploadTime is how long a registry may take to answer when a part was sent.
const uploadTime = 15 * time.Minute

// Push writes the parts, which lie in dir, the config, and then the manifest under the
// tag: a crash before that leaves the old database, and blobs for the registry to
// remove. It returns after the registry names the new one by the tag.
func Push(ctx context.Context, to Reference, a Artifact, dir string, registry fetch.Options) error {
	if to.tag == "" {
		return fmt.Errorf("a database is written under a tag, and %s names none", to)
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
		return fmt.Errorf("read again what was written: %w", err)
	}
	if got.Digest != a.Digest {
		return fmt.Errorf("%s: %s was written, and the registry has %s now; does somebody else write it too?", subject, a.Digest, got.Digest)
	}
	return nil
}

func failed(ctx context.Context, subject string, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return oci.Errorf(oci.ReasonTimedOut, subject, "time ran out while it was pushed: %w", err)
	}
	return fetch.ClassifyPush(subject, err)
}

// rawManifest is what is put under the tag.
type rawManifest []byte

// RawManifest implements remote.Taggable.
func (m rawManifest) RawManifest() ([]byte, error) { return m, nil }

// MediaType tells the library how to send it.
func (m rawManifest) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// layer is a part to upload.
type layer struct {
	Part
	path string
}

// Digest implements v1.Layer.
func (l layer) Digest() (v1.Hash, error) { return v1.NewHash(l.Part.Digest.String()) }

// DiffID implements v1.Layer. It is never unpacked.
func (l layer) DiffID() (v1.Hash, error) { return l.Digest() }

// Compressed implements v1.Layer.
func (l layer) Compressed() (io.ReadCloser, error) { return os.Open(l.path) }

// Uncompressed implements v1.Layer.
func (l layer) Uncompressed() (io.ReadCloser, error) { return l.Compressed() }

// Size implements v1.Layer.
func (l layer) Size() (int64, error) { return l.Part.Size, nil }

// MediaType implements v1.Layer.
func (l layer) MediaType() (types.MediaType, error) { return LayerType, nil }
