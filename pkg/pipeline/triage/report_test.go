package triage_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/findings"
	"github.com/revet-dev/revet/pkg/pipeline/report"
	"github.com/revet-dev/revet/pkg/pipeline/triage"
)

// A scan's report names every image and the database, counts what was found, and
// tells what nobody looked at: that fails the image, unless the policy lets it pass.
func TestReport(t *testing.T) {
	d, err := image.ParseDigest("sha256:" + strings.Repeat("a", 64))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC)
	found := findings.File{
		Digest: d, Database: findings.Database{Digest: d, AsOf: now.Add(-time.Hour)},
		Images: []findings.Image{{
			Platform: "linux/amd64", Digest: d, Packages: 9, Unread: 7, UnreadExamples: []string{"opt/package.json: it is none"},
			Unmatched: []findings.Unmatched{
				{Ecosystem: "Go", Why: findings.NoVersion, Packages: 1, Examples: []string{"example.com/app@(devel)"}},
				{Ecosystem: "Wolfi", Why: findings.NoRecords, Packages: 3, Examples: []string{"a@1", "b@2"}},
			},
		}, {Platform: "linux/arm64", Digest: d, Packages: 1}},
		Vulnerabilities: []findings.Vulnerability{{ID: "GO-1", Level: findings.High, FixedIn: []string{"2"}, Platform: "linux/amd64", Digest: d,
			Package: findings.Package{Name: "m", Version: "1", Ecosystem: "Go", PURL: "pkg:golang/m@1"}}},
	}
	for _, test := range []struct {
		policy string
		want   []report.Finding
	}{
		{"", []report.Finding{
			{Rule: "GO-1", Severity: report.SeverityError, Platform: "linux/amd64", Digest: d, Level: "high", Message: "m 1; fixed in 2"},
			{Rule: "unmatched-packages", Severity: report.SeverityWarning, Platform: "linux/amd64", Digest: d, Message: "packages of Go have no version that can be compared: 1: example.com/app@(devel)"},
			{Rule: "unmatched-packages", Severity: report.SeverityError, Platform: "linux/amd64", Digest: d, Message: "the database has no records of Wolfi; add it to the mirror's ecosystems, or let it pass by unmatched in the policy; packages of it: 3: a@1, b@2"},
			{Rule: "unread-files", Severity: report.SeverityWarning, Platform: "linux/amd64", Digest: d, Message: "files that name packages and could not be read: 7: opt/package.json: it is none"},
		}},
		{"unmatched: warn\nignore: [{id: GO-1, reason: never called, expires: never}]", []report.Finding{
			{Rule: "ignored-vulnerabilities", Severity: report.SeverityWarning, Platform: "linux/amd64", Digest: d, Message: "vulnerabilities that are ignored: 1 by policy: GO-1 of m"},
			{Rule: "unmatched-packages", Severity: report.SeverityWarning, Platform: "linux/amd64", Digest: d, Message: "packages of Go have no version that can be compared: 1: example.com/app@(devel)"},
			{Rule: "unmatched-packages", Severity: report.SeverityWarning, Platform: "linux/amd64", Digest: d, Message: "the database has no records of Wolfi; packages of it: 3: a@1, b@2"},
			{Rule: "unread-files", Severity: report.SeverityWarning, Platform: "linux/amd64", Digest: d, Message: "files that name packages and could not be read: 7: opt/package.json: it is none"},
		}},
	} {
		p, err := triage.Parse([]byte(test.policy), nil)
		if err != nil {
			t.Fatal(err)
		}
		judged := found
		got, _ := p.Report(&judged, now)
		want := report.Report{
			Check: "scan", Digest: d, Rules: 7, Levels: map[string]int{"high": 1}, Findings: test.want,
			Images:   []report.Image{{Platform: "linux/amd64", Digest: d}, {Platform: "linux/arm64", Digest: d}},
			Database: &report.Database{Digest: d, AsOf: now.Add(-time.Hour)},
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b image.Digest) bool { return a == b })); diff != "" {
			t.Errorf("policy %q (-want +got):\n%s", test.policy, diff)
		}
		if ignored := judged.Vulnerabilities[0].Ignored != nil; ignored != (test.policy != "") {
			t.Errorf("policy %q: ignored is %t", test.policy, ignored)
		}
	}
	if _, err := triage.Parse([]byte("unmatched: maybe"), nil); err == nil || !strings.Contains(err.Error(), "accepted are fail and warn") {
		t.Errorf("a value that is none: %v", err)
	}
}
