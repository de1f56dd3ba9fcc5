package sbom_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/inventory"
	"github.com/revet-dev/revet/pkg/pipeline/sbom"
)

var update = flag.Bool("update", false, "write testdata")

func example(t *testing.T) (inventory.Image, inventory.Tool) {
	t.Helper()
	d, err := image.ParseDigest("sha256:" + strings.Repeat("a", 64))
	if err != nil {
		t.Fatal(err)
	}
	return inventory.Image{
		Platform: "linux/amd64", Digest: d, Distribution: "debian:12",
		Packages: []inventory.Package{
			{Name: "libssl3", Version: "3.0.1-1+b1", Ecosystem: "Debian:12", PURL: "pkg:deb/debian/libssl3@3.0.1-1%2Bb1?arch=amd64",
				Compared: inventory.Compared{Name: "openssl", Version: "3.0.1-1"}, Locations: []string{"var/lib/dpkg/status"}},
			{Name: "golang.org/x/text", Version: "0.3.5", Ecosystem: "Go", PURL: "pkg:golang/golang.org/x/text@0.3.5", Locations: []string{"usr/bin/a<b", "usr/bin/c"}},
			{Name: "nameless", Ecosystem: "npm"},
		},
		Unread: []inventory.Unread{{Path: "opt/package.json", Why: "it is none"}}, UnreadCount: 7,
	}, inventory.Tool{Name: "osv-scalibr", Version: "0.5.3"}
}

// The SBOM is the file in testdata, which is held against the standard's schema
// elsewhere.
func TestMake(t *testing.T) {
	got, err := sbom.Make(example(t))
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "image.cdx.json")
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("SBOM (-want +got), -update accepts it:\n%s", diff)
	}
}

// The same packages are the same bytes, and other ones have another number.
func TestMakeIsRepeatable(t *testing.T) {
	img, tool := example(t)
	first, err := sbom.Make(img, tool)
	if err != nil {
		t.Fatal(err)
	}
	again, err := sbom.Make(img, tool)
	if err != nil || !bytes.Equal(first, again) {
		t.Errorf("the second SBOM differs (%v)", err)
	}
	img.Packages[1].Version = "0.3.8"
	other, err := sbom.Make(img, tool)
	if err != nil {
		t.Fatal(err)
	}
	number := func(raw []byte) string {
		_, after, _ := strings.Cut(string(raw), `"serialNumber": "urn:uuid:`)
		return after[:36]
	}
	if number(first) == number(other) {
		t.Errorf("two SBOMs have the number %s", number(first))
	}
	dir := t.TempDir()
	if err := sbom.Write(dir, img.Digest, other); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(sbom.Path(dir, img.Digest)); err != nil || !bytes.Equal(raw, other) {
		t.Errorf("what was written is not there (%v)", err)
	}
}
