package layers_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/layers"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

const gzipType = "application/vnd.oci.image.layer.v1.tar+gzip"

// entry is an entry of a layer: a file, a directory (a name that ends in a slash),
// or a link.
type entry struct {
	name, text     string
	hard, symbolic string
	as             byte // a type of its own
	attribute      string
	major, minor   int64
	global         map[string]string
}

// blobs are layers by digest.
type blobs map[image.Digest][]byte

func (b blobs) Blob(d image.Digest) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b[d])), nil
}

func digestOf(raw []byte) image.Digest {
	sum := sha256.Sum256(raw)
	d, err := image.ParseDigest("sha256:" + hex.EncodeToString(sum[:]))
	if err != nil {
		panic(err)
	}
	return d
}

// archive packs entries.
func archive(t testing.TB, entries []entry) []byte {
	t.Helper()
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o755, Typeflag: tar.TypeReg, Size: int64(len(e.text)), Devmajor: e.major, Devminor: e.minor}
		switch {
		case e.global != nil:
			h = &tar.Header{Name: e.name, Typeflag: tar.TypeXGlobalHeader, PAXRecords: e.global, Format: tar.FormatPAX}
		case e.as != 0:
			h.Typeflag = e.as
		case e.hard != "":
			h.Typeflag, h.Linkname = tar.TypeLink, e.hard
		case e.symbolic != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.symbolic
		case strings.HasSuffix(e.name, "/"):
			h.Typeflag = tar.TypeDir
		}
		if e.attribute != "" {
			h.PAXRecords = map[string]string{"SCHILY.xattr." + e.attribute: "y"}
			h.Format = tar.FormatPAX
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return raw.Bytes()
}

func gzipped(t testing.TB, raw []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write(raw)
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// stored is a layer as it is stored.
type stored struct {
	mediaType string
	raw       []byte
}

// stack makes an image of layers, the lowest first.
func stack(all ...stored) (blobs, oci.Image) {
	out, img := blobs{}, oci.Image{}
	for _, s := range all {
		d := digestOf(s.raw)
		out[d] = s.raw
		img.Layers = append(img.Layers, oci.Layer{Descriptor: oci.Descriptor{MediaType: s.mediaType, Digest: d, Size: int64(len(s.raw))}})
	}
	return out, img
}

// imageOf makes an image of entries.
func imageOf(t testing.TB, all ...[]entry) (blobs, oci.Image) {
	t.Helper()
	var packed []stored
	for _, entries := range all {
		packed = append(packed, stored{gzipType, gzipped(t, archive(t, entries))})
	}
	return stack(packed...)
}

// show returns what a tree has, by path.
func show(t testing.TB, tree *layers.Tree) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := tree.Walk(func(e *layers.Entry) error {
		switch e.Type {
		case layers.File:
			r, err := tree.Open(e)
			if err != nil {
				return err
			}
			raw, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			all[e.Path] = string(raw)
		case layers.Dir:
			all[e.Path+"/"] = ""
		case layers.Symlink:
			all[e.Path] = "-> " + e.Link
		default:
			all[e.Path] = fmt.Sprintf("%v", e.Mode.Type())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
