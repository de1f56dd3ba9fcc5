package oci_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Whatever stands in a layout's index and manifest: what is read is the tree of
// the one digest that the index names, its bytes rehashed; or an error.
func FuzzLayoutTree(f *testing.F) {
	manifest := []byte(`{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:` +
		fmt.Sprintf("%x", sha256.Sum256([]byte(layoutConfig))) + `","size":1},"layers":[]}`)
	f.Add([]byte(fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"digest":"sha256:%x"}]}`, sha256.Sum256(manifest))), manifest, []byte(layoutConfig), true)
	f.Add([]byte(`{"manifests":[{"digest":"sha256:../../../../etc/passwd"}]}`), manifest, []byte(layoutConfig), true)
	f.Add([]byte(`{"manifests":[{},{}]}`), []byte(`{}`), []byte(`{}`), false)
	f.Fuzz(func(t *testing.T, index, manifest, config []byte, honest bool) {
		dir, err := oci.CreateLayout(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		var root image.Digest
		for i, doc := range [][]byte{config, manifest} {
			d, err := image.ParseDigest(fmt.Sprintf("sha256:%x", sha256.Sum256(doc)))
			if err != nil {
				t.Fatal(err)
			}
			if err := dir.Put(d, int64(len(doc)), bytes.NewReader(doc)); err != nil {
				t.Fatal(err)
			}
			if i == 1 {
				root = d
			}
		}
		if !honest { // somebody else wrote into the directory
			writeLayout(t, filepath.Join(dir.Path(), "blobs", "sha256", root.Hex()), string(manifest)+" ")
		}
		writeLayout(t, filepath.Join(dir.Path(), "index.json"), string(index))
		opened, err := oci.OpenLayout(dir.Path())
		if err != nil {
			t.Fatal(err)
		}
		tree, err := opened.Tree(t.Context())
		switch {
		case err == nil && (tree.Root.Digest != root || len(tree.Images) == 0):
			t.Errorf("a tree of %v, and %v is stored", tree.Root.Digest, root)
		case err == nil && !honest:
			t.Errorf("what somebody changed was believed: %v", tree.Root)
		}
	})
}

// What is stored under a digest has it, and its size; else nothing is stored.
func FuzzLayoutPut(f *testing.F) {
	good := sha256.Sum256([]byte("abc"))
	f.Add([]byte("abc"), fmt.Sprintf("sha256:%x", good), int64(3))
	f.Add([]byte("abcd"), fmt.Sprintf("sha256:%x", good), int64(3))
	f.Add([]byte("abc"), fmt.Sprintf("sha256:%x", good), int64(-1))
	f.Fuzz(func(t *testing.T, data []byte, claimed string, size int64) {
		d, err := image.ParseDigest(claimed)
		if err != nil {
			d, err = image.ParseDigest(fmt.Sprintf("sha256:%x", sha256.Sum256(data)))
		}
		if err != nil {
			t.Fatal(err)
		}
		dir, err := oci.CreateLayout(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		right := d.Hex() == fmt.Sprintf("%x", sha256.Sum256(data)) && (size < 0 || size == int64(len(data)))
		err = dir.Put(d, size, bytes.NewReader(data))
		if (err == nil) != right {
			t.Errorf("%d bytes as %s of %d: %v", len(data), d, size, err)
		}
		var reason *oci.Error
		if err != nil && (!errors.As(err, &reason) || reason.Reason != oci.ReasonCorrupted) {
			t.Errorf("the error is not that it is corrupted: %v", err)
		}
		left, err := os.ReadDir(filepath.Join(dir.Path(), "blobs", "sha256"))
		if err != nil || (len(left) == 1) != right || len(left) > 1 {
			t.Errorf("%d files are left: %v", len(left), err)
		}
		if !right {
			return
		}
		r, err := dir.Blob(d)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if back, err := io.ReadAll(r); err != nil || !bytes.Equal(back, data) {
			t.Errorf("%d bytes come back of %d: %v", len(back), len(data), err)
		}
	})
}
