package layers

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/plugins/snapshots/native"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"
	graphdriver "go.podman.io/storage/drivers"
	storageoverlay "go.podman.io/storage/drivers/overlay"
	"go.podman.io/storage/drivers/vfs"
)

// unpacker is a runtime, as far as it makes a file system of layers. It refuses what
// it gives no container; an error of its own says that the comparison is broken.
type unpacker interface {
	fmt.Stringer
	show(ctx context.Context, id string, stored []blob) (shown tree, refused, err error)
}

// runtimes returns the runtimes, which keep what they make below dir.
func runtimes(t *testing.T, dir string) []unpacker {
	t.Helper()
	logrus.SetOutput(io.Discard) // both libraries warn of entries that they pass over
	temp := filepath.Join(dir, "mounts")
	must(t, os.MkdirAll(temp, 0o700))
	must(t, mount.SetTempMountLocation(temp))
	overlays, err := overlay.NewSnapshotter(filepath.Join(dir, "containerd-overlay"))
	must(t, err)
	t.Cleanup(func() { _ = overlays.Close() })
	natives, err := native.NewSnapshotter(filepath.Join(dir, "containerd-native"))
	must(t, err)
	t.Cleanup(func() { _ = natives.Close() })
	options := graphdriver.Options{Root: filepath.Join(dir, "storage"), RunRoot: filepath.Join(dir, "run")}
	over, err := storageoverlay.Init(filepath.Join(options.Root, "overlay"), with(t, options, "overlay"))
	must(t, err)
	copies, err := vfs.Init(filepath.Join(options.Root, "vfs"), with(t, options, "vfs"))
	must(t, err)
	return []unpacker{
		containerd{name: "containerd overlay", shots: overlays},
		containerd{name: "containerd overlay, in parallel", shots: overlays, parallel: true},
		containerd{name: "containerd native", shots: natives},
		storage{"containers/storage overlay", over}, storage{"containers/storage vfs", copies},
	}
}

func with(t *testing.T, o graphdriver.Options, name string) graphdriver.Options {
	t.Helper()
	must(t, os.MkdirAll(filepath.Join(o.Root, name), 0o700))
	return o
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(cannot(err))
	}
}

// stored returns the stack's layers as a registry stores them.
func (s stack) stored() ([]blob, error) {
	var out []blob
	for _, l := range s.layers {
		b := blob{media: l.media}
		if b.media == "" {
			b.media = ocispec.MediaTypeImageLayer
		}
		var err error
		if b.stored, err = l.archive(); err != nil {
			return nil, err
		}
		b.digest = digest.FromBytes(b.stored)
		out = append(out, b)
	}
	return out, nil
}
