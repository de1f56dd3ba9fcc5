package publish

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

func inventoried(t *testing.T) (dir string, raw []byte) {
	t.Helper()
	dir = t.TempDir()
	if err := result.WriteInventory(dir, result.Inventory{Digest: image.DigestOf([]byte("x"))}); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(result.InventoryPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	return dir, raw
}

// What is stored is the inventory that was judged, and the same inventory is the same artefact,
// beside the image.
func TestInventoryIsStored(t *testing.T) {
	dir, raw := inventoried(t)
	s := newSite(t, quiet(registry.WithReferrersSupport(true)))
	s.push()
	tree := oci.Tree{Root: s.subject}
	var digests []image.Digest
	for range 2 {
		a, err := Inventory(dir, tree, image.DigestOf(raw))
		if err != nil {
			t.Fatal(err)
		}
		unpacked, err := gzip.NewReader(bytes.NewReader(a.Content))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(unpacked)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(raw), string(got)); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
		d, err := s.to.Push(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, d)
	}
	if listed := s.listed(); digests[0] != digests[1] || len(listed) != 1 || listed[0].Annotations[kindAnnotation] != InventoryType {
		t.Errorf("pushed %v, listed %+v", digests, listed)
	}
}

// An inventory that was changed after the scan is not stored as what was judged.
func TestInventoryThatNobodyJudged(t *testing.T) {
	dir, raw := inventoried(t)
	if _, err := Inventory(dir, oci.Tree{}, image.DigestOf(append(raw, '\n'))); err == nil || !strings.Contains(err.Error(), "but the scan judged") {
		t.Errorf("another inventory: %v", err)
	}
	if _, err := Inventory(t.TempDir(), oci.Tree{}, image.DigestOf(raw)); err == nil || !strings.Contains(err.Error(), "read inventory") {
		t.Errorf("no inventory: %v", err)
	}
}

func TestBoundedRefusesMore(t *testing.T) {
	b := &bounded{most: 3}
	if _, err := b.Write([]byte("abc")); err != nil {
		t.Error(err)
	}
	if _, err := b.Write([]byte("d")); err == nil || b.String() != "abc" {
		t.Errorf("%q, %v", b.String(), err)
	}
}
