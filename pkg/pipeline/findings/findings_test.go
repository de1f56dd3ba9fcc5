package findings_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/findings"
)

func digest(t *testing.T, fill string) image.Digest {
	t.Helper()
	d, err := image.ParseDigest("sha256:" + strings.Repeat(fill, 64))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func file(t *testing.T) findings.File {
	t.Helper()
	asOf := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	return findings.File{
		Digest:   digest(t, "a"),
		Scanner:  findings.Scanner{Name: "grype", Version: "0.5.3"},
		Database: findings.Database{Reference: "registry.example.com/osv:latest", Digest: digest(t, "b"), AsOf: asOf, Ecosystems: []string{"Debian:12", "Go"}},
		Images:   []findings.Image{{Platform: "linux/amd64", Digest: digest(t, "a"), Distribution: "debian:12", Packages: 1}},
		Vulnerabilities: []findings.Vulnerability{{
			ID: "GO-2022-1059", Aliases: []string{"CVE-2022-32149"}, Level: findings.High, Score: 7.5,
			Package: findings.Package{Name: "golang.org/x/text", Version: "0.3.5", Ecosystem: "Go", PURL: "pkg:golang/golang.org/x/text@0.3.5", Locations: []string{"usr/bin/app"}},
			FixedIn: []string{"0.3.8"}, Platform: "linux/amd64", Digest: digest(t, "a"),
			Ignored: &findings.Ignored{Reason: "not called", By: "policy", Expires: asOf.AddDate(0, 1, 0)},
		}},
	}
}

func TestFindingsAreReadAsTheyWereWritten(t *testing.T) {
	dir, want := t.TempDir(), file(t)
	if err := findings.Write(dir, want); err != nil {
		t.Fatal(err)
	}
	got, err := findings.Read(dir)
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
		{"no database", `"asOf": "2026-05-01T00:00:00Z"`, `"asOf": "0001-01-01T00:00:00Z"`, "which database was used"},
		{"a field that this version does not know", `"score"`, `"skore"`, "skore"},
		{"another format", "{", "[", "decode findings"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := findings.Write(dir, file(t)); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(findings.Path(dir))
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(string(b), test.from, test.to, 1)
			if changed == string(b) {
				t.Fatalf("%q is not in the file", test.from)
			}
			if err := os.WriteFile(findings.Path(dir), []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := findings.Read(dir); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Read() fails with %v, want an error with %q", err, test.want)
			}
		})
	}
	if _, err := findings.Read(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "did not run") {
		t.Errorf("Read() of nothing fails with %v", err)
	}
}
