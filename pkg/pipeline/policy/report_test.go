package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/pipeline/policy"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// A scan's report names every image and the database, counts what was found, and
// tells what nobody looked at: that fails the image, unless the policy lets it pass.
func TestReport(t *testing.T) {
	asOf := now.Add(-time.Hour)
	found := result.Findings{
		Digest: root, Database: result.ScanDatabase{Digest: digest(9), AsOf: asOf, Schema: "6.1.9"},
		Images: []result.ScannedImage{{
			Platform: "linux/amd64", Digest: child, Distribution: "debian:13", Packages: 9, Kinds: map[string]int{"deb": 8, "golang": 1},
			Gaps: []result.Gap{{Rule: "unread-files", Message: "a file could not be read", Count: 1, Examples: []string{"opt/a.jar"}}},
		}, {Platform: "linux/arm64", Digest: digest(3), Packages: 1}},
		Vulnerabilities: []result.Vulnerability{openssl()},
	}
	for _, tt := range []struct {
		policy string
		want   []result.Finding
		notes  []string
	}{
		{"", []result.Finding{
			{Rule: "DSA-1", Severity: "error", Platform: "linux/amd64", Digest: child, Level: "high", Message: "openssl 3.0.1-1, fixed in 3.0.2-1: an overflow"},
			{Rule: "unread-files", Severity: "error", Platform: "linux/amd64", Digest: child, Gap: true,
				Message: "a file could not be read (1: opt/a.jar); if this is expected, add an exception for unread-files to the policy"},
		}, nil},
		{"rules: {unread-files: warn}\nignore: [{id: DSA-1, reason: never called, owner: us, expires: never}]", []result.Finding{
			{Rule: "ignored-vulnerabilities", Severity: "warning", Platform: "linux/amd64", Digest: child,
				Message: "ignored vulnerabilities: 1 by policy: DSA-1 in openssl", Waiver: &result.Waiver{Reason: "never called", Owner: "us", By: "policy"}},
			{Rule: "unread-files", Severity: "warning", Platform: "linux/amd64", Digest: child, Gap: true, Message: "a file could not be read (1: opt/a.jar)",
				Waiver: &result.Waiver{Reason: "for all images the rules say unread-files: warn", By: "policy"}},
		}, nil},
		{"exceptions: [{rules: [unread-files], images: ['**'], reason: x, owner: y, expires: 2026-01-01}]\nfailOn: []", []result.Finding{
			{Rule: "DSA-1", Severity: "warning", Platform: "linux/amd64", Digest: child, Level: "high", Message: "openssl 3.0.1-1, fixed in 3.0.2-1: an overflow"},
			{Rule: "unread-files", Severity: "error", Platform: "linux/amd64", Digest: child, Gap: true,
				Message: "a file could not be read (1: opt/a.jar); if this is expected, add an exception for unread-files to the policy"},
			{Rule: "expired-exception", Severity: "warning", Platform: "linux/amd64", Digest: child,
				Message: "the policy's exception on line 1 expired 2026-01-02T00:00:00Z, so it no longer waives unread-files"},
		}, []string{"policy: the exception on line 1 (unread-files) expired 2026-01-02T00:00:00Z and has no effect; renew or remove it"}},
	} {
		judged := found
		got, notes := parse(t, tt.policy).Report(&judged, reference, now)
		want := result.Report{
			Check: "scan", Digest: root, Rules: 12, Levels: map[string]int{"high": 1}, Findings: tt.want,
			Images: []result.CheckedImage{
				{Platform: "linux/amd64", Digest: child, Distribution: "debian:13", Packages: map[string]int{"deb": 8, "golang": 1}},
				{Platform: "linux/arm64", Digest: digest(3), Packages: map[string]int{"other": 1}},
			},
			Database: &result.Database{Digest: digest(9), AsOf: asOf, Schema: "6.1.9"},
		}
		if diff := cmp.Diff(want, got, digests); diff != "" {
			t.Errorf("policy %q (-want +got):\n%s", tt.policy, diff)
		}
		if diff := cmp.Diff(tt.notes, notes); diff != "" {
			t.Errorf("policy %q, notes (-want +got):\n%s", tt.policy, diff)
		}
		if ignored := judged.Vulnerabilities[0].Ignored != nil; ignored != strings.Contains(tt.policy, "ignore:") {
			t.Errorf("policy %q: ignored is %t", tt.policy, ignored)
		}
	}
	_, notes := parse(t, exceptionOf).Report(&found, "", now)
	if diff := cmp.Diff([]string{"policy: no exception applies, because the image's repository is unknown; pass --reference"}, notes); diff != "" {
		t.Errorf("without a reference, notes (-want +got):\n%s", diff)
	}
}

// An image without packages is one that nobody could look at, also if its scanner does
// not say so, and once if it does.
func TestReportOfAnImageWithoutPackages(t *testing.T) {
	for name, of := range map[string]result.ScannedImage{
		"a scanner that says so":      {Gaps: []result.Gap{{Rule: "no-packages", Message: "m"}}},
		"a scanner that does not":     {},
		"a scanner that says another": {Gaps: []result.Gap{{Rule: "unread-files", Message: "m"}}},
	} {
		got, _ := policy.Default().Report(&result.Findings{Digest: root, Images: []result.ScannedImage{of}}, reference, now)
		n := 0
		for _, f := range got.Findings {
			if f.Rule == "no-packages" && f.Severity == result.SeverityError && f.Gap {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s: %+v", name, got.Findings)
		}
	}
}
