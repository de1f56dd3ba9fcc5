package sarif_test

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/sarif"
)

var update = flag.Bool("update", false, "write the golden files")

func input(t *testing.T) sarif.Input {
	t.Helper()
	ref, err := image.ParseReference("registry.example.com/team/app@sha256:" + strings.Repeat("1", 64))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	images := []result.CheckedImage{{Platform: "linux/amd64", Digest: ref.Digest()}}
	vulnerable := result.Vulnerability{
		ID: "CVE-2026-0001", Level: result.LevelHigh, Score: 7.5, Summary: "A <script> in \x1b[31mred", URL: "https://example.com/CVE-2026-0001",
		Package: result.VulnerablePackage{Name: "openssl", Version: "3.0.1", Ecosystem: "Debian:12", PURL: "pkg:deb/debian/openssl@3.0.1", Locations: []string{"/var/lib/dpkg/a b"}},
		FixedIn: []string{"3.0.2"}, Platform: "linux/amd64", Digest: ref.Digest(),
	}
	ignored := vulnerable
	ignored.ID, ignored.URL, ignored.Package.Locations = "CVE-2026-0002", "javascript:alert(1)", nil
	ignored.Ignored = &result.Ignored{Reason: "not reachable", Owner: "team-a", By: "policy", Expires: now.AddDate(0, 1, 0)}
	exploited := vulnerable
	exploited.ID, exploited.KnownExploited = "CVE-2026-0003", true
	evil := result.Vulnerability{
		ID: "MAL-2026-1", Level: result.LevelUnknown, Malware: true, Package: result.VulnerablePackage{Name: "left-pod", Version: "1"}, Platform: "linux/amd64", Digest: ref.Digest(),
	}
	scanned := []result.CheckedImage{{Platform: "linux/amd64", Digest: ref.Digest(), Distribution: "debian:12", Packages: map[string]int{"deb": 88, "npm": 1}}}
	waiver := &result.Waiver{Reason: "it moves in autumn", Owner: "team-b", By: "policy", Expires: now.AddDate(0, 2, 0)}
	return sarif.Input{
		Reference: ref, Now: now, ScanCheck: "scan", Parts: result.Parts{"policy": strings.Repeat("1", 32), "rules": strings.Repeat("2", 32)},
		Reports: []result.Report{
			{Check: "validate", Digest: ref.Digest(), Images: images, Rules: 12, Unapplied: []string{"forbidden-packages"}, Findings: []result.Finding{
				{Rule: "non-root", Severity: result.SeverityError, Platform: "linux/amd64", Digest: ref.Digest(), Message: "it runs as root"},
				{Rule: "non-root", Severity: result.SeverityWarning, Platform: "linux/arm64", Digest: ref.Digest(), Message: "it runs as root"},
			}},
			{Check: "scan", Digest: ref.Digest(), Images: scanned, Rules: 1, Findings: []result.Finding{
				{Rule: "CVE-2026-0001", Severity: result.SeverityError, Level: "high", Platform: "linux/amd64", Digest: ref.Digest(), Message: "openssl"},
				{Rule: "CVE-2026-0003", Severity: result.SeverityError, Level: "high", Platform: "linux/amd64", Digest: ref.Digest(), Message: "openssl"},
				{Rule: "MAL-2026-1", Severity: result.SeverityError, Platform: "linux/amd64", Digest: ref.Digest(), Message: "left-pod 1: known malware"},
				{Rule: "limited-support", Severity: result.SeverityWarning, Platform: "linux/amd64", Digest: ref.Digest(), Message: "debian:9 is not maintained", Gap: true, Waiver: waiver},
				{Rule: "ignored-vulnerabilities", Severity: result.SeverityWarning, Platform: "linux/amd64", Digest: ref.Digest(), Message: "1 by policy",
					Waiver: &result.Waiver{Reason: "not reachable", By: "policy"}},
				{Rule: "unread-files", Severity: result.SeverityError, Platform: "linux/amd64", Digest: ref.Digest(), Message: "a file could not be read", Gap: true},
			}},
		},
		Scan: &result.Findings{
			Digest: ref.Digest(), Scanner: result.Tool{Name: "grype", Version: "0.5.3"},
			Database:        result.ScanDatabase{Reference: "registry.example.com/db:1", Digest: ref.Digest(), AsOf: now.Add(-time.Hour), Schema: "6.1.9"},
			Vulnerabilities: []result.Vulnerability{vulnerable, ignored, exploited, evil},
		},
	}
}

// The file is the one that was looked at. The test module compares it with the
// schema of the standard.
func TestMake(t *testing.T) {
	for name, edit := range map[string]func(*sarif.Input){
		"full": func(*sarif.Input) {},
		"clean": func(in *sarif.Input) {
			in.Scan, in.Parts = nil, nil
			in.Reports = in.Reports[:1]
			in.Reports[0].Findings, in.Reports[0].Unapplied = nil, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(t)
			edit(&in)
			got, err := sarif.Make(in)
			if err != nil {
				t.Fatal(err)
			}
			file := "testdata/" + name + ".sarif"
			if *update {
				if err := os.WriteFile(file, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}
