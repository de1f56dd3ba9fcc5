package result_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

func inventoryDigest(t *testing.T, fill string) image.Digest {
	t.Helper()
	d, err := image.ParseDigest("sha256:" + strings.Repeat(fill, 64))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func inventoryFixture(t *testing.T) result.Inventory {
	t.Helper()
	return result.Inventory{
		Digest: inventoryDigest(t, "a"), Tool: result.Tool{Name: "syft", Version: "v1.57.1"},
		Images: []result.InventoryImage{{
			Platform: "linux/amd64", Digest: inventoryDigest(t, "b"),
			Release: &result.Release{ID: "debian", VersionID: "12", Codename: "bookworm"},
			Packages: []result.Package{
				{
					Name: "python3-urllib3", Version: "1.26.12-1", Type: "deb", PURL: "pkg:deb/debian/python3-urllib3@1.26.12-1",
					Upstreams: []result.Upstream{{Name: "python-urllib3"}}, Licenses: []string{"MIT"}, Locations: []string{"var/lib/dpkg/status"},
				},
				{
					Name: "urllib3", Version: "1.26.12", Type: "python", Language: "python", PURL: "pkg:pypi/urllib3@1.26.12", Owners: []int{0},
					CPEs:     []result.CPE{{Value: "cpe:2.3:a:python:urllib3:1.26.12:*:*:*:*:*:*:*", Source: "syft-generated"}},
					Metadata: &result.Metadata{Kind: "java", Value: json.RawMessage(`{}`)},
				},
			},
			Gaps: []result.Gap{{Rule: result.RuleUnreadFiles, Subject: "conda", Message: "nothing reads it", Count: 1, Examples: []string{"opt/x"}}},
		}},
	}
}

func TestInventoryWriteThenRead(t *testing.T) {
	dir, want := t.TempDir(), inventoryFixture(t)
	if _, _, err := result.ReadInventory(dir); !errors.Is(err, result.ErrNoInventory) {
		t.Errorf("reading nothing fails with %v", err)
	}
	if err := result.WriteInventory(dir, want); err != nil {
		t.Fatal(err)
	}
	got, digest, err := result.ReadInventory(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(image.Digest{})); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}
	written, err := os.ReadFile(result.InventoryPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	if digest != image.DigestOf(written) {
		t.Errorf("the digest of the bytes is %s, want %s", digest, image.DigestOf(written))
	}
	of := inventoryDigest(t, "a").String()
	for _, broken := range []string{
		"{", `{"digest":"` + of + `","extra":1}`, `{"images":[]}`,
		strings.Replace(string(written), "\"owners\": [\n            0", "\"owners\": [\n            2", 1),
		strings.Replace(string(written), "\"owners\": [\n            0", "\"owners\": [\n            -1", 1),
		strings.Replace(string(written), "\"owners\": [\n            0", "\"owners\": [\n            1", 1),
	} {
		if bytes.Equal(written, []byte(broken)) {
			t.Fatal("nothing was broken")
		}
		if err := os.WriteFile(result.InventoryPath(dir), []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := result.ReadInventory(dir); err == nil {
			t.Errorf("%s is read", broken)
		}
	}
}

// An inventory of something else, or of less, is not one of the image.
func TestInventoryCovers(t *testing.T) {
	f := inventoryFixture(t)
	img := oci.Image{Manifest: oci.Descriptor{Digest: inventoryDigest(t, "b")}}
	tree := oci.Tree{Root: oci.Descriptor{Digest: inventoryDigest(t, "a")}, Images: []oci.Image{img}}
	if err := f.Covers(tree); err != nil {
		t.Error(err)
	}
	tree.Images = append(tree.Images, oci.Image{Manifest: oci.Descriptor{Digest: inventoryDigest(t, "c")}})
	if err := f.Covers(tree); err == nil || !strings.Contains(err.Error(), "leaves out") {
		t.Errorf("with an image that nobody looked into: %v", err)
	}
	tree.Root.Digest = inventoryDigest(t, "d")
	if err := f.Covers(tree); err == nil || !strings.Contains(err.Error(), "fetch pulled") {
		t.Errorf("of another image: %v", err)
	}
}

func TestDistribution(t *testing.T) {
	for want, release := range map[string]*result.Release{
		"": nil, "debian:12": {ID: "debian", VersionID: "12", Codename: "bookworm"},
		"debian:trixie": {ID: "debian", Codename: "trixie"}, "arch": {ID: "arch"},
	} {
		if got := (result.InventoryImage{Release: release}).Distribution(); got != want {
			t.Errorf("the distribution of %+v is %q, want %q", release, got, want)
		}
	}
}

func TestPackageKind(t *testing.T) {
	for purl, want := range map[string]string{
		"pkg:golang/stdlib@1.20": "golang", "pkg:deb/debian/bash@5": "deb", "": "go-module", "pkg:": "go-module", "deb/bash": "go-module",
	} {
		if got := (result.Package{PURL: purl, Type: "go-module"}).Kind(); got != want {
			t.Errorf("the kind of %q is %q, want %q", purl, got, want)
		}
	}
}
