package layers_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/pipeline/layers"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

func annotated(s stored, annotations map[string]string) (blobs, oci.Image) {
	from, img := stack(s)
	img.Layers[0].Annotations = annotations
	return from, img
}

// The tables of contents that tools write say what the archive says.
func TestTablesOfTools(t *testing.T) {
	raw, err := os.ReadFile("testdata/annotations.json")
	if err != nil {
		t.Fatal(err)
	}
	var annotations map[string]map[string]string
	if err := json.Unmarshal(raw, &annotations); err != nil || len(annotations) != 3 {
		t.Fatalf("%d files, error %v", len(annotations), err)
	}
	for name, a := range annotations {
		blob, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		mediaType := zstdType
		if strings.HasSuffix(name, ".gz") {
			mediaType = gzipType
		}
		t.Run(name, func(t *testing.T) {
			from, img := annotated(stored{mediaType, blob}, a)
			row{}.look(t, from, img)
			from, img = annotated(stored{mediaType, blob}, nil)
			row{}.look(t, from, img)
		})
		t.Run(name+" under other annotations", func(t *testing.T) {
			other := map[string]string{}
			for k, v := range a {
				other[k] = v
				if strings.Contains(v, "sha256:") {
					other[k] = "sha256:" + strings.Repeat("0", 64)
				}
			}
			from, img := annotated(stored{mediaType, blob}, other)
			row{kinds: kinds(layers.TableOfContents)}.look(t, from, img)
		})
	}
}

// stargz packs entries, and a table of contents after them.
func stargz(t *testing.T, entries []entry, table string) []byte {
	t.Helper()
	raw := archive(t, entries)
	blob := gzipped(t, raw[:len(raw)-1024])
	var footer bytes.Buffer
	z, err := gzip.NewWriterLevel(&footer, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	z.Extra = append([]byte("SG\x16\x00"), fmt.Sprintf("%016xSTARGZ", len(blob))...)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	var index bytes.Buffer
	w := tar.NewWriter(&index)
	err = w.WriteHeader(&tar.Header{Name: "stargz.index.json", Typeflag: tar.TypeReg, Size: int64(len(table))})
	_, err2 := w.Write([]byte(table))
	if err := errors.Join(err, err2, w.Close()); err != nil {
		t.Fatal(err)
	}
	blob = append(blob, gzipped(t, index.Bytes())...)
	return append(blob, footer.Bytes()...)
}

func sum(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }

// A table of contents that shows something else than the archive is told.
func TestTableOfContents(t *testing.T) {
	entries := []entry{{name: "bin/"}, {name: "bin/sh", text: "good shell"}, {name: "l", symbolic: "bin/sh"}, {name: "h", hard: "bin/sh"}, {name: "n", as: tar.TypeChar, major: 1, minor: 3}, {name: "x/", attribute: "user.a"}}
	const dir, link, hard, device = `{"name":"bin/","type":"dir","mode":493}`, `{"name":"l","type":"symlink","linkName":"bin/sh","mode":493}`, `{"name":"h","type":"hardlink","linkName":"bin/sh","mode":493}`, `{"name":"n","type":"char","mode":493,"devMajor":1,"devMinor":3}`
	attribute := `{"name":"x","type":"dir","mode":493,"xattrs":{"user.a":"` + base64.StdEncoding.EncodeToString([]byte("y")) + `"}}`
	one := `{"name":"bin/sh","type":"reg","size":10,"mode":493,"digest":"` + sum("good shell") + `","chunkDigest":"` + sum("good shell") + `"}`
	two := func(first, second string, size int, more string) string {
		return fmt.Sprintf(`{"name":"bin/sh","type":"reg","size":10,"mode":493,"digest":%q,"chunkSize":%d,"chunkDigest":%q%s},{"name":"bin/sh","type":"chunk","chunkOffset":4,"chunkDigest":%q}`, sum("good shell"), size, first, more, second)
	}
	index := func(all ...string) string { return `{"version":1,"entries":[` + strings.Join(all, ",") + `]}` }
	good := index(dir, one, link, hard, device, attribute)
	change := func(old, new string) string {
		out := strings.Replace(good, old, new, 1)
		if out == good {
			t.Fatalf("%q is not in the table", old)
		}
		return out
	}
	for _, test := range []struct {
		name, table string
		kinds       []layers.Kind
	}{
		{"the same", good, nil},
		{"the same in parts", index(dir, two(sum("good"), sum(" shell"), 4, ""), link, hard, device, attribute), nil},
		{"other content", change(sum("good shell"), sum("evil shell")), kinds(layers.TableOfContents)},
		{"a part with other content", change(`chunkDigest":"`+sum("good shell"), `chunkDigest":"`+sum("evil shell")), kinds(layers.TableOfContents)},
		{"a second part with other content", index(dir, two(sum("good"), sum(" bomb!"), 4, ""), link, hard, device, attribute), kinds(layers.TableOfContents)},
		{"a part that is left out", index(dir, two(sum("good"), sum(" shell"), 3, ""), link, hard, device, attribute), kinds(layers.TableOfContents)},
		{"a part that is said to be zeros", index(dir, two("", sum(" shell"), 4, `,"chunkType":"zeros"`), link, hard, device, attribute), kinds(layers.TableOfContents)},
		{"a part of a type that nobody knows", index(dir, two(sum("good"), sum(" shell"), 4, `,"chunkType":"x"`), link, hard, device, attribute), kinds(layers.TableOfContents)},
		{"no digest", change(`,"digest":"`+sum("good shell")+`","chunkDigest":"`+sum("good shell")+`"`, ""), kinds(layers.TableOfContents)},
		{"a file more", index(dir, one, link, hard, device, attribute, `{"name":"evil","type":"reg"}`), kinds(layers.TableOfContents)},
		{"a whiteout more", index(dir, one, link, hard, device, attribute, `{"name":"bin/.wh.sh","type":"reg"}`), kinds(layers.TableOfContents)},
		{"a file less", index(dir, link, hard, device, attribute), kinds(layers.TableOfContents)},
		{"a file twice", index(dir, one, one, link, hard, device, attribute), kinds(layers.TableOfContents)},
		{"a size", change(`"size":10`, `"size":0`), kinds(layers.TableOfContents)},
		{"a type", change(`"type":"symlink"`, `"type":"hardlink"`), kinds(layers.TableOfContents)},
		{"a link's target", change(`"linkName":"bin/sh"`, `"linkName":"bin/evil"`), kinds(layers.TableOfContents)},
		{"a mode", change(`"mode":493`, `"mode":2541`), kinds(layers.TableOfContents)},
		{"an owner", change(`"mode":493`, `"mode":493,"uid":7`), kinds(layers.TableOfContents)},
		{"a device", change(`"devMinor":3`, `"devMinor":0`), kinds(layers.TableOfContents)},
		{"an attribute", change(`"user.a"`, `"trusted.overlay.opaque"`), kinds(layers.TableOfContents)},
		{"a key twice", change(`"name":"bin/sh"`, `"name":"bin/sh","Name":"bin/sh"`), kinds(layers.TableOfContents)},
		{"an empty key", change(`"name":"bin/sh"`, `"":"","name":"bin/sh"`), kinds(layers.TableOfContents)},
		{"entries twice", good[:len(good)-1] + `,"Entries":[]}`, kinds(layers.TableOfContents)},
		{"more after it", good + "{}", kinds(layers.TableOfContents)},
		{"no JSON", "x", kinds(layers.TableOfContents)},
		{"a part without its file", index(`{"name":"bin/sh","type":"chunk"}`), kinds(layers.TableOfContents)},
	} {
		t.Run(test.name, func(t *testing.T) {
			from, img := annotated(stored{gzipType, stargz(t, entries, test.table)}, map[string]string{"containerd.io/snapshot/stargz/toc.digest": sum(test.table)})
			row{kinds: test.kinds}.look(t, from, img)
		})
	}
}

// The annotation says where a table of contents is, which may be anywhere: in
// what decoders pass over, or in a file.
func TestTableElsewhere(t *testing.T) {
	raw := archive(t, []entry{{name: "a", text: "1"}})
	table := zstandard(t, []byte(`{"version":1,"entries":[{"name":"evil","type":"reg"}]}`))
	where := func(at, size int) map[string]string {
		return map[string]string{"io.github.containers.zstd-chunked.manifest-position": fmt.Sprintf("%d:%d:50:1", at, size), "io.github.containers.zstd-chunked.manifest-checksum": sum(string(table))}
	}
	footer := binary.LittleEndian.AppendUint64(nil, 8)
	footer = binary.LittleEndian.AppendUint64(footer, uint64(len(table)))
	footer = append(append(footer, make([]byte, 40)...), "GNUlInUx"...)
	packed := zstandard(t, raw)
	inFile := archive(t, []entry{{name: "a", text: string(table)}})
	for _, test := range []struct {
		name        string
		layer       stored
		annotations map[string]string
		kinds       []layers.Kind
	}{
		{"a skippable frame that nothing points to", stored{zstdType, append(bytes.Clone(packed), skippable(table)...)}, nil, nil},
		{"a skippable frame", stored{zstdType, append(bytes.Clone(packed), skippable(table)...)}, where(len(packed)+8, len(table)), kinds(layers.TableOfContents, layers.TableOfContents)},
		{"a file of a layer that is not compressed", stored{tarType, inFile}, where(512, len(table)), kinds(layers.TableOfContents, layers.TableOfContents)},
		{"outside of the layer", stored{zstdType, packed}, where(len(packed), len(table)), kinds(layers.TableOfContents, layers.TableOfContents)},
		{"what another snapshotter reads", stored{zstdType, packed}, map[string]string{"containerd.io/snapshot/nydus-bootstrap": "true"}, kinds(layers.TableOfContents)},
		{"what a snapshotter may know", stored{zstdType, packed}, map[string]string{"containerd.io/snapshot/remote/urls": "x", "org.example": "x"}, nil},
		{"a footer alone", stored{zstdType, append(append(skippable(table), packed...), skippable(footer)...)}, nil, kinds(layers.Compression, layers.TableOfContents, layers.TableOfContents)},
	} {
		t.Run(test.name, func(t *testing.T) {
			from, img := annotated(test.layer, test.annotations)
			row{kinds: test.kinds}.look(t, from, img)
		})
	}
}

// Tables of contents are held in memory, and have no more entries than layers of files
// have. The archive itself is small.
func TestTableIsBounded(t *testing.T) {
	var table strings.Builder
	for i := range 500_001 {
		fmt.Fprintf(&table, `,{"name":"%d"}`, i)
	}
	blob := stargz(t, []entry{{name: "a", text: "1"}}, `{"entries":[`+table.String()[1:]+`]}`)
	from, img := stack(stored{gzipType, blob})
	found, err := layers.Check(t.Context(), from, img, layers.Limits{})
	if err != nil || len(found) != 1 || found[0].Kind != layers.TableOfContents || !strings.Contains(found[0].Message, "more than 500000 entries") {
		t.Errorf("found %v, %v; want that it has too many entries", found, err)
	}
}

// Runtimes that pull lazily take names as they are: what lies below a link of the same
// layer is not where it leads to.
func TestTableWithLinks(t *testing.T) {
	entries := []entry{{name: "bin/"}, {name: "bin/sh", text: "evil"}, {name: "l", symbolic: "bin"}, {name: "l/sh", text: "good"}}
	file := func(name, text string) string {
		return fmt.Sprintf(`{"name":%q,"type":"reg","size":4,"mode":493,"digest":%q,"chunkDigest":%q}`, name, sum(text), sum(text))
	}
	table := `{"entries":[{"name":"bin/","type":"dir","mode":493},` + file("bin/sh", "evil") + `,{"name":"l","type":"symlink","linkName":"bin","mode":493},` + file("l/sh", "good") + `]}`
	from, img := stack(stored{gzipType, stargz(t, entries, table)})
	row{kinds: kinds(layers.TableOfContents)}.look(t, from, img)
	from, img = imageOf(t, entries)
	row{}.look(t, from, img)
}
