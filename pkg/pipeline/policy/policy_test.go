package policy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	yaml "go.yaml.in/yaml/v3"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/policy"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

var (
	now     = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	digests = cmp.Comparer(func(a, b image.Digest) bool { return a == b })
	root    = digest(1)
	child   = digest(2)
)

func digest(n int) image.Digest {
	d, err := image.ParseDigest(fmt.Sprintf("sha256:%064x", n))
	if err != nil {
		panic(err)
	}
	return d
}

// openssl is a vulnerability of a package of the image.
func openssl(edit ...func(*result.Vulnerability)) result.Vulnerability {
	v := result.Vulnerability{
		ID: "DSA-1", Aliases: []string{"CVE-2026-1"}, Level: result.LevelHigh, Summary: "an overflow", FixedIn: []string{"3.0.2-1"},
		Package:  result.VulnerablePackage{Name: "openssl", Version: "3.0.1-1", Ecosystem: "Debian:12", PURL: "pkg:deb/debian/openssl@3.0.1-1?arch=amd64&distro=debian-12"},
		Platform: "linux/amd64", Digest: child,
	}
	for _, e := range edit {
		e(&v)
	}
	return v
}

func level(l result.Level) func(*result.Vulnerability) {
	return func(v *result.Vulnerability) { v.Level = l }
}

func unfixed(v *result.Vulnerability) { v.FixedIn = nil }

func parse(t *testing.T, text string, documents ...string) policy.Policy {
	t.Helper()
	files := map[string][]byte{}
	for i, d := range documents {
		files[fmt.Sprintf("%d.openvex.json", i)] = []byte(d)
	}
	p, err := policy.Parse([]byte(text), files)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Which levels fail, and which only if there is a fix, is the policy's to say; by
// default what is bad, or of unknown severity, fails if an update is at hand.
func TestLevels(t *testing.T) {
	const e, w = result.SeverityError, result.SeverityWarning
	tests := []struct {
		name, policy   string
		fixed, unfixed map[result.Level]result.Severity
	}{
		{"nothing is written", "",
			map[result.Level]result.Severity{"critical": e, "high": e, "medium": w, "low": w, "unknown": e},
			map[result.Level]result.Severity{"critical": w, "high": w, "medium": w, "low": w, "unknown": w}},
		{"only comments are written", "# later\n",
			map[result.Level]result.Severity{"critical": e, "high": e, "medium": w, "low": w, "unknown": e},
			map[result.Level]result.Severity{"critical": w, "high": w, "medium": w, "low": w, "unknown": w}},
		{"other levels", "failOn: [medium, low]",
			map[result.Level]result.Severity{"critical": w, "high": w, "medium": e, "low": e, "unknown": w},
			map[result.Level]result.Severity{"critical": w, "high": w, "medium": w, "low": w, "unknown": w}},
		{"with a fix or without", "onlyIfFixed: false",
			map[result.Level]result.Severity{"critical": e, "high": e, "medium": w, "low": w, "unknown": e},
			map[result.Level]result.Severity{"critical": e, "high": e, "medium": w, "low": w, "unknown": e}},
		{"with a fix or without, by level", "onlyIfFixed: [high, unknown]",
			map[result.Level]result.Severity{"critical": e, "high": e, "medium": w, "low": w, "unknown": e},
			map[result.Level]result.Severity{"critical": e, "high": w, "medium": w, "low": w, "unknown": w}},
		{"only with a fix, as is the default", "onlyIfFixed: true\nfailOn: [critical]",
			map[result.Level]result.Severity{"critical": e, "high": w, "medium": w, "low": w, "unknown": w},
			map[result.Level]result.Severity{"critical": w, "high": w, "medium": w, "low": w, "unknown": w}},
		{"nothing fails, as somebody wrote", "failOn: []",
			map[result.Level]result.Severity{"critical": w, "high": w, "medium": w, "low": w, "unknown": w},
			map[result.Level]result.Severity{"critical": w, "high": w, "medium": w, "low": w, "unknown": w}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := parse(t, tt.policy)
			for _, l := range result.Levels() {
				j := p.Judge(root, []result.Vulnerability{openssl(level(l)), openssl(level(l), unfixed)}, now)
				if len(j.Findings) != 2 || j.Findings[0].Severity != tt.fixed[l] || j.Findings[1].Severity != tt.unfixed[l] {
					t.Errorf("%s: %+v; want %s with a fix and %s without", l, j.Findings, tt.fixed[l], tt.unfixed[l])
				}
			}
		})
	}
}

// The zero policy is nobody's, and fails on everything.
func TestZeroPolicy(t *testing.T) {
	j := policy.Policy{}.Judge(root, []result.Vulnerability{openssl(level(result.LevelLow), unfixed), openssl(level("odd"))}, now)
	for _, f := range j.Findings {
		if f.Severity != result.SeverityError {
			t.Errorf("%+v", f)
		}
	}
}

// A judgement tells of everything: what fails, what does not, what is ignored and
// why, and what is not ignored any more.
func TestJudge(t *testing.T) {
	p := parse(t, `
ignore:
- {id: CVE-2026-2, reason: not used, owner: us, expires: 2026-03-10}
- {id: CVE-2026-3, reason: was not used, expires: 2026-03-09}
- {id: CVE-2026-9, reason: somewhere else, expires: 2026-01-01T00:00:00Z}
`)
	named := func(id string) func(*result.Vulnerability) {
		return func(v *result.Vulnerability) { v.ID, v.Aliases = id, nil }
	}
	arm := func(v *result.Vulnerability) { v.Platform, v.Digest = "linux/arm64", digest(3) }
	found := []result.Vulnerability{
		openssl(), openssl(named("CVE-2026-2")), openssl(named("CVE-2026-3")), openssl(named("CVE-2026-4"), level(result.LevelLow), unfixed), openssl(arm),
	}
	got := p.Judge(root, found, now)
	ignored := openssl(named("CVE-2026-2"))
	ignored.Ignored = &result.Ignored{Reason: "not used", Owner: "us", By: "policy", Expires: time.Date(2026, 3, 11, 0, 0, 0, 0, time.UTC)}
	want := policy.Judgement{
		Vulnerabilities: []result.Vulnerability{found[0], ignored, found[2], found[3], found[4]},
		Findings: []result.Finding{
			{Rule: "DSA-1", Severity: result.SeverityError, Level: "high", Platform: "linux/amd64", Digest: child, Message: "openssl 3.0.1-1, fixed in 3.0.2-1: an overflow"},
			{Rule: "CVE-2026-3", Severity: result.SeverityError, Level: "high", Platform: "linux/amd64", Digest: child, Message: "openssl 3.0.1-1, fixed in 3.0.2-1: an overflow"},
			{Rule: "CVE-2026-4", Severity: result.SeverityWarning, Level: "low", Platform: "linux/amd64", Digest: child, Message: "openssl 3.0.1-1, no fix yet: an overflow"},
			{Rule: "DSA-1", Severity: result.SeverityError, Level: "high", Platform: "linux/arm64", Digest: digest(3), Message: "openssl 3.0.1-1, fixed in 3.0.2-1: an overflow"},
			{Rule: "ignored-vulnerabilities", Severity: result.SeverityWarning, Platform: "linux/amd64", Digest: child,
				Message: "ignored vulnerabilities: 1 by policy: CVE-2026-2 in openssl",
				Waiver:  &result.Waiver{Reason: "not used", By: "policy", Owner: "us", Expires: time.Date(2026, 3, 11, 0, 0, 0, 0, time.UTC)}},
			{Rule: "expired-ignore", Severity: result.SeverityWarning, Platform: "linux/amd64", Digest: child,
				Message: "the policy's entry for CVE-2026-3 on line 4 expired 2026-03-10T00:00:00Z, so these count again: CVE-2026-3"},
		},
		Levels: map[string]int{"high": 4, "low": 1}, Rules: 6,
		Notes: []string{
			"policy: the ignore entry on line 4 (CVE-2026-3) expired 2026-03-10T00:00:00Z and has no effect; renew or remove it",
			"policy: the ignore entry on line 5 (CVE-2026-9) expired 2026-01-01T00:00:00Z and has no effect; renew or remove it",
		},
	}
	if diff := cmp.Diff(want, got, digests); diff != "" {
		t.Errorf("judgement (-want +got):\n%s", diff)
	}
	if found[1].Ignored != nil {
		t.Error("what was given was changed")
	}
}

// What was ignored in the file is asked again; many are told in a line that fits.
func TestIgnoredIsOfThisPolicyAndBounded(t *testing.T) {
	v := openssl()
	v.Ignored = &result.Ignored{Reason: "so says the scanner", By: "scanner"}
	if j := policy.Default().Judge(root, []result.Vulnerability{v}, now); suppressed(j) != 0 || j.Findings[0].Severity != result.SeverityError {
		t.Errorf("%+v", j)
	}
	var many []result.Vulnerability
	for i := range 500 {
		many = append(many, openssl(func(v *result.Vulnerability) { v.ID = fmt.Sprintf("CVE-2026-%03d", i) }))
	}
	j := parse(t, "ignore:\n- {id: '*', packages: [openssl], reason: x, expires: never}").Judge(root, many, now)
	if suppressed(j) != 500 || len(j.Findings) != 1 || !strings.HasSuffix(j.Findings[0].Message, "CVE-2026-009 in openssl and 490 more") {
		t.Errorf("%d: %+v", suppressed(j), j.Findings)
	}
	if j = policy.Default().Judge(root, nil, now); len(j.Findings) > 0 || j.Rules == 0 {
		t.Errorf("of nothing: %+v", j)
	}
}

// An entry is about a vulnerability by its name or an alias, in the packages that it
// names, until it expires.
func TestIgnore(t *testing.T) {
	tests := []struct {
		name, entry string
		want        bool
	}{
		{"by its name", "id: DSA-1, expires: never", true},
		{"by an alias", "id: CVE-2026-1, expires: never", true},
		{"another one", "id: CVE-2026-2, expires: never", false},
		{"half of a name", "id: CVE-2026, expires: never", false},
		{"in other letters", "id: cve-2026-1, expires: never", false},
		{"in a package", "id: DSA-1, packages: [openssl], expires: never", true},
		{"in another package", "id: DSA-1, packages: [curl], expires: never", false},
		{"in one of several", "id: DSA-1, packages: [curl, openssl], expires: never", true},
		{"in half of a name", "id: DSA-1, packages: [open], expires: never", false},
		{"in a pattern of names", "id: DSA-1, packages: ['open*'], expires: never", true},
		{"a dot is a dot", "id: DSA-1, packages: ['o.enssl'], expires: never", false},
		{"in a version", "id: DSA-1, packages: ['openssl@3.0.1-1'], expires: never", true},
		{"in another version", "id: DSA-1, packages: ['openssl@3.0.2-1'], expires: never", false},
		{"in versions", "id: DSA-1, packages: ['openssl@3.*'], expires: never", true},
		{"by package URL", "id: DSA-1, packages: ['pkg:deb/debian/openssl@*'], expires: never", true},
		{"by package URL with qualifiers", "id: DSA-1, packages: ['pkg:deb/*?arch=amd64*'], expires: never", true},
		{"by another package URL", "id: DSA-1, packages: ['pkg:apk/*'], expires: never", false},
		{"all of a package", "id: '*', packages: [openssl], expires: never", true},
		{"all of another package", "id: '*', packages: [linux-*], expires: never", false},
		{"on its last day", "id: DSA-1, expires: 2026-03-10", true},
		{"on the day after", "id: DSA-1, expires: 2026-03-09", false},
		{"until a second from now", "id: DSA-1, expires: '2026-03-10T12:00:01Z'", true},
		{"until now", "id: DSA-1, expires: '2026-03-10T12:00:00Z'", false},
		{"until a time elsewhere", "id: DSA-1, expires: '2026-03-10T14:00:00+01:00'", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := parse(t, "ignore:\n- {reason: x, "+tt.entry+"}").Judge(root, []result.Vulnerability{openssl()}, now)
			if got := suppressed(j) == 1; got != tt.want || (j.Vulnerabilities[0].Ignored != nil) != tt.want {
				t.Errorf("ignored %t, want %t", got, tt.want)
			}
		})
	}
	// Of two entries, the one that holds counts, and nobody is told of the other.
	j := parse(t, "ignore:\n- {id: DSA-1, reason: x, expires: 2026-01-01}\n- {id: DSA-1, reason: y, expires: never}").Judge(root, []result.Vulnerability{openssl()}, now)
	if suppressed(j) != 1 || j.Vulnerabilities[0].Ignored.Reason != "y" || len(j.Findings) != 1 {
		t.Errorf("%+v", j)
	}
}

// vex is an OpenVEX document with statements.
func vex(id string, statements ...string) string {
	return fmt.Sprintf(`{"@context":"https://openvex.dev/ns/v0.2.0","@id":%q,"author":"us","timestamp":"2026-03-01T00:00:00Z","version":1,"statements":[%s]}`,
		id, strings.Join(statements, ","))
}

const (
	notAffected = `"status":"not_affected","justification":"vulnerable_code_not_in_execute_path"`
	ofPackage   = `"products":[{"@id":"pkg:deb/debian/openssl"}]`
)

func says(rest ...string) string {
	return `{"vulnerability":{"name":"CVE-2026-1"},` + strings.Join(rest, ",") + `}`
}

// A statement suppresses if it is about the vulnerability and about the image or the
// package, and if what it says is that nothing is to be done.
func TestOpenVEX(t *testing.T) {
	oci := func(d image.Digest) string {
		return `"@id":"pkg:oci/app@` + strings.Replace(d.String(), ":", "%3A", 1) + `"`
	}
	hash := func(d image.Digest) string {
		return `"@id":"https://example.com/app","hashes":{"sha-256":"` + d.Hex() + `"}`
	}
	const part = `"subcomponents":[{"identifiers":{"purl":"pkg:deb/debian/openssl@3.0.1-1"}}]`
	tests := []struct {
		name      string
		documents []string
		want      bool
	}{
		{"a package is not affected", []string{vex("a", says(notAffected, ofPackage))}, true},
		{"a package is fixed", []string{vex("a", says(`"status":"fixed"`, ofPackage))}, true},
		{"a package is affected", []string{vex("a", says(`"status":"affected","action_statement":"update"`, ofPackage))}, false},
		{"somebody looks into it", []string{vex("a", says(`"status":"under_investigation"`, ofPackage))}, false},
		{"by an impact statement", []string{vex("a", says(`"status":"not_affected","impact_statement":"patched"`, ofPackage))}, true},
		{"by an alias", []string{vex("a", `{"vulnerability":{"name":"GHSA-1","aliases":["DSA-1"]},`+notAffected+`,`+ofPackage+`}`)}, true},
		{"another vulnerability", []string{vex("a", `{"vulnerability":{"name":"CVE-2026-2"},`+notAffected+`,`+ofPackage+`}`)}, false},
		{"another package", []string{vex("a", says(notAffected, `"products":[{"@id":"pkg:deb/debian/curl"}]`))}, false},
		{"a package of another distribution", []string{vex("a", says(notAffected, `"products":[{"@id":"pkg:deb/ubuntu/openssl"}]`))}, false},
		{"the version", []string{vex("a", says(notAffected, `"products":[{"@id":"pkg:deb/debian/openssl@3.0.1-1"}]`))}, true},
		{"another version", []string{vex("a", says(notAffected, `"products":[{"@id":"pkg:deb/debian/openssl@3.0.1"}]`))}, false},
		{"the architecture", []string{vex("a", says(notAffected, `"products":[{"@id":"pkg:deb/debian/openssl?arch=amd64"}]`))}, true},
		{"another architecture", []string{vex("a", says(notAffected, `"products":[{"@id":"pkg:deb/debian/openssl?arch=arm64"}]`))}, false},
		{"a part of the package", []string{vex("a", says(notAffected, `"products":[{"@id":"pkg:deb/debian/openssl#lib"}]`))}, false},
		{"one of several products", []string{vex("a", says(notAffected, `"products":[{"@id":"pkg:deb/debian/curl"},{"identifiers":{"purl":"pkg:deb/debian/openssl"}}]`))}, true},
		{"the image, by its digest", []string{vex("a", says(notAffected, `"products":[{`+oci(child)+`}]`))}, true},
		{"the index, by its digest", []string{vex("a", says(notAffected, `"products":[{`+oci(root)+`}]`))}, true},
		{"another image", []string{vex("a", says(notAffected, `"products":[{`+oci(digest(9))+`}]`))}, false},
		{"an image by its name alone", []string{vex("a", says(notAffected, `"products":[{"@id":"pkg:oci/app"}]`))}, false},
		{"the image, by its hash", []string{vex("a", says(notAffected, `"products":[{`+hash(child)+`}]`))}, true},
		{"another hash", []string{vex("a", says(notAffected, `"products":[{`+hash(digest(9))+`}]`))}, false},
		{"a package of the image", []string{vex("a", says(notAffected, `"products":[{`+oci(child)+`,`+part+`}]`))}, true},
		{"a package of another image", []string{vex("a", says(notAffected, `"products":[{`+oci(digest(9))+`,`+part+`}]`))}, false},
		{"another package of the image", []string{vex("a", says(notAffected, `"products":[{`+oci(child)+`,"subcomponents":[{"@id":"pkg:deb/debian/curl"}]}]`))}, false},
		{"a package of a package, which is not looked at", []string{vex("a", says(notAffected, `"products":[{"@id":"pkg:deb/debian/openssl",`+part+`}]`))}, false},
		{"something that has no name here", []string{vex("a", says(notAffected, `"products":[{"@id":"https://example.com/app"}]`))}, false},
		{"a later statement that it is affected", []string{vex("a", says(notAffected, ofPackage), says(`"status":"affected","timestamp":"2026-03-02T00:00:00Z"`, ofPackage))}, false},
		{"an earlier statement that it is affected", []string{vex("a", says(notAffected, ofPackage), says(`"status":"affected","timestamp":"2026-02-02T00:00:00Z"`, ofPackage))}, true},
		{"a later statement of another document", []string{vex("a", says(`"timestamp":"2026-03-09T00:00:00Z"`, notAffected, ofPackage)), vex("b", says(`"status":"affected"`, ofPackage))}, true},
		{"two at the same time", []string{vex("a", says(notAffected, ofPackage), says(`"status":"under_investigation"`, ofPackage))}, false},
		{"two at the same time, the other way round", []string{vex("a", says(`"status":"under_investigation"`, ofPackage), says(notAffected, ofPackage))}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := parse(t, "", tt.documents...).Judge(root, []result.Vulnerability{openssl()}, now)
			if got := suppressed(j) == 1; got != tt.want {
				t.Errorf("suppressed %t, want %t", got, tt.want)
			}
		})
	}
	j := parse(t, "", vex("https://example.com/vex-1", says(notAffected, `"impact_statement":"no caller"`, ofPackage))).Judge(root, []result.Vulnerability{openssl()}, now)
	want := &result.Ignored{Reason: "not_affected: vulnerable_code_not_in_execute_path: no caller", By: "https://example.com/vex-1"}
	if diff := cmp.Diff(want, j.Vulnerabilities[0].Ignored); diff != "" {
		t.Errorf("ignored (-want +got):\n%s", diff)
	}
	if text := j.Findings[0].Message; text != "ignored vulnerabilities: 1 by https://example.com/vex-1: DSA-1 in openssl" {
		t.Errorf("told is %q", text)
	}
	// A package without a URL is one that nobody spoke of.
	bare := openssl(func(v *result.Vulnerability) { v.Package.PURL = "" })
	if j := parse(t, "", vex("a", says(notAffected, `"products":[{"@id":"https://example.com/x"}]`))).Judge(root, []result.Vulnerability{bare}, now); suppressed(j) != 0 {
		t.Error("suppressed without a package URL")
	}
}

// What is not exactly a policy is an error that names the place: one that is
// misread would pass images.
func TestParseRefuses(t *testing.T) {
	const entry = "ignore:\n- {id: CVE-2026-1, reason: x, expires: never}\n"
	tests := []struct{ name, text, want string }{
		{"a field that is not known", "failOn: [high]\nfail: [low]\n", "line 2: field fail not found (accepted are failOn, onlyIfFixed, rules, exceptions and ignore"},
		{"a field of an entry that is not known", "ignore:\n- id: CVE-2026-1\n  reson: x\n", "line 3: field reson not found"},
		{"a level that is not known", "failOn: [high, terrible]", `failOn (line 1): unknown level "terrible"; accepted are ["critical"`},
		{"a level in other letters", "failOn: [High]", `unknown level "High"`},
		{"a level twice", "failOn: [high, high]", "listed twice"},
		{"a word for a list", "\nfailOn: high", "failOn (line 2): write a list of"},
		{"lists in a list", "failOn: [[high]]", "failOn (line 1): write a list of"},
		{"malware to be ignored", "ignore:\n- {id: MAL-2024-1, reason: x, expires: never}", `ignore, entry 1 (line 2): id "MAL-2024-1" is known malware, which cannot be waived`},
		{"malware in other letters", "ignore:\n- {id: mal-2024-1, reason: x, expires: never}", "is known malware"},
		{"a word for a truth", "\nonlyIfFixed: maybe", "onlyIfFixed (line 2): accepted are true, false, or a list"},
		{"a level of fixes that is not known", "onlyIfFixed: [hi]", `onlyIfFixed (line 1): unknown level "hi"`},
		{"a map of fixes", "onlyIfFixed: {high: true}", "accepted are true"},
		{"two documents", "failOn: [high]\n---\nfailOn: []\n", "more than one"},
		{"no YAML", "\tx", "cannot read the policy: yaml: "},
		{"a key twice", "failOn: [high]\nfailOn: []\n", "already defined at line 1"},
		{"an entry without an id", entry + "- {reason: x, expires: never}", "ignore, entry 2 (line 3): id is missing"},
		{"an id that is none", "ignore:\n- {id: 'CVE 1', reason: x, expires: never}", `(line 2): id "CVE 1" is not the name`},
		{"a pattern of ids", "ignore:\n- {id: 'CVE-*', reason: x, expires: never}", `id "CVE-*" is not the name`},
		{"everything", "ignore:\n- {id: '*', reason: x, expires: never}", "would ignore everything"},
		{"no reason", "ignore:\n- {id: CVE-2026-1, expires: never}", "reason is missing"},
		{"a reason of blanks", "ignore:\n- {id: CVE-2026-1, reason: ' ', expires: never}", "reason is missing"},
		{"a novel", "ignore:\n- {id: CVE-2026-1, expires: never, reason: " + strings.Repeat("x", 501) + "}", "reason has 501 bytes"},
		{"no expiry", "ignore:\n- {id: CVE-2026-1, reason: x}", "expires is missing; write its last day like 2026-06-30, or never"},
		{"an expiry that is none", "ignore:\n- {id: CVE-2026-1, reason: x, expires: 30.6.2026}", `expires is "30.6.2026"`},
		{"a day that is none", "ignore:\n- {id: CVE-2026-1, reason: x, expires: 2026-02-30}", `expires is "2026-02-30"`},
		{"an empty pattern", "ignore:\n- {id: CVE-2026-1, reason: x, expires: never, packages: ['']}", "pattern"},
		{"a pattern that was left out", "ignore:\n- {id: CVE-2026-1, reason: x, expires: never, packages: [~]}", "packages (line 2): write a list of one or more words"},
		{"one of two patterns left out", "ignore:\n- id: CVE-2026-1\n  reason: x\n  expires: never\n  packages:\n  - openssl\n  - # zlib\n", "packages (line 6): write a list"},
		{"no patterns in the list", "ignore:\n- {id: CVE-2026-1, reason: x, expires: never, packages: []}", "packages (line 2): write a list"},
		{"nothing where patterns belong", "ignore:\n- {id: CVE-2026-1, reason: x, expires: never, packages: }", "packages (line 2): write a list"},
		{"subjects that were left out", "exceptions:\n- {rules: [no-packages], images: [a.b/c], reason: x, owner: y, expires: never, subjects: [~]}", "subjects (line 2): write a list"},
		{"a level that was left out", "failOn:\n- # critical\n", "failOn (line 2): write a list of"},
		{"one of two levels left out", "failOn: [critical, ~]", "failOn (line 1): write a list of"},
		{"a level of fixes that was left out", "onlyIfFixed: [~]", "onlyIfFixed (line 1): write a list of"},
		{"a day before all days", "ignore:\n- {id: CVE-2026-1, reason: x, expires: '0000-12-31'}", `expires is "0000-12-31"`},
		{"too much", strings.Repeat("#", policy.MaxFile+1), "the limit is 262144"},
		{"too many", "ignore:\n" + strings.Repeat("- {id: CVE-2026-1, reason: x, expires: never}\n", 1001), "ignores 1001"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := policy.Parse([]byte(tt.text), nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "policy.") {
				t.Errorf("error %v, want %q in one line", err, tt.want)
			}
		})
	}
}

// What is not exactly an OpenVEX document is an error that names document and place.
func TestOpenVEXRefuses(t *testing.T) {
	good := vex("a", says(notAffected, ofPackage))
	replace := func(old, by string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in %s", old, good)
		}
		return strings.Replace(good, old, by, 1)
	}
	tests := []struct{ name, text, want string }{
		{"nothing", "", "EOF"},
		{"half a document", "{\n\"@id\":\"a\",\n", "line 2"},
		{"two documents", good + good, "more data follows the document"},
		{"a field that is not known", strings.Replace(good, `"author"`, "\n\"writer\"", 1), "line 2: json: unknown field \"writer\""},
		{"another format", replace("v0.2.0", "v0.0.1"), "@context is"},
		{"no id", replace(`"@id":"a",`, ""), "must have @id"},
		{"no author", replace(`"author":"us",`, ""), "must have @id, author"},
		{"no version", replace(`"version":1,`, ""), "version of 1"},
		{"no time", replace(`"timestamp":"2026-03-01T00:00:00Z",`, ""), "timestamp is missing"},
		{"a time that is none", replace("2026-03-01T00:00:00Z", "yesterday"), "parsing time"},
		{"no statements", vex("a"), "no statements"},
		{"no vulnerability", replace(`"name":"CVE-2026-1"`, ""), `statement 1: vulnerability.name ""`},
		{"no status", replace(`"status":"not_affected",`, ""), `statement 1: unknown status ""`},
		{"another status", replace(`not_affected`, "wontfix"), `unknown status "wontfix"`},
		{"no justification", replace(`,"justification":"vulnerable_code_not_in_execute_path"`, ""), "needs a justification"},
		{"another justification", replace("vulnerable_code_not_in_execute_path", "trust_me"), `unknown justification "trust_me"`},
		{"no products", replace(`,`+ofPackage, ""), "products is missing"},
		{"a package URL that is none", replace("pkg:deb/debian/openssl", "pkg:deb"), `product 1: "pkg:deb" is not a package URL`},
		{"a subcomponent that is none", replace(`"pkg:deb/debian/openssl"`, `"x","subcomponents":[{"@id":"pkg:"}]`), "product 1: subcomponent 1"},
		{"a hash that is none", replace(`"@id":"pkg:deb/debian/openssl"`, `"hashes":{"sha-256":"x"}`), "sha-256"},
		{"too much", good + strings.Repeat(" ", policy.MaxDocument), "the limit is 1048576"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := policy.Parse(nil, map[string][]byte{"x.vex.json": []byte(tt.text)})
			if err == nil || !strings.Contains(err.Error(), `"x.vex.json"`) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// A ConfigMap that is not there is the default; documents beside the policy count,
// and what cannot be read is no policy at all.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "policy.yaml")
	severity := func(path string) string {
		t.Helper()
		p, err := policy.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(p.Judge(root, []result.Vulnerability{openssl(level(result.LevelMedium))}, now).Findings[0].Severity)
	}
	for _, missing := range []string{path, filepath.Join(dir, "no", "policy.yaml")} {
		if got := severity(missing); got != "warning" {
			t.Errorf("without a policy: %s", got)
		}
	}
	write("policy.yaml", "failOn: [medium]")
	if got := severity(path); got != "error" {
		t.Errorf("with a policy: %s", got)
	}
	write("a.openvex.json", vex("a", says(notAffected, ofPackage)))
	write(".b.vex.json", "x")
	write("c.json", "x")
	p, err := policy.Load(path)
	if err != nil || suppressed(p.Judge(root, []result.Vulnerability{openssl()}, now)) != 1 {
		t.Errorf("with a document: %v", err)
	}
	write("d.vex.json", "x")
	if _, err := policy.Load(path); err == nil || !strings.Contains(err.Error(), `"d.vex.json"`) {
		t.Errorf("with a broken document: %v", err)
	}
	if _, err := policy.Load(dir); err == nil {
		t.Error("a directory is no policy")
	}
}

// The policy that is delivered is the default, written out, and its examples are
// entries that can be read.
func TestDeliveredPolicy(t *testing.T) {
	raw, err := os.ReadFile("../../../triggers/210-scan-policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var delivered struct{ Data map[string]string }
	if err := yaml.Unmarshal(raw, &delivered); err != nil {
		t.Fatal(err)
	}
	text := delivered.Data["policy.yaml"]
	p := parse(t, text)
	if diff := cmp.Diff(policy.Default(), p, cmp.AllowUnexported(policy.Policy{}), cmpopts.IgnoreFields(policy.Policy{}, "part")); diff != "" {
		t.Errorf("policy (-default +delivered):\n%s", diff)
	}
	// The examples, read as if they were not comments.
	for _, list := range []string{"exceptions: []", "ignore: []"} {
		if !strings.Contains(text, list) {
			t.Fatalf("%q is not in the policy", list)
		}
		text = strings.Replace(text, list, strings.TrimSuffix(list, " []"), 1)
	}
	text = regexp.MustCompile(`(?m)^# (-|  )`).ReplaceAllString(text, "$1")
	p = parse(t, text)
	v := openssl(func(v *result.Vulnerability) { v.ID, v.Package.Name = "CVE-2026-1234", "linux-libc-dev" })
	j := p.Judge(root, []result.Vulnerability{v}, now)
	if suppressed(j) != 1 || j.Vulnerabilities[0].Ignored.Reason != "headers only; the kernel is the node's" {
		t.Errorf("with the examples: %+v", j)
	}
	d := p.Gap(result.RuleNoPackages, "", "registry.example.com/team-c/tool@"+root.String(), now)
	if d.Severity != result.SeverityWarning || d.Waiver.Owner != "team-c@example.com" {
		t.Errorf("with the examples: %+v", d)
	}
}

// Every rule of what nobody looked at stands in the policy that is delivered, so that
// whoever reads it sees what there is.
func TestDeliveredPolicyNamesEveryRule(t *testing.T) {
	raw, err := os.ReadFile("../../../triggers/210-scan-policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range policy.Rules() {
		if !strings.Contains(string(raw), "\n      "+rule+": fail ") {
			t.Errorf("%s is not there", rule)
		}
	}
}
