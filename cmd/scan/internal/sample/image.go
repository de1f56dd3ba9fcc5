package sample

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Files are the files of a layer, by path.
type Files map[string]string

// Link is the prefix of a link in Files. Its target follows.
const Link = "\x00link:"

// And returns f with others added.
func (f Files) And(others ...Files) Files {
	all := maps.Clone(f)
	for _, o := range others {
		maps.Copy(all, o)
	}
	return all
}

// Without returns f without names.
func (f Files) Without(names ...string) Files {
	all := maps.Clone(f)
	for _, n := range names {
		delete(all, n)
	}
	return all
}

// Blobs are the blobs of an image.
type Blobs map[image.Digest][]byte

// Blob implements layers.Blobs.
func (b Blobs) Blob(d image.Digest) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b[d])), nil
}

// Image makes an image from layers.
func Image(t testing.TB, all ...Files) (Blobs, oci.Tree) {
	t.Helper()
	blobs := Blobs{}
	img := oci.Image{Manifest: oci.Descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: digest(t, []byte("manifest"))}}
	img.Config.OS, img.Config.Architecture = "linux", "amd64"
	for _, files := range all {
		raw := Tar(t, files)
		d := digest(t, raw)
		blobs[d] = raw
		img.Layers = append(img.Layers, oci.Layer{Descriptor: oci.Descriptor{
			MediaType: "application/vnd.oci.image.layer.v1.tar", Digest: d, Size: int64(len(raw)),
		}, DiffID: d})
	}
	return blobs, oci.Tree{Root: img.Manifest, Images: []oci.Image{img}}
}

func digest(t testing.TB, raw []byte) image.Digest {
	t.Helper()
	sum := sha256.Sum256(raw)
	d, err := image.ParseDigest("sha256:" + hex.EncodeToString(sum[:]))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Tar packs files. Directories get no entries of their own.
func Tar(t testing.TB, files Files) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		text := files[name]
		h := &tar.Header{Name: name, Mode: 0o755, Typeflag: tar.TypeReg, Size: int64(len(text)), Format: tar.FormatGNU}
		if to, ok := bytes.CutPrefix([]byte(text), []byte(Link)); ok {
			h.Typeflag, h.Linkname, h.Size, text = tar.TypeSymlink, string(to), 0, ""
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Zip packs files as a Java archive.
func Zip(t testing.TB, files Files) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Read returns the content of a file on the test machine.
func Read(t testing.TB, path ...string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
