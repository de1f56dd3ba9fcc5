package guard_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/cmd/scan/internal/guard"
	"github.com/revet-dev/revet/cmd/scan/internal/sample"
	"github.com/revet-dev/revet/cmd/scan/internal/tree"
	"github.com/revet-dev/revet/pkg/pipeline/layers"
)

// claims packs one file that says that it has size bytes.
func claims(t *testing.T, name, text string, size uint64) string {
	t.Helper()
	var packed, all bytes.Buffer
	z, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(&all)
	f, err := w.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Deflate, CompressedSize64: uint64(packed.Len()), UncompressedSize64: size})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(packed.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// What would cost Syft more than anybody has is hidden from it; what is broken or small
// is not.
func TestLookHidesWhatCosts(t *testing.T) {
	manifest := sample.Files{"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n"}
	small := sample.Zip(t, manifest)
	deep := small
	for range 6 {
		deep = sample.Zip(t, manifest.And(sample.Files{"lib/in.jar": deep}))
	}
	many := manifest
	for _, name := range strings.Split("abcde", "") {
		many = many.And(sample.Files{"META-INF/maven/" + name + "/pom.properties": strings.Repeat(name, 8<<20)})
	}
	for _, test := range []struct {
		name, at, text string
		hidden         bool
	}{
		{"a small one", "a.jar", small, false},
		{"one in it", "a.jar", sample.Zip(t, manifest.And(sample.Files{"b.jar": small})), false},
		{"one that is broken", "a.jar", "no archive", false},
		{"a broken one in it", "a.jar", sample.Zip(t, manifest.And(sample.Files{"b.jar": "no archive"})), false},
		{"one in it that is too large", "a.jar", claims(t, "b.jar", small, 200<<20), true},
		{"the same in a zip", "a.zip", claims(t, "b.jar", small, 200<<20), true},
		{"a zip that is broken", "a.zip", "no archive", false},
		{"a zip with something else that is large", "a.zip", claims(t, "b.bin", small, 200<<20), false},
		{"a file that is larger than it says", "a.jar", claims(t, "b.jar", small, 1), false},
		{"a file that says that it is empty", "a.jar", claims(t, "b.jar", small, 0), false},
		{"a large manifest", "a.jar", claims(t, "META-INF/MANIFEST.MF", "", 33<<20), true},
		{"a large manifest in an archive in it", "a.jar", sample.Zip(t, manifest.And(sample.Files{"b.jar": claims(t, "META-INF/MANIFEST.MF", "", 33<<20)})), true},
		{"a large licence", "a.jar", claims(t, "LICENSE.txt", "", 33<<20), true},
		{"many that are large together", "a.jar", sample.Zip(t, many), true},
		{"archives in archives", "a.jar", deep, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			blobs, images := sample.Image(t, sample.Files{test.at: test.text})
			flat, err := layers.Open(t.Context(), blobs, images.Images[0], layers.Limits{}, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer flat.Close()
			files, err := tree.New(flat)
			if err != nil {
				t.Fatal(err)
			}
			told, err := guard.Look(t.Context(), files)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(test.at, ".zip") && !test.hidden && len(told) > 0 {
				t.Errorf("nothing is read of it, and it is told: %v", told)
			}
			at, err := files.FilesByPath("/" + test.at)
			if err != nil || len(at) != 1 {
				t.Fatalf("found %v, %v", at, err)
			}
			_, err = files.FileContentsByLocation(at[0])
			if diff := cmp.Diff(test.hidden, err != nil); diff != "" {
				t.Errorf("hidden (-want +got), error %v:\n%s", err, diff)
			}
		})
	}
}
