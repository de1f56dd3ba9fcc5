package layers_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/revet-dev/revet/pkg/pipeline/layers"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

const (
	tarType        = "application/vnd.oci.image.layer.v1.tar"
	zstdType       = "application/vnd.oci.image.layer.v1.tar+zstd"
	dockerType     = "application/vnd.docker.image.rootfs.diff.tar"
	dockerGzipType = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

func zstandard(t testing.TB, raw []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(raw, nil)
}

// skippable is a frame of zstd that decoders pass over.
func skippable(raw []byte) []byte {
	out := binary.LittleEndian.AppendUint32([]byte{0x50, 0x2a, 0x4d, 0x18}, uint32(len(raw)))
	return append(out, raw...)
}

// However a layer is packed, what any runtime unpacks of it is shown; and what not
// all unpack alike is told.
func TestCompression(t *testing.T) {
	raw := archive(t, []entry{{name: "a", text: "1"}})
	other := archive(t, []entry{{name: "b", text: "2"}})
	packed, z := gzipped(t, raw), zstandard(t, raw)
	join := func(all ...[]byte) []byte { return bytes.Join(all, nil) }
	a := map[string]string{"/": "", "a": "1"}
	bzip2, err := os.ReadFile("testdata/a.tar.bz2")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		layer stored
		want  map[string]string
		kinds []layers.Kind
	}{
		{"gzip", stored{gzipType, packed}, a, nil},
		{"gzip, as Docker says it", stored{dockerGzipType, packed}, a, nil},
		{"zstd", stored{zstdType, z}, a, nil},
		{"tar", stored{tarType, raw}, a, nil},
		{"tar, as Docker says it", stored{dockerType, raw}, a, nil},
		{"gzip under a type of Docker's that leaves it open", stored{dockerType, packed}, a, nil},
		{"a layer of another right", stored{"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", packed}, a, nil},
		{"nothing at all", stored{gzipType, nil}, map[string]string{"/": ""}, nil},
		{"gzip of several members", stored{gzipType, join(gzipped(t, raw[:700]), gzipped(t, nil), gzipped(t, raw[700:]))}, a, nil},
		{"zstd of several frames", stored{zstdType, join(zstandard(t, raw[:700]), zstandard(t, raw[700:]))}, a, nil},
		{"zeros after the archive", stored{tarType, join(raw, make([]byte, 10240))}, a, nil},
		{"no end of the archive", stored{tarType, raw[:1024]}, a, nil},
		{"says gzip and is zstd", stored{gzipType, z}, a, kinds(layers.Compression)},
		{"says gzip and is tar", stored{dockerGzipType, raw}, a, kinds(layers.Compression)},
		{"says zstd and is gzip", stored{zstdType, packed}, a, kinds(layers.Compression)},
		{"says tar and is gzip", stored{tarType, packed}, a, kinds(layers.Compression)},
		{"an unknown type", stored{"application/x-whatever", packed}, a, kinds(layers.Compression)},
		{"no type", stored{"", packed}, a, kinds(layers.Compression)},
		{"an encrypted layer", stored{gzipType + "+encrypted", packed}, map[string]string{"/": ""}, kinds(layers.Unreadable)},
		{"bzip2", stored{gzipType, bzip2}, a, kinds(layers.Compression)},
		{"xz", stored{gzipType, []byte("\xfd7zXZ\x00rest")}, map[string]string{"/": ""}, kinds(layers.Compression, layers.Unreadable)},
		{"data after gzip", stored{gzipType, join(packed, []byte("rubbish"))}, a, kinds(layers.AfterEnd)},
		{"zeros after gzip", stored{gzipType, join(packed, make([]byte, 512))}, a, kinds(layers.AfterEnd)},
		{"an archive after gzip", stored{gzipType, join(packed, other)}, a, kinds(layers.AfterEnd)},
		{"data after zstd", stored{zstdType, join(z, []byte("rubbish"))}, a, kinds(layers.AfterEnd)},
		{"gzip after zstd", stored{zstdType, join(z, packed)}, a, kinds(layers.AfterEnd)},
		{"an archive after the archive", stored{tarType, join(raw, other)}, a, kinds(layers.AfterEnd)},
		{"an archive in a further member", stored{gzipType, join(packed, gzipped(t, other))}, a, kinds(layers.AfterEnd)},
		{"a skippable frame first", stored{zstdType, join(skippable([]byte("x")), z)}, a, kinds(layers.Compression)},
	} {
		t.Run(test.name, func(t *testing.T) {
			from, img := stack(test.layer)
			row{want: test.want, kinds: test.kinds}.look(t, from, img)
		})
	}
}

// A layer that no runtime unpacks is an error, not a layer without files.
func TestBrokenLayers(t *testing.T) {
	raw := archive(t, []entry{{name: "a", text: "1"}, {name: "b", text: "2"}})
	packed := gzipped(t, raw)
	for _, test := range []struct {
		name   string
		layers []stored
		want   oci.Reason
	}{
		{"gzip that breaks off", []stored{{gzipType, packed[:len(packed)-9]}}, oci.ReasonCorrupted},
		{"gzip that is spoilt", []stored{{gzipType, append(bytes.Clone(packed[:len(packed)-8]), make([]byte, 8)...)}}, oci.ReasonCorrupted},
		{"a further member that breaks off", []stored{{gzipType, append(bytes.Clone(packed), packed[:30]...)}}, oci.ReasonCorrupted},
		{"zstd that breaks off", []stored{{zstdType, zstandard(t, raw)[:40]}}, oci.ReasonCorrupted},
		{"an archive that breaks off", []stored{{tarType, raw[:512]}}, oci.ReasonCorrupted},
		{"a spoilt header after the first", []stored{{tarType, append(bytes.Clone(raw[:1024]), bytes.Repeat([]byte("x"), 1024)...)}}, oci.ReasonCorrupted},
		{"no archive at all", []stored{{gzipType, []byte(`{"critical":{}}`)}, {gzipType, []byte("second")}}, oci.ReasonNotAnImage},
	} {
		t.Run(test.name, func(t *testing.T) {
			from, img := stack(test.layers...)
			_, err := layers.Check(t.Context(), from, img, layers.Limits{})
			var e *oci.Error
			if !errors.As(err, &e) || e.Reason != test.want {
				t.Errorf("the error is %v", err)
			}
		})
	}
	t.Run("a file system that containerd mounts", func(t *testing.T) {
		erofs := append(make([]byte, 1024), "\xe2\xe1\xf5\xe0 and more"...)
		for _, l := range []stored{{"application/vnd.erofs.layer.v1", []byte("hsqs and more")}, {tarType, append(bytes.Repeat([]byte("x"), 1024), erofs[1024:]...)}, {tarType, bytes.Repeat([]byte("x"), 2<<20)}} {
			from, img := stack(l)
			found, err := layers.Check(t.Context(), from, img, layers.Limits{})
			if err != nil || !slices.Contains(kindsOf(found), layers.Unreadable) {
				t.Errorf("%v, error %v", found, err)
			}
		}
	})
	t.Run("an archive and something else", func(t *testing.T) {
		from, img := stack(stored{tarType, raw}, stored{tarType, []byte("else")})
		row{want: map[string]string{"/": "", "a": "1", "b": "2"}, kinds: kinds(layers.Unreadable)}.look(t, from, img)
	})
}

// Decompress unpacks all that a layer has.
func TestDecompress(t *testing.T) {
	want := bytes.Repeat([]byte("revet"), 100_000)
	for name, packed := range map[string][]byte{
		"gzip": gzipped(t, want), "members": append(gzipped(t, want[:7]), gzipped(t, want[7:])...), "zstd": zstandard(t, want), "as it is": want,
	} {
		r, err := layers.Decompress(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want) || r.Close() != nil {
			t.Errorf("%s: %d bytes, error %v", name, len(got), err)
		}
	}
	if _, err := layers.Decompress(bytes.NewReader([]byte("\xfd7zXZ\x00rest"))); err == nil {
		t.Error("xz is taken for something else")
	}
}
