package upstream

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// nobody is the user that images run as, the same number as in distroless images and in Tekton's Deployments.
const nobody = 65532

// baseImage is what static binaries need round them: a user who is not root, and a /tmp. It is the same in every build.
func baseImage() (v1.Image, error) {
	layer, err := layerOf(
		file{header: tar.Header{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755}},
		file{
			header:  tar.Header{Name: "etc/passwd", Typeflag: tar.TypeReg, Mode: 0o644},
			content: []byte("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n"),
		},
		file{
			header:  tar.Header{Name: "etc/group", Typeflag: tar.TypeReg, Mode: 0o644},
			content: []byte("root:x:0:\nnonroot:x:65532:\n"),
		},
		file{header: tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}},
	)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.AppendLayers(image, layer)
	if err != nil {
		return nil, fmt.Errorf("upstream: building the base image: %w", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("upstream: building the base image: %w", err)
	}
	config = config.DeepCopy()
	config.OS = "linux"
	config.Architecture = runtime.GOARCH
	config.Config.User = fmt.Sprintf("%d:%d", nobody, nobody)
	config.Config.WorkingDir = "/"
	config.Config.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp"}
	return mutate.ConfigFile(image, config)
}

// file is a file or folder of a layer.
type file struct {
	header  tar.Header
	content []byte
}

// layerOf packs files. They have no times, so that the same files make the same layer.
func layerOf(files ...file) (v1.Layer, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		f.header.Size = int64(len(f.content))
		if err := w.WriteHeader(&f.header); err != nil {
			return nil, fmt.Errorf("upstream: packing %q: %w", f.header.Name, err)
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, fmt.Errorf("upstream: packing %q: %w", f.header.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("upstream: packing a layer: %w", err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(out.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, fmt.Errorf("upstream: packing a layer: %w", err)
	}
	return layer, nil
}

// PushBase pushes the base image of static binaries to the registry at host:port, unless it is there, and returns its
// reference by digest: the value for KO_DEFAULTBASEIMAGE. It has a user who is not root, and a /tmp; it has no shell, no
// CA certificates and no time zones.
func PushBase(ctx context.Context, registry string) (string, error) {
	image, err := baseImage()
	if err != nil {
		return "", err
	}
	digest, err := image.Digest()
	if err != nil {
		return "", fmt.Errorf("upstream: building the base image: %w", err)
	}
	reference, err := name.NewDigest(registry + "/" + baseRepository + "@" + digest.String())
	if err != nil {
		return "", fmt.Errorf("upstream: naming the base image in registry %q: %w", registry, err)
	}
	if err := pushMissing(ctx, reference, image); err != nil {
		return "", err
	}
	return reference.String(), nil
}

// pushMissing pushes image by digest only: a tag would be a push for whoever listens to the registry.
func pushMissing(ctx context.Context, reference name.Digest, image v1.Image) error {
	if _, err := remote.Head(reference, remote.WithContext(ctx)); err == nil {
		return nil
	}
	if err := remote.Write(reference, image, remote.WithContext(ctx)); err != nil {
		return fmt.Errorf("upstream: pushing %q: %w", reference, err)
	}
	return nil
}
