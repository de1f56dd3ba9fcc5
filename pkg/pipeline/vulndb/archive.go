package vulndb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
)

// ArchiveOptions say how an archive is pulled.
type ArchiveOptions struct {
	Registry fetch.Options
	// MaxBytes is how large it may be.
	MaxBytes int64
	// File is where it is stored; it must not exist.
	File string
}

// Archive stores the one layer of an artefact, which another scanner's database is,
// and returns the digest of the artefact. All digests are recomputed. What is in it,
// and of when, is the scanner's to know.
func Archive(ctx context.Context, reference string, o ArchiveOptions) (image.Digest, error) {
	ref, err := ParseReference(reference)
	if err != nil {
		return image.Digest{}, err
	}
	registry, err := fetch.NewRegistry(ctx, ref.repository, o.Registry)
	if err != nil {
		return image.Digest{}, err
	}
	digest, err := archive(ctx, registry, ref, o)
	return digest, about(ctx, ref, err)
}

func archive(ctx context.Context, registry *fetch.Registry, ref Reference, o ArchiveOptions) (image.Digest, error) {
	raw, err := manifestOf(ctx, registry, ref)
	if err != nil {
		return image.Digest{}, err
	}
	digest := sum(raw)
	if ref.tag == "" && digest != ref.digest {
		return image.Digest{}, content.Errorf(ReasonTampered, "", "its manifest has the digest %s; %s", digest, cureTampered)
	}
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil || len(m.Layers) != 1 {
		return image.Digest{}, content.Errorf(ReasonFormat, "", "it is no artefact of one layer; push the scanner's own archive as one")
	}
	layer, err := image.ParseDigest(m.Layers[0].Digest.String())
	if err != nil {
		return image.Digest{}, content.Errorf(ReasonFormat, "", "its layer has the digest %.100q", m.Layers[0].Digest)
	}
	if size := m.Layers[0].Size; size > o.MaxBytes {
		return image.Digest{}, content.Errorf(ReasonFormat, "", "its layer has %d bytes, and may have %d", size, o.MaxBytes)
	}
	return digest, store(ctx, registry, layer, m.Layers[0].Size, o.File)
}

// store writes a layer to a file.
func store(ctx context.Context, registry *fetch.Registry, layer image.Digest, size int64, path string) (err error) {
	rc, err := registry.Blob(ctx, layer)
	if err != nil {
		return missing(err, "its layer")
	}
	defer rc.Close()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // the caller's own folder
	if err != nil {
		return fmt.Errorf("store the database: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return fill(f, rc, "its layer", layer, size)
}
