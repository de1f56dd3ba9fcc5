package vulndb_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"

	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// Another scanner's database comes as it was pushed, or not at all.
func TestArchive(t *testing.T) {
	b := newBench(t)
	archive := bytes.Repeat([]byte("an archive of some scanner "), 1000)
	artefact, err := mutate.AppendLayers(empty.Image, static.NewLayer(archive, "application/zstd"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := mutate.AppendLayers(artefact, static.NewLayer([]byte("more"), "application/zstd"))
	if err != nil {
		t.Fatal(err)
	}
	for tag, img := range map[string]interface {
		remote.Taggable
	}{"one": artefact, "two": two} {
		ref, err := name.NewTag(b.host + "/revet/other:" + tag)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Push(ref, img); err != nil {
			t.Fatal(err)
		}
	}
	digest, err := artefact.Digest()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := artefact.Layers()
	if err != nil {
		t.Fatal(err)
	}
	layer, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	flip := func(body []byte) []byte {
		body = bytes.Clone(body)
		body[len(body)/2] ^= 1
		return body
	}
	for _, test := range []struct {
		name, reference string
		most            int64
		blob            string
		change          func([]byte) []byte
		want            content.Reason
	}{
		{"by tag", ":one", 1 << 20, "", nil, ""},
		{"by digest", "@" + digest.String(), 1 << 20, "", nil, ""},
		{"missing", ":none", 1 << 20, "", nil, vulndb.ReasonMissing},
		{"of two layers", ":two", 1 << 20, "", nil, vulndb.ReasonFormat},
		{"too large", ":one", 100, "", nil, vulndb.ReasonFormat},
		{"a byte of the manifest", "@" + digest.String(), 1 << 20, digest.String(), flip, vulndb.ReasonTampered},
		{"a byte of the layer", ":one", 1 << 20, layer.String(), flip, vulndb.ReasonTampered},
		{"half of the layer", ":one", 1 << 20, layer.String(), func(b []byte) []byte { return b[:len(b)/2] }, vulndb.ReasonTampered},
		{"the layer and more", ":one", 1 << 20, layer.String(), func(b []byte) []byte { return append(bytes.Clone(b), 0) }, vulndb.ReasonTampered},
	} {
		t.Run(test.name, func(t *testing.T) {
			b.meddle = func(path string, body []byte) []byte {
				if test.change == nil || !strings.HasSuffix(path, "/"+test.blob) {
					return body
				}
				return test.change(body)
			}
			file := filepath.Join(t.TempDir(), "archive")
			got, err := vulndb.Archive(t.Context(), b.host+"/revet/other"+test.reference, vulndb.ArchiveOptions{Registry: b.trusted(), MaxBytes: test.most, File: file})
			if reason(err) != test.want {
				t.Fatalf("error %v, want %q", err, test.want)
			}
			if test.want != "" {
				return
			}
			stored, err := os.ReadFile(file)
			if err != nil || !bytes.Equal(stored, archive) || got.String() != digest.String() {
				t.Errorf("stored %d bytes of %s (%v), want %d of %s", len(stored), got, err, len(archive), digest)
			}
		})
	}
}
