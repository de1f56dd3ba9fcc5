package node

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// ProgramImage is an image of one static program for this machine's platform,
// which is its entrypoint and its only file. The same program gives the same
// digest.
func ProgramImage(path string, program []byte) (v1.Image, error) {
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	header := &tar.Header{Name: path, Mode: 0o755, Size: int64(len(program)), ModTime: time.Unix(0, 0)}
	if err := archive.WriteHeader(header); err != nil {
		return nil, fmt.Errorf("write layer: %w", err)
	}
	if _, err := archive.Write(program); err != nil {
		return nil, fmt.Errorf("write layer: %w", err)
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("write layer: %w", err)
	}
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	image, err := mutate.AppendLayers(image, static.NewLayer(layer.Bytes(), types.OCIUncompressedLayer))
	if err != nil {
		return nil, fmt.Errorf("append layer: %w", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read image configuration: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Entrypoint = []string{path}
	return mutate.ConfigFile(image, config)
}

// pushPause puts the image of every Pod's process 1 into the registry.
func (w waiter) pushPause(ctx context.Context, binary string) error {
	program, err := os.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("read the pause program: %w", err)
	}
	image, err := ProgramImage("/pause", program)
	if err != nil {
		return fmt.Errorf("build the pause image: %w", err)
	}
	ref, err := name.ParseReference(registryInside+"/pause:1", name.Insecure)
	if err != nil {
		return fmt.Errorf("name the pause image: %w", err)
	}
	return w.await(ctx, "the registry", func(ctx context.Context) error {
		return remote.Write(ref, image, remote.WithContext(ctx))
	})
}
