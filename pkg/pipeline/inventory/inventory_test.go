package inventory_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/inventory"
)

func digest(t *testing.T, fill string) image.Digest {
	t.Helper()
	d, err := image.ParseDigest("sha256:" + strings.Repeat(fill, 64))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func file(t *testing.T) inventory.File {
	t.Helper()
	return inventory.File{
		Digest: digest(t, "a"), Tool: inventory.Tool{Name: "osv-scalibr", Version: "0.5.3"},
		Images: []inventory.Image{{
			Platform: "linux/amd64", Digest: digest(t, "b"), Distribution: "debian:12",
			Packages: []inventory.Package{{Name: "libssl3", Version: "3.0.1-1+b1", Ecosystem: "Debian:12", PURL: "pkg:deb/debian/libssl3@3.0.1-1%2Bb1",
				Compared: inventory.Compared{Name: "openssl", Version: "3.0.1-1"}, Locations: []string{"var/lib/dpkg/status"}}},
			Unread: []inventory.Unread{{Path: "opt/package.json", Why: "it is none"}}, UnreadCount: 1,
		}},
	}
}

func TestWriteThenRead(t *testing.T) {
	dir, want := t.TempDir(), file(t)
	if _, err := inventory.Read(dir); !errors.Is(err, inventory.ErrMissing) {
		t.Errorf("reading nothing fails with %v", err)
	}
	if err := inventory.Write(dir, want); err != nil {
		t.Fatal(err)
	}
	got, err := inventory.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(image.Digest{})); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}
	for _, broken := range []string{"{", `{"digest":"` + digest(t, "a").String() + `","extra":1}`, `{"images":[]}`} {
		if err := os.WriteFile(inventory.Path(dir), []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := inventory.Read(dir); err == nil {
			t.Errorf("%s is read", broken)
		}
	}
}

// An inventory of something else, or of less, is not one of the image.
func TestCovers(t *testing.T) {
	f := file(t)
	img := content.Image{Manifest: content.Descriptor{Digest: digest(t, "b")}}
	tree := content.Tree{Root: content.Descriptor{Digest: digest(t, "a")}, Images: []content.Image{img}}
	if err := f.Covers(tree); err != nil {
		t.Error(err)
	}
	tree.Images = append(tree.Images, content.Image{Manifest: content.Descriptor{Digest: digest(t, "c")}})
	if err := f.Covers(tree); err == nil || !strings.Contains(err.Error(), "leaves out") {
		t.Errorf("with an image that nobody looked into: %v", err)
	}
	tree.Root.Digest = digest(t, "d")
	if err := f.Covers(tree); err == nil || !strings.Contains(err.Error(), "was fetched") {
		t.Errorf("of another image: %v", err)
	}
}

// Packages that differ in their places only are one; others stay.
func TestMerge(t *testing.T) {
	p := func(name, version string, at ...string) inventory.Package {
		return inventory.Package{Name: name, Version: version, Ecosystem: "npm", PURL: "pkg:npm/" + name + "@" + version, Locations: at}
	}
	got := inventory.Merge([]inventory.Package{
		p("b", "1", "z"), p("a", "2", "1", "2", "3", "4", "5", "6"), p("b", "1", "a"), p("b", "1", "a"), p("a", "1"),
	})
	want := []inventory.Package{p("a", "1"), p("a", "2", "1", "2", "3", "4", "5"), p("b", "1", "a", "z")}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	if got[1].Key() != (inventory.Compared{Name: "a", Version: "2"}) {
		t.Errorf("a package is compared by %v", got[1].Key())
	}
	other := inventory.Compared{Name: "source", Version: "0"}
	if got := (inventory.Package{Name: "a", Version: "1", Compared: other}).Key(); got != other {
		t.Errorf("a binary package is compared by %v", got)
	}
}
