package result_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

func findingsDigest(t *testing.T, fill string) image.Digest {
	t.Helper()
	d, err := image.ParseDigest("sha256:" + strings.Repeat(fill, 64))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func findingsFixture(t *testing.T) result.Findings {
	t.Helper()
	asOf := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	return result.Findings{
		Digest:   findingsDigest(t, "a"),
		Scanner:  result.Tool{Name: "grype", Version: "0.5.3"},
		Database: result.ScanDatabase{Reference: "registry.example.com/osv:latest", Digest: findingsDigest(t, "b"), AsOf: asOf, Ecosystems: []string{"Debian:12", "Go"}},
		Images:   []result.ScannedImage{{Platform: "linux/amd64", Digest: findingsDigest(t, "a"), Distribution: "debian:12", Packages: 1}},
		Vulnerabilities: []result.Vulnerability{{
			ID: "GO-2022-1059", Aliases: []string{"CVE-2022-32149"}, Level: result.LevelHigh, Score: 7.5,
			Package: result.VulnerablePackage{Name: "golang.org/x/text", Version: "0.3.5", Ecosystem: "Go", PURL: "pkg:golang/golang.org/x/text@0.3.5", Locations: []string{"usr/bin/app"}},
			FixedIn: []string{"0.3.8"}, Platform: "linux/amd64", Digest: findingsDigest(t, "a"),
			Ignored: &result.Ignored{Reason: "not called", By: "policy", Expires: asOf.AddDate(0, 1, 0)},
		}},
	}
}

func TestFindingsAreReadAsTheyWereWritten(t *testing.T) {
	dir, want := t.TempDir(), findingsFixture(t)
	if err := result.WriteFindings(dir, want); err != nil {
		t.Fatal(err)
	}
	got, err := result.ReadFindings(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(image.Digest{})); diff != "" {
		t.Errorf("read differs from what was written (-want +got):\n%s", diff)
	}
}

// What says less than a verdict needs is refused, so that it cannot pass for "nothing found".
func TestFindingsThatSayTooLittleAreRefused(t *testing.T) {
	for _, test := range []struct {
		name, from, to, want string
	}{
		{"a level that is none", `"high"`, `"severe"`, `unknown level "severe"`},
		{"no database", `"asOf": "2026-05-01T00:00:00Z"`, `"asOf": "0001-01-01T00:00:00Z"`, "do not name the vulnerability database"},
		{"a field that this version does not know", `"score"`, `"skore"`, "skore"},
		{"another format", "{", "[", "decode findings"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := result.WriteFindings(dir, findingsFixture(t)); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(result.FindingsPath(dir))
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(string(b), test.from, test.to, 1)
			if changed == string(b) {
				t.Fatalf("%q is not in the file", test.from)
			}
			if err := os.WriteFile(result.FindingsPath(dir), []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := result.ReadFindings(dir); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Read() fails with %v, want an error with %q", err, test.want)
			}
		})
	}
	if _, err := result.ReadFindings(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "did not run") {
		t.Errorf("Read() of nothing fails with %v", err)
	}
}
