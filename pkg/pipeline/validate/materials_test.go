package validate_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/validate"
)

func materialDigest(t *testing.T, n int) image.Digest {
	t.Helper()
	d, err := image.ParseDigest(fmt.Sprintf("sha256:%064x", n))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// What is known beside an image is known of all images, and of these; else it is
// an error.
func TestLoadMaterials(t *testing.T) {
	root, first, second := materialDigest(t, 1), materialDigest(t, 2), materialDigest(t, 3)
	tree := oci.Tree{Root: oci.Descriptor{Digest: root}, Images: []oci.Image{
		{Manifest: oci.Descriptor{Digest: first}}, {Manifest: oci.Descriptor{Digest: second}}}}
	const bom = `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[
		{"name":"bash","version":"5.2-1","purl":"pkg:deb/debian/bash@5.2-1"},{"group":"@babel","name":"core","version":"7"}]}`
	sbom := func(d image.Digest, text string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.MkdirAll(filepath.Join(dir, "sbom"), 0o750); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "sbom", d.Hex()+".cdx.json"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	found := func(of image.Digest, images ...image.Digest) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			f := result.Findings{Digest: of, Database: result.ScanDatabase{Digest: root, AsOf: time.Unix(1, 0)}}
			for _, d := range images {
				f.Images = append(f.Images, result.ScannedImage{Digest: d})
			}
			if err := result.WriteFindings(dir, f); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name   string
		layout []func(*testing.T, string)
		sboms  int
		scan   bool
		err    string
	}{
		{"nothing", nil, 0, false, ""},
		{"SBOMs of both", []func(*testing.T, string){sbom(first, bom), sbom(second, bom)}, 2, false, ""},
		{"an SBOM of one", []func(*testing.T, string){sbom(first, bom)}, 0, false, "SBOMs for 1 of 2 images"},
		{"an SBOM that is none", []func(*testing.T, string){sbom(first, "{}"), sbom(second, bom)}, 0, false, "not CycloneDX"},
		{"half an SBOM", []func(*testing.T, string){sbom(first, bom[:20]), sbom(second, bom)}, 0, false, "cannot read it"},
		{"findings", []func(*testing.T, string){found(root, first, second)}, 0, true, ""},
		{"findings of another image", []func(*testing.T, string){found(first, first, second)}, 0, false, "fetch pulled " + root.String()},
		{"findings that leave an image out", []func(*testing.T, string){found(root, first)}, 0, false, "leave out image " + second.String()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, write := range tt.layout {
				write(t, dir)
			}
			got, err := validate.LoadMaterials(dir, tree)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("error is %v, want %q", err, tt.err)
			}
			if len(got.Packages) != tt.sboms || (got.Findings != nil) != tt.scan {
				t.Errorf("%d SBOMs, findings %t", len(got.Packages), got.Findings != nil)
			}
			if tt.sboms == 0 {
				return
			}
			want := []validate.Package{{Name: "bash", Version: "5.2-1", PURL: "pkg:deb/debian/bash@5.2-1", Type: "deb"}, {Name: "@babel/core", Version: "7"}}
			if diff := cmp.Diff(want, got.Packages[first], cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("packages (-want +got):\n%s", diff)
			}
		})
	}
}

// A rule sees the findings of its image, and of no other, and all that can be asked of
// one.
func TestRulesSeeTheirImagesFindings(t *testing.T) {
	first, second := materialDigest(t, 2), materialDigest(t, 3)
	tree := oci.Tree{Root: oci.Descriptor{Digest: materialDigest(t, 1)}, Images: []oci.Image{
		{Manifest: oci.Descriptor{Digest: first}}, {Manifest: oci.Descriptor{Digest: second}}}}
	found := result.Vulnerability{
		ID: "GHSA-1", Aliases: []string{"CVE-2"}, Level: result.LevelCritical, Score: 9.8, KnownExploited: true, Digest: second,
		Package: result.VulnerablePackage{Name: "x", Kind: "npm", PURL: "pkg:generic/x"},
	}
	bare := found
	bare.Package.Kind, bare.Package.PURL, bare.KnownExploited, bare.Malware = "", "pkg:deb/debian/x@1", false, true
	for _, tt := range []struct {
		name, condition string
		of              result.Vulnerability
		want            bool
	}{
		{"what it is", "v.level == 'critical' && v.score >= 9.0 && 'CVE-2' in v.aliases && v.package == 'x'", found, true},
		{"known to be exploited", "v.knownExploited", found, true},
		{"not known to be exploited", "v.knownExploited", bare, false},
		{"malware", "v.malware", bare, true},
		{"no malware", "v.malware", found, false},
		{"the kind that the scanner tells", "v.kind == 'npm'", found, true},
		{"the kind of the package URL, where it does not", "v.kind == 'deb'", bare, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rules, err := validate.Parse([]byte(`rules: [{name: r, message: m, expression: "!findings.vulnerabilities.exists(v, ` + tt.condition + `)"}]`))
			if err != nil {
				t.Fatal(err)
			}
			known := validate.Materials{Findings: &result.Findings{Vulnerabilities: []result.Vulnerability{tt.of}}}
			got, err := rules.CheckWith(t.Context(), tree, known, time.Now())
			if err != nil || (len(got.Findings) == 1) != tt.want || tt.want && got.Findings[0].Digest != second {
				t.Errorf("findings %+v, %v", got.Findings, err)
			}
		})
	}
}
