package stock_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revet-dev/revet/cmd/scan/internal/sample"
	"github.com/revet-dev/revet/cmd/scan/internal/stock"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/layers"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

var update = flag.Bool("update", false, "write the files in testdata anew")

func files() sample.Files {
	return sample.Files{
		"etc/os-release":                       "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n",
		"var/lib/dpkg/status":                  "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl\nVersion: 3.0.1-1\n",
		"usr/share/doc/libssl3/copyright":      "License: Apache-2.0\n",
		"app/node_modules/lodash/package.json": `{"name":"lodash","version":"4.17.20","license":"MIT"}`,
		"var/lib/chisel/manifest.wall":         "(zstd)",
	}
}

func take(t *testing.T, f ...sample.Files) (stock.Found, oci.Tree) {
	t.Helper()
	blobs, tree := sample.Image(t, f...)
	found, err := stock.Take(t.Context(), blobs, tree, stock.Options{Limits: layers.DefaultLimits(), Temp: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return found, tree
}

// The SBOM is the file in testdata, which is held against the standard's schema
// elsewhere: Syft's, with the operating system and licences, and the same each time.
func TestSBOM(t *testing.T) {
	found, tree := take(t, files())
	got := found.SBOMs[tree.Root.Digest]
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
	var doc struct {
		Components []struct {
			Type, Name, Version string
			Licenses            []json.RawMessage
		}
	}
	if err := json.Unmarshal(got, &doc); err != nil {
		t.Fatal(err)
	}
	told := map[string]int{}
	for _, c := range doc.Components {
		told[c.Type+" "+c.Name+" "+c.Version] = len(c.Licenses)
	}
	if diff := cmp.Diff(map[string]int{"library libssl3 3.0.1-1": 1, "library lodash 4.17.20": 1, "operating-system debian 12": 0}, told); diff != "" {
		t.Errorf("components, and how many licences they have (-want +got):\n%s", diff)
	}
	again, _ := take(t, files())
	if !bytes.Equal(again.SBOMs[tree.Root.Digest], got) {
		t.Error("the SBOM differs the second time")
	}
	if diff := cmp.Diff(found.Inventory, again.Inventory, cmpopts.EquateComparable(image.Digest{})); diff != "" {
		t.Errorf("the inventory differs the second time:\n%s", diff)
	}
	other, _ := take(t, files().And(sample.Files{"app/node_modules/lodash/package.json": `{"name":"lodash","version":"4.17.21"}`}))
	if a, b := serial(got), serial(other.SBOMs[tree.Root.Digest]); a == b || a == "" {
		t.Errorf("two SBOMs have the numbers %s and %s", a, b)
	}
}

func serial(raw []byte) string {
	_, after, _ := strings.Cut(string(raw), `"serialNumber": "urn:uuid:`)
	number, _, _ := strings.Cut(after, `"`)
	return number
}

// What an upper layer removes is not in the image; what it adds is.
func TestLayers(t *testing.T) {
	found, _ := take(t, files(), sample.Files{"app/node_modules/.wh.lodash": "", "app/node_modules/rack/package.json": `{"name":"rack","version":"1.0.0"}`})
	var names []string
	for _, p := range found.Inventory.Images[0].Packages {
		names = append(names, p.Name)
	}
	if diff := cmp.Diff([]string{"libssl3", "rack"}, names); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
}

// A limit of what an image may cost is an error of the image that exceeds it, and so is
// time that ran out. Nothing is left behind.
func TestLimits(t *testing.T) {
	blobs, tree := sample.Image(t, files())
	temp := t.TempDir()
	limits := layers.DefaultLimits()
	limits.File = 10
	_, err := stock.Take(t.Context(), blobs, tree, stock.Options{Limits: limits, Temp: temp})
	var e *oci.Error
	if !errors.As(err, &e) || e.Reason != oci.ReasonTooLarge || !strings.Contains(err.Error(), "of image linux/amd64") {
		t.Errorf("error is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := stock.Take(ctx, blobs, tree, stock.Options{Limits: layers.DefaultLimits(), Temp: temp}); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) > 0 {
		t.Errorf("left are %v (%v)", left, err)
	}
}
