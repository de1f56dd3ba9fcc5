package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
	"github.com/revet-dev/revet/pkg/pipeline/verdict"
)

// scanned leaves in the layout what the scanner's steps leave, for an image with
// one vulnerable package.
func (p *pod) scanned(database image.Digest, asOf time.Time) {
	p.t.Helper()
	dir := filepath.Join(p.root, "scan", "image")
	ref, err := image.ParseReference(p.image)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write("/scan/image/sbom/"+ref.Digest().Hex()+".cdx.json", `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"telnetd","version":"0.17"}]}`)
	images := []result.CheckedImage{{Platform: "linux/amd64", Digest: ref.Digest()}}
	if err := result.WriteFindings(dir, result.Findings{
		Digest: ref.Digest(), Scanner: result.Tool{Name: "grype"}, Database: result.ScanDatabase{Digest: database, AsOf: asOf},
		Images: []result.ScannedImage{{Platform: "linux/amd64", Digest: ref.Digest(), Packages: 1}},
		Vulnerabilities: []result.Vulnerability{{ID: "CVE-2026-1", Level: result.LevelCritical, Platform: "linux/amd64", Digest: ref.Digest(),
			Package: result.VulnerablePackage{Name: "telnetd", Version: "0.17"}}},
	}); err != nil {
		p.t.Fatal(err)
	}
	if err := result.WriteReport(dir, result.Report{
		Check: "scan", Digest: ref.Digest(), Images: images, Rules: 1,
		Database: &result.Database{Digest: database, AsOf: asOf}, Levels: map[string]int{"critical": 1},
		Findings: []result.Finding{{Rule: "CVE-2026-1", Severity: result.SeverityError, Level: "critical", Platform: "linux/amd64", Digest: ref.Digest(), Message: "telnetd 0.17"}},
	}); err != nil {
		p.t.Fatal(err)
	}
}

// What a scanner found reaches the verdict, the rules and the reports beside the
// image.
func TestScannersFindingsReachTheVerdict(t *testing.T) {
	p := newPod(t)
	digest := p.push(func(*v1.ConfigFile) {})
	database, err := image.ParseDigest("sha256:" + string(bytes.Repeat([]byte("d"), 64)))
	if err != nil {
		t.Fatal(err)
	}
	asOf := time.Now().Add(-50 * time.Hour).UTC().Truncate(time.Second)
	p.params["scan"], p.params["database"] = "On", "registry.example.com/db:1"
	p.before = func(i int) {
		if p.steps[i].args[0] == "validate" {
			p.scanned(database, asOf)
		}
	}
	got, summary := p.finish()
	if got["verdict"] != "fail" || got["digest"] != digest {
		t.Errorf("verdict %q on %q", got["verdict"], got["digest"])
	}
	want := verdict.Summary{
		Counts: verdict.Counts{Images: 1, Checks: 3, Rules: summary.Counts.Rules, Errors: 2},
		Levels: map[string]int{"critical": 1},
		Findings: []taskresult.Finding{
			{Check: "validate", Rule: "forbidden-packages", Severity: result.SeverityError, Platform: "linux/amd64", Message: "it holds forbidden packages: telnetd 0.17"},
			{Check: "scan", Rule: "CVE-2026-1", Severity: result.SeverityError, Level: "critical", Platform: "linux/amd64", Message: "telnetd 0.17"},
		},
		Off:      []string{"signature"},
		Database: &verdict.Database{Digest: database, AsOf: asOf, Age: "50h"}, Signature: taskresult.SignatureOff, Platforms: []string{"linux/amd64"},
	}
	if diff := cmp.Diff(want, summary, cmp.Comparer(func(a, b image.Digest) bool { return a == b })); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}

	ref, err := name.NewDigest(p.image)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Referrers(ref)
	if err != nil {
		t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]string{}
	for _, m := range list.Manifests {
		img, err := remote.Image(ref.Context().Digest(m.Digest.String()))
		if err != nil {
			t.Fatal(err)
		}
		layers, err := img.Layers()
		if err != nil {
			t.Fatal(err)
		}
		rc, err := layers[0].Compressed()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(rc)
		if err != nil {
			t.Fatal(err)
		}
		types[m.ArtifactType] = string(text)
	}
	sarif, err := os.ReadFile(filepath.Join(p.root, "scan", "image", "report.sarif"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{
		"application/sarif+json":         string(sarif),
		"application/vnd.cyclonedx+json": `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"telnetd","version":"0.17"}]}`,
	}, types); diff != "" {
		t.Errorf("reports beside the image (-want +got):\n%s", diff)
	}
	if !bytes.Contains(sarif, []byte("CVE-2026-1")) || !bytes.Contains(sarif, []byte("forbidden-packages")) {
		t.Errorf("the full report leaves something out: %s", sarif)
	}
}
