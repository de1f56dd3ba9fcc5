package layers_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/pipeline/layers"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// sparse packs files that are all hole, of these sizes.
func sparse(t *testing.T, sizes ...int64) []byte {
	t.Helper()
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	for i, size := range sizes {
		name := fmt.Sprint("s", i)
		body := fmt.Sprintf("1\n%d\n0\n", size)
		body += strings.Repeat("\x00", 512-len(body))
		// The writer takes no records of GNU's; the reader has to find some.
		err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(body)), Format: tar.FormatPAX, PAXRecords: map[string]string{
			"NEW.sparse.major": "1", "NEW.sparse.minor": "0", "NEW.sparse.name": name, "NEW.sparse.realsize": fmt.Sprint(size)}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.ReplaceAll(raw.Bytes(), []byte("NEW.sparse"), []byte("GNU.sparse"))
}

// What sparse files leave out is bounded: no ratio of compression shows it.
func TestCheckBoundsHoles(t *testing.T) {
	for _, test := range []struct {
		name  string
		sizes []int64
		says  string
	}{
		{"a small one", []int64{1 << 20}, ""},
		{"one that is too large", []int64{65 << 20}, "sparse files leave out"},
		{"one that is too large, among others", []int64{1, 65 << 20, 1}, "sparse files leave out"},
		{"many that are too large together, in several layers", []int64{33 << 20, 33 << 20}, "sparse files leave out"},
		{"one that nothing holds", []int64{1 << 62}, "--max-file-bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var all []stored
			for _, size := range test.sizes {
				all = append(all, stored{gzipType, gzipped(t, sparse(t, size, 1))})
			}
			from, img := stack(all...)
			_, err := layers.Check(t.Context(), from, img, layers.Limits{})
			var e *oci.Error
			tooLarge := errors.As(err, &e) && e.Reason == oci.ReasonTooLarge && strings.Contains(err.Error(), test.says)
			if test.says == "" && err != nil || test.says != "" && !tooLarge {
				t.Errorf("error is %v, want %q", err, test.says)
			}
		})
	}
}
