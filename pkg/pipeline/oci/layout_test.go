package oci_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

func digestOf(t *testing.T, text string) image.Digest {
	t.Helper()
	d, err := image.ParseDigest(fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const layoutConfig = `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}`

// complete stores an image without layers and returns its manifest.
func completeLayout(t *testing.T) (oci.Layout, oci.Descriptor) {
	t.Helper()
	dir, err := oci.CreateLayout(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	manifest := fmt.Sprintf(`{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[]}`,
		digestOf(t, layoutConfig), len(layoutConfig))
	for _, text := range []string{layoutConfig, manifest} {
		if err := dir.Put(digestOf(t, text), int64(len(text)), strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	root := oci.Descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: digestOf(t, manifest), Size: int64(len(manifest))}
	if err := dir.Complete(root, nil); err != nil {
		t.Fatal(err)
	}
	return dir, root
}

// What was stored is read back whole.
func TestLayoutTree(t *testing.T) {
	dir, root := completeLayout(t)
	opened, err := oci.OpenLayout(dir.Path())
	if err != nil {
		t.Fatal(err)
	}
	tree, err := opened.Tree(t.Context())
	if err != nil || tree.Root.Digest != root.Digest || len(tree.Images) != 1 || tree.Images[0].Config.String() != "linux/amd64" {
		t.Errorf("tree is %+v, error %v", tree, err)
	}
}

// The directory is believed no more than a registry is: what somebody changed
// in it is noticed.
func TestLayoutTreeBelievesNothing(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(t *testing.T, path string, root oci.Descriptor)
		want  oci.Reason
	}{
		{"another manifest", func(t *testing.T, path string, root oci.Descriptor) {
			writeLayout(t, filepath.Join(path, "blobs", "sha256", root.Digest.Hex()), `{"schemaVersion":2}`)
		}, oci.ReasonCorrupted},
		{"another configuration", func(t *testing.T, path string, _ oci.Descriptor) {
			writeLayout(t, filepath.Join(path, "blobs", "sha256", digestOf(t, layoutConfig).Hex()), strings.Replace(layoutConfig, "amd64", "arm64", 1))
		}, oci.ReasonCorrupted},
		{"no configuration", func(t *testing.T, path string, _ oci.Descriptor) {
			if err := os.Remove(filepath.Join(path, "blobs", "sha256", digestOf(t, layoutConfig).Hex())); err != nil {
				t.Fatal(err)
			}
		}, oci.ReasonMissing},
		{"an index of two", func(t *testing.T, path string, root oci.Descriptor) {
			entry := fmt.Sprintf(`{"digest":%q}`, root.Digest)
			writeLayout(t, filepath.Join(path, "index.json"), `{"manifests":[`+entry+","+entry+`]}`)
		}, ""},
		{"an index of nothing", func(t *testing.T, path string, _ oci.Descriptor) {
			writeLayout(t, filepath.Join(path, "index.json"), `{}`)
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, root := completeLayout(t)
			tt.spoil(t, dir.Path(), root)
			tree, err := dir.Tree(t.Context())
			if err == nil {
				t.Fatalf("tree is %+v, want an error", tree)
			}
			var e *oci.Error
			if tt.want != "" && (!errors.As(err, &e) || e.Reason != tt.want) {
				t.Errorf("error is %v, want the reason %s", err, tt.want)
			}
		})
	}
}

// Only whole and true content gets a name.
func TestLayoutPut(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name string
		size int64
		r    io.Reader
		want error
	}{
		{"what it should be", 5, strings.NewReader("hello"), nil},
		{"what it should be, of a size that is not known", -1, strings.NewReader("hello"), nil},
		{"other bytes", 5, strings.NewReader("HELLO"), &oci.Error{}},
		{"fewer bytes", 5, strings.NewReader("hell"), &oci.Error{}},
		{"more bytes", 5, strings.NewReader("hello!"), &oci.Error{}},
		{"the bytes, under another size", 6, strings.NewReader("hello"), &oci.Error{}},
		{"a reader that fails", 5, io.MultiReader(strings.NewReader("he"), failingReader{broken}), broken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, err := oci.CreateLayout(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			err = dir.Put(digestOf(t, "hello"), tt.size, tt.r)
			var e *oci.Error
			switch {
			case tt.want == nil && err != nil:
				t.Errorf("error is %v", err)
			case errors.Is(tt.want, broken) && !errors.Is(err, broken):
				t.Errorf("error is %v, want the reader's", err)
			case errors.As(tt.want, &e) && (!errors.As(err, &e) || e.Reason != oci.ReasonCorrupted):
				t.Errorf("error is %v, want the reason %s", err, oci.ReasonCorrupted)
			}
			entries, readErr := os.ReadDir(filepath.Join(dir.Path(), "blobs", "sha256"))
			if readErr != nil {
				t.Fatal(readErr)
			}
			if stored := len(entries) == 1; stored != (tt.want == nil) || len(entries) > 1 {
				t.Errorf("there are the blobs %v", entries)
			}
		})
	}
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

func writeLayout(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
