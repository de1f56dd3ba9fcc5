package fetch_test

import (
	"archive/tar"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

func localSample(t *testing.T) (v1.Image, image.Digest) {
	t.Helper()
	img, err := random.Image(1000, 3)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	d, err := image.ParseDigest(hash.String())
	if err != nil {
		t.Fatal(err)
	}
	return img, d
}

// write writes a layout of images under their names.
func writeFiles(t *testing.T, images map[string]v1.Image) string {
	t.Helper()
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	for name, img := range images {
		if err := path.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": name})); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// pack makes a tar archive of a directory.
func packArchive(t *testing.T, dir string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image.tar")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(f)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}

// read reads all that an image has from a source, each digest recomputed.
func readLocal(t *testing.T, src fetch.LocalSource, d image.Digest) (oci.Tree, error) {
	t.Helper()
	tree, err := oci.Walk(t.Context(), d, nil, func(ctx context.Context, kind oci.Kind, c oci.Descriptor, _ int64) ([]byte, error) {
		open := src.Blob
		if kind == oci.KindManifest {
			open = src.Manifest
		}
		rc, err := open(ctx, c.Digest)
		if err != nil {
			return nil, err
		}
		defer rc.Close()
		return io.ReadAll(rc)
	})
	if err != nil {
		return tree, err
	}
	for _, l := range tree.Images[0].Layers {
		rc, err := src.Blob(t.Context(), l.Digest)
		if err != nil {
			return tree, err
		}
		h, _, err := v1.SHA256(rc)
		if err != nil || h.String() != l.Digest.String() {
			t.Errorf("layer %s has the digest %s: %v", l.Digest, h, err)
		}
		if err := rc.Close(); err != nil {
			t.Error(err)
		}
	}
	return tree, nil
}

// An image is read from a layout, its archive, and what "docker save" writes.
func TestOpenLocal(t *testing.T) {
	one, first := localSample(t)
	two, second := localSample(t)
	dir := writeFiles(t, map[string]v1.Image{"1.0": one, "registry.example.com/app:2.0": two})
	saved := filepath.Join(t.TempDir(), "saved.tar")
	tag, err := name.NewTag("app:1.0")
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.WriteToFile(saved, tag, one); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, path string
		want       image.Digest
	}{
		{"a layout by tag", dir + ":1.0", first},
		{"a layout by the tag of a whole name", dir + ":2.0", second},
		{"an archive of a layout", packArchive(t, dir) + ":1.0", first},
		{"a layout of one image", writeFiles(t, map[string]v1.Image{"": two}), second},
		{"docker save", saved, image.Digest{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			src, digest, err := fetch.OpenLocal(t.Context(), test.path, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			if !test.want.IsZero() && digest != test.want {
				t.Errorf("digest %s, want %s", digest, test.want)
			}
			tree, err := readLocal(t, src, digest)
			if err != nil || len(tree.Images) != 1 || len(tree.Images[0].Layers) != 3 {
				t.Errorf("it holds %+v: %v", tree, err)
			}
		})
	}
}

// What is no image, or does not say which, is refused by name and cure.
func TestOpenLocalRefuses(t *testing.T) {
	one, _ := localSample(t)
	two, _ := localSample(t)
	dir := writeFiles(t, map[string]v1.Image{"1.0": one, "2.0": two})
	text := filepath.Join(t.TempDir(), "text.tar")
	if err := os.WriteFile(text, []byte(strings.Repeat("text ", 1000)), fs.ModePerm); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, path, want string }{
		{"the registry has nothing that it names", "/nonexistent/image", "neither an image layout nor an archive"},
		{"several images", dir, "select one as PATH:TAG"},
		{"another tag", dir + ":3.0", "holds 0 images"},
		{"an empty directory", t.TempDir(), "not an OCI image layout"},
		{"no archive", text, "not a tar archive"},
		{"an archive of something else", packArchive(t, filepath.Dir(text)), "neither an OCI layout nor the output of"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, _, err := fetch.OpenLocal(t.Context(), test.path, t.TempDir()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

// A blob that is gone is told as missing, not as a fault of the registry.
func TestLocalMissingBlob(t *testing.T) {
	one, digest := localSample(t)
	dir := writeFiles(t, map[string]v1.Image{"1.0": one})
	if err := os.Remove(filepath.Join(dir, "blobs", "sha256", digest.Hex())); err != nil {
		t.Fatal(err)
	}
	src, d, err := fetch.OpenLocal(t.Context(), dir, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readLocal(t, src, d); err == nil || !strings.Contains(err.Error(), string(oci.ReasonMissing)) {
		t.Errorf("error %v, want %s", err, oci.ReasonMissing)
	}
}
