package layers_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/pipeline/layers"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Whatever two layers hold: they are read within their limits, and Open and Check find
// the same; what Walk shows, Lookup finds, in order, each directory before what is in
// it.
func FuzzLayers(f *testing.F) {
	seed := func(lower, upper []entry) {
		f.Add(archive(f, lower), archive(f, upper), false)
		f.Add(gzipped(f, archive(f, lower)), zstandard(f, archive(f, upper)), true)
	}
	base := []entry{{name: "var/"}, {name: "var/a", text: "1"}, {name: "link", symbolic: "var"}, {name: "h", hard: "var/a"}}
	seed(base, []entry{{name: ".wh..wh..opq"}, {name: "var/.wh.a"}, {name: "link/x", text: "2"}})
	seed(base, []entry{{name: ".wh.var"}, {name: "var/"}, {name: "l", symbolic: "../l2"}, {name: "l2", symbolic: "l"}, {name: "l/x", text: "2"}})
	seed(base, []entry{{name: "var/b/c", text: "2"}, {name: "var/.wh..wh..opq"}, {name: "link", as: '3'}, {name: "g", global: map[string]string{"path": "x"}}})
	f.Add([]byte{}, []byte("\xfd7zXZ\x00"), true)
	f.Fuzz(func(t *testing.T, lower, upper []byte, annotated bool) {
		from, img := stack(stored{gzipType, lower}, stored{tarType, upper})
		if annotated {
			img.Layers[1].Annotations = map[string]string{"io.github.containers.zstd-chunked.manifest-position": "0:100:0:1"}
		}
		limits := layers.Limits{Entries: 1000, File: 1 << 20, Kept: 2 << 20, Unpacked: 4 << 20}
		found, err := layers.Check(t.Context(), from, img, limits)
		tree, openErr := layers.Open(t.Context(), from, img, limits, t.TempDir())
		if openErr != nil {
			var e *oci.Error
			if !errors.As(openErr, &e) || e.Reason == "" || tree != nil {
				t.Fatalf("the error has no reason: %v", openErr)
			}
			// Only Open keeps files, which may be too many or spoilt.
			if err == nil && e.Reason != oci.ReasonTooLarge && e.Reason != oci.ReasonCorrupted {
				t.Fatalf("Open refuses what Check reads: %v", openErr)
			}
			return
		}
		defer tree.Close()
		if err != nil {
			t.Fatalf("Check refuses what Open reads: %v", err)
		}
		if diff := cmp.Diff(tree.Ambiguities(), found, equal); diff != "" {
			t.Fatalf("Check finds something else (-Open +Check):\n%s", diff)
		}
		walked(t, tree)
	})
}

func walked(t *testing.T, tree *layers.Tree) {
	t.Helper()
	dirs, last := map[string]bool{"": true}, []string(nil)
	err := tree.Walk(func(e *layers.Entry) error {
		if again, ok := tree.Lookup(e.Path); !ok || *again != *e {
			t.Fatalf("Lookup of %q finds %+v", e.Path, again)
		}
		parts := strings.Split(e.Path, "/")
		if last != nil && !before(last, parts) {
			t.Fatalf("%q comes after %q", parts, last)
		}
		if last = parts; e.Path == "" {
			last = []string{}
			return nil
		}
		if !dirs[strings.Join(parts[:len(parts)-1], "/")] {
			t.Fatalf("%q comes before its directory", e.Path)
		}
		if e.Type == layers.Dir {
			dirs[e.Path] = true
		}
		if e.Type != layers.File {
			return nil
		}
		r, err := tree.Open(e)
		if err != nil {
			return err
		}
		var content bytes.Buffer
		if n, err := content.ReadFrom(r); err != nil || n != e.Size {
			t.Fatalf("%q has %d of %d bytes: %v", e.Path, n, e.Size, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// before reports whether the path a comes before b.
func before(a, b []string) bool {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return len(a) < len(b)
}
