package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/pipeline/policy"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

const exceptionOf = `
exceptions:
- rules: [no-packages, limited-support]
  images: ["registry.example.com/team/**"]
  reason: it is a static C program
  owner: team-c@example.com
  expires: 2026-06-30
`

var reference = "registry.example.com/team/app@" + root.String()

// What nobody could look at fails every image, whatever rule it is of, and whoever
// made the policy.
func TestGapFailsByDefault(t *testing.T) {
	for _, p := range []policy.Policy{{}, policy.Default(), parse(t, "failOn: []\nonlyIfFixed: false\nignore: [{id: '*', packages: ['*'], reason: x, expires: never}]")} {
		for _, rule := range append(policy.Rules(), "a-rule-of-tomorrow", "") {
			want := policy.Decision{Severity: result.SeverityError}
			if diff := cmp.Diff(want, p.Gap(rule, "debian:13", reference, now)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", rule, diff)
			}
		}
	}
	if got := (policy.Decision{}).Severity; got == result.SeverityWarning || got == result.SeverityError {
		t.Errorf("the zero decision is %q", got)
	}
}

// A rule can warn for all images; then the finding says that the policy said so, and
// the other rules fail as before.
func TestGapWarnsForAllImages(t *testing.T) {
	p := parse(t, "rules: {no-packages: warn, unread-files: fail}")
	want := policy.Decision{
		Severity: result.SeverityWarning, Waiver: &policy.Waiver{Reason: "for all images the rules say no-packages: warn", By: "policy"},
	}
	for _, ref := range []string{reference, ""} {
		if diff := cmp.Diff(want, p.Gap("no-packages", "", ref, now)); diff != "" {
			t.Errorf("reference %q (-want +got):\n%s", ref, diff)
		}
	}
	for _, rule := range policy.Rules() {
		if got := p.Gap(rule, "", reference, now); rule != "no-packages" && got.Severity != result.SeverityError {
			t.Errorf("%s: %+v", rule, got)
		}
	}
}

// An exception holds for its rules, images and subjects until it expires, and says who
// answers for it; one that expired is told.
func TestGapException(t *testing.T) {
	edit := func(old, by string) string {
		if !strings.Contains(exceptionOf, old) {
			t.Fatalf("%q is not in the exception", old)
		}
		return strings.Replace(exceptionOf, old, by, 1)
	}
	warned := policy.Decision{Severity: result.SeverityWarning, Waiver: &policy.Waiver{
		Reason: "it is a static C program", Owner: "team-c@example.com", Expires: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), By: "policy",
	}}
	failed := policy.Decision{Severity: result.SeverityError}
	expired := policy.Decision{Severity: result.SeverityError, Expired: []string{
		"the policy's exception on line 3 expired 2026-03-10T00:00:00Z, so it no longer waives no-packages",
	}}
	for _, tt := range []struct {
		name, policy, rule, subject, reference string
		want                                   policy.Decision
	}{
		{"one of its rules", exceptionOf, "no-packages", "", reference, warned},
		{"the other of its rules", exceptionOf, "limited-support", "ubuntu:18.04", reference, warned},
		{"another rule", exceptionOf, "unread-files", "", reference, failed},
		{"another repository", exceptionOf, "no-packages", "", "registry.example.com/other/app@" + root.String(), failed},
		{"another host", exceptionOf, "no-packages", "", "registry.example.com.evil.example/team/app@" + root.String(), failed},
		{"a reference that is not known", exceptionOf, "no-packages", "", "", failed},
		{"a reference that is none", exceptionOf, "no-packages", "", "registry.example.com/team/**", failed},
		{"one of its subjects", edit("  reason", "  subjects: ['debian:*', conda]\n  reason"), "no-packages", "debian:13", reference, warned},
		{"another subject", edit("  reason", "  subjects: ['debian:*', conda]\n  reason"), "no-packages", "ubuntu:24.04", reference, failed},
		{"no subject where some are named", edit("  reason", "  subjects: ['debian:*']\n  reason"), "no-packages", "", reference, failed},
		{"on its last day", edit("2026-06-30", "2026-03-10"), "no-packages", "", reference, policy.Decision{Severity: result.SeverityWarning, Waiver: &policy.Waiver{
			Reason: "it is a static C program", Owner: "team-c@example.com", Expires: time.Date(2026, 3, 11, 0, 0, 0, 0, time.UTC), By: "policy"}}},
		{"on the day after", edit("2026-06-30", "2026-03-09"), "no-packages", "", reference, expired},
		{"on the day after, of an image that it is not about", edit("2026-06-30", "2026-03-09"), "no-packages", "", "registry.example.com/x@" + root.String(), failed},
		{"for ever", edit("2026-06-30", "never"), "no-packages", "", reference, policy.Decision{Severity: result.SeverityWarning, Waiver: &policy.Waiver{
			Reason: "it is a static C program", Owner: "team-c@example.com", By: "policy"}}},
		{"one that expired before one that holds", edit("2026-06-30", "2026-03-09") + strings.TrimPrefix(exceptionOf, "\nexceptions:\n"), "no-packages", "", reference, warned},
		{"one that holds where the rule warns anyway", exceptionOf + "rules: {no-packages: warn}", "no-packages", "", reference, warned},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, parse(t, tt.policy).Gap(tt.rule, tt.subject, tt.reference, now)); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}

// A pattern is compared with host and repository as a whole: * is within a segment,
// ** is of one segment or more.
func TestImagePatterns(t *testing.T) {
	for _, tt := range []struct {
		pattern, repository string
		want                bool
	}{
		{"registry.example.com/team/app", "registry.example.com/team/app", true},
		{"registry.example.com/team/app", "registry.example.com/team/app2", false},
		{"registry.example.com/team/app", "registry.example.com/a/team/app", false},
		{"Registry.Example.com/team/app", "registry.example.com/team/app", true},
		{"registry.example.com/team/app", "REGISTRY.example.com/team/app", true},
		{"registry.example.com/team/*", "registry.example.com/team/app", true},
		{"registry.example.com/team/*", "registry.example.com/team/a/b", false},
		{"registry.example.com/team/a*z", "registry.example.com/team/abz", true},
		{"registry.example.com/team/**", "registry.example.com/team/a/b", true},
		{"registry.example.com/team/**", "registry.example.com/team", false},
		{"registry.example.com/team/**", "registry.example.com/team2/a", false},
		{"registry.example.com/**/app", "registry.example.com/a/b/app", true},
		{"registry.example.com/**/app", "registry.example.com/app", false},
		{"registry.example.com/t.am/app", "registry.example.com/team/app", false},
		{"registry.example.com:5000/team/app", "registry.example.com:5000/team/app", true},
		{"registry.example.com/team/app", "registry.example.com:5000/team/app", false},
		{"registry.example.com/team/app", "registry.example.com/team/app:1", true}, // the tag is left out
		{"*/team/app", "registry.example.com/team/app", true},
		{"*/team/app", "registry.example.com/x/team/app", false},
		{"**", "registry.example.com/x/team/app", true},
	} {
		p := parse(t, fmt.Sprintf("exceptions: [{rules: [no-packages], images: [%q], reason: x, owner: y, expires: never}]", tt.pattern))
		d := p.Gap("no-packages", "", tt.repository+"@"+root.String(), now)
		if got := d.Severity == result.SeverityWarning; got != tt.want {
			t.Errorf("%s is about %s: %t, want %t", tt.pattern, tt.repository, got, tt.want)
		}
	}
}

// What is not exactly an exception is an error that names the line and the field.
func TestExceptionsRefuse(t *testing.T) {
	edit := func(old, by string) string {
		if !strings.Contains(exceptionOf, old) {
			t.Fatalf("%q is not in the exception", old)
		}
		return strings.Replace(exceptionOf, old, by, 1)
	}
	image := func(pattern string) string { return edit("registry.example.com/team/**", pattern) }
	const place = "exceptions, entry 1 (line 3): "
	for _, tt := range []struct{ name, text, want string }{
		{"a rule that is not known", "rules:\n  no-packages: warn\n  no-package: warn", `rules (line 3): unknown rule "no-package"; accepted are ["uncovered-release"`},
		{"a word that is not known", "rules:\n  no-packages: maybe", `rules (line 2): no-packages is "maybe"; accepted are warn and fail`},
		{"a truth for a word", "rules:\n  no-packages: [warn]", `rules (line 2): no-packages is ""; accepted are warn and fail`},
		{"a rule twice", "rules:\n  no-packages: warn\n  no-packages: fail", "rules (line 3): no-packages is listed twice"},
		{"a list of rules", "rules:\n- no-packages", "rules (line 2): write a map that sets each rule"},
		{"malware as a rule", "rules: {malware: warn}", `unknown rule "malware"`},
		{"what was called unmatched", "failOn: [high]\nunmatched: warn", `unmatched (line 2) was removed; write one entry per rule under rules, like "rules: {uncovered-packages: warn}"`},
		{"what was called unmatched, failing", "unmatched: fail", "unmatched (line 1) was removed"},
		{"an exception of no rule", edit("[no-packages, limited-support]", "[]"), place + "rules is missing"},
		{"an exception of a rule that is not known", edit("limited-support", "limited"), place + `unknown rule "limited"; accepted are`},
		{"an exception of a rule twice", edit("limited-support", "no-packages"), place + "rule no-packages is listed twice"},
		{"an exception of all rules", edit("limited-support", "'*'"), place + `unknown rule "*"`},
		{"no image", edit(`["registry.example.com/team/**"]`, "[]"), place + "images has 0 patterns"},
		{"an image without a host", image("app"), place + `images: pattern "app": it must match host/repository`},
		{"an image of a host alone", image("registry.example.com/"), "it must match host/repository"},
		{"an image with a tag", image("registry.example.com/app:1"), "leave out the tag or digest"},
		{"an image with a digest", image("registry.example.com/app@sha256:00"), "leave out the tag or digest"},
		{"the beginning of a host", image("registry.example.com*/app"), "write out the host"},
		{"all hosts by two stars", image("**/app"), "write out the host"},
		{"two stars beside something", image("registry.example.com/a**"), "must stand alone between slashes"},
		{"an empty segment", image("registry.example.com//a"), "no segment may be empty"},
		{"an image that is too long", image("registry.example.com/" + strings.Repeat("a", 300)), "the limit is 300"},
		{"an empty subject", edit("  reason", "  subjects: ['']\n  reason"), place + `subjects: pattern ""`},
		{"no reason", edit("it is a static C program", "' '"), place + "reason is missing"},
		{"no owner", edit("team-c@example.com", "' '"), place + "owner is missing"},
		{"an owner that is too long", edit("team-c@example.com", strings.Repeat("a", 101)), place + "owner has 101 bytes; the limit is 100"},
		{"no end", edit("expires: 2026-06-30", ""), place + "expires is missing"},
		{"an end that is none", edit("2026-06-30", "2026-06-31"), place + `expires is "2026-06-31"`},
		{"a field that is not known", edit("owner", "owners"), "line 6: field owners not found"},
		{"too many", "exceptions:\n" + strings.Repeat("- {rules: [no-packages]}\n", 1001), "the policy has 1001 exceptions; the limit is 1000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := policy.Parse([]byte(tt.text), nil); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// Each gap becomes a finding with its cure and its waiver, and exceptions that expired
// are told once for each image.
func TestGaps(t *testing.T) {
	p := parse(t, strings.Replace(exceptionOf, "limited-support", "unread-files", 1)+`
- {rules: [uncovered-packages], images: ["**"], reason: x, owner: y, expires: 2026-01-01}
`)
	of := result.CheckedImage{Platform: "linux/amd64", Digest: child}
	got := p.Gaps(of, []result.Gap{
		{Rule: "no-packages", Message: "no package was found in it"},
		{Rule: "uncovered-packages", Subject: "conda", Message: "the database has no records of conda", Count: 3, Examples: []string{"a@1", "b@2"}},
		{Rule: "uncovered-packages", Subject: "swift", Message: "the database has no records of swift", Count: 1},
	}, reference, now)
	finding := func(rule string, severity result.Severity, message string) result.Finding {
		return result.Finding{Rule: rule, Severity: severity, Platform: "linux/amd64", Digest: child, Message: message, Gap: true}
	}
	const excepted = "; if this is expected, add an exception for uncovered-packages to the policy"
	waived := finding("no-packages", "warning", "no package was found in it")
	waived.Waiver = p.Gap("no-packages", "", reference, now).Waiver
	told := finding("expired-exception", "warning", "the policy's exception on line 9 expired 2026-01-02T00:00:00Z, so it no longer waives uncovered-packages")
	told.Gap = false
	want := []result.Finding{
		waived,
		finding("uncovered-packages", "error", "the database has no records of conda (3: a@1, b@2)"+excepted),
		finding("uncovered-packages", "error", "the database has no records of swift (1)"+excepted),
		told,
	}
	if diff := cmp.Diff(want, got, digests); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}
