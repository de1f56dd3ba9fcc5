package match_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/revet-dev/revet/cmd/scan/internal/match"
	"github.com/revet-dev/revet/cmd/scan/internal/sample"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// Whatever an inventory says, it is refused or compared: every image of it gets its
// findings or its gaps, and nothing of it brings the scanner down.
func FuzzInventory(f *testing.F) {
	db := sample.NewDatabase(f,
		sample.Record{ID: "CVE-2026-1", Name: "openssl", Type: "deb", OS: "debian:12/bookworm", Below: "3.0.2-1", Format: "dpkg"},
		sample.Record{ID: "GO-2026-1", Name: "example.com/a", Type: "go-module", Below: "1.2.3", Format: "go"},
		sample.Record{ID: "GHSA-1", Name: "lodash", Type: "npm", Below: "4.17.21", Format: "semver"},
	)
	digest, err := image.ParseDigest("sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	if err != nil {
		f.Fatal(err)
	}
	seed, err := json.Marshal(result.Inventory{Digest: digest, Images: []result.InventoryImage{{
		Platform: "linux/amd64", Digest: digest, Packages: []result.Package{
			{Name: "libssl3", Version: "3.0.1-1", Type: "deb", PURL: "pkg:deb/debian/libssl3@3.0.1-1", Upstreams: []result.Upstream{{Name: "openssl"}}},
			{Name: "example.com/a", Version: "v1.0.0", Type: "go-module", Language: "go", Metadata: &result.Metadata{Kind: "golang-binary", Value: json.RawMessage(`{"goCompiledVersion":"go1.26.8"}`)}},
			{Name: "lodash", Version: "4.17.20", Type: "npm", Language: "javascript", CPEs: []result.CPE{{Value: "cpe:2.3:a:lodash:lodash:4.17.20:*:*:*:*:*:*:*"}}},
		},
	}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	matcher := match.New(db, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var stock result.Inventory
		if json.Unmarshal(raw, &stock) != nil {
			return
		}
		dir := t.TempDir()
		if err := os.MkdirAll(dir+"/scan", 0o750); err != nil {
			t.Fatal(err)
		}
		if result.WriteInventory(dir, stock) != nil {
			return
		}
		read, _, err := result.ReadInventory(dir)
		if err != nil {
			return
		}
		found, err := matcher.File(t.Context(), read)
		if err != nil {
			return
		}
		if len(found.Images) != len(read.Images) {
			t.Errorf("of %d images %d were judged", len(read.Images), len(found.Images))
		}
		for i, img := range found.Images {
			if img.Packages != len(read.Images[i].Packages) {
				t.Errorf("of %d packages %d are told", len(read.Images[i].Packages), img.Packages)
			}
		}
	})
}
