package fetch

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// dockerArchive is the output of an older "docker save": a configuration and unpacked layers.
type dockerArchive struct {
	img      v1.Image
	digest   image.Digest
	manifest []byte
	config   image.Digest
}

func openDockerArchive(where, tag string) (LocalSource, image.Digest, error) {
	var named *name.Tag
	if tag != "" {
		parsed, err := name.NewTag(tag)
		if err != nil {
			return nil, image.Digest{}, fmt.Errorf("%q is not the name of an image: %w", tag, err)
		}
		named = &parsed
	}
	img, err := tarball.ImageFromPath(where, named)
	if err != nil {
		return nil, image.Digest{}, fmt.Errorf("cannot read %q as an archive of \"docker save\" with one image: %w", where, err)
	}
	d := dockerArchive{img: img}
	if d.manifest, err = img.RawManifest(); err != nil {
		return nil, image.Digest{}, fmt.Errorf("%q: cannot make its manifest: %w", where, err)
	}
	digest, err := img.Digest()
	if err != nil {
		return nil, image.Digest{}, fmt.Errorf("%q: cannot compute its digest: %w", where, err)
	}
	config, err := img.ConfigName()
	if err != nil {
		return nil, image.Digest{}, fmt.Errorf("%q: cannot read its configuration: %w", where, err)
	}
	if d.digest, err = image.ParseDigest(digest.String()); err != nil {
		return nil, image.Digest{}, err
	}
	if d.config, err = image.ParseDigest(config.String()); err != nil {
		return nil, image.Digest{}, err
	}
	return d, d.digest, nil
}

// Manifest opens the manifest that was made for the archive.
func (d dockerArchive) Manifest(_ context.Context, asked image.Digest) (io.ReadCloser, error) {
	if asked != d.digest {
		return nil, oci.Errorf(oci.ReasonMissing, "", "the archive holds only %s", d.digest)
	}
	return io.NopCloser(bytes.NewReader(d.manifest)), nil
}

// Blob opens the configuration or a layer.
func (d dockerArchive) Blob(_ context.Context, asked image.Digest) (io.ReadCloser, error) {
	if asked == d.config {
		raw, err := d.img.RawConfigFile()
		return io.NopCloser(bytes.NewReader(raw)), err
	}
	hash, err := v1.NewHash(asked.String())
	if err != nil {
		return nil, err
	}
	l, err := d.img.LayerByDigest(hash)
	if err != nil {
		return nil, oci.Errorf(oci.ReasonMissing, "", "it is not in the archive: %w", err)
	}
	return l.Compressed()
}

// Close implements io.Closer.
func (dockerArchive) Close() error { return nil }
