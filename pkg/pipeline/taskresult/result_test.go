package taskresult_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
)

func digest(n int) image.Digest {
	d, err := image.ParseDigest(fmt.Sprintf("sha256:%064x", n))
	if err != nil {
		panic(err)
	}
	return d
}

func treeOf(architectures ...string) oci.Tree {
	tree := oci.Tree{Root: oci.Descriptor{Digest: digest(1)}}
	for i, a := range architectures {
		tree.Images = append(tree.Images, oci.Image{
			Manifest: oci.Descriptor{Digest: digest(10 + i)},
			Config:   oci.Config{Platform: oci.Platform{OS: "linux", Architecture: a}},
		})
	}
	return tree
}

func reportOf(check string, tree oci.Tree, found ...result.Finding) result.Report {
	r := result.Report{Check: check, Digest: tree.Root.Digest, Rules: 4, Findings: found}
	for _, i := range tree.Images {
		r.Images = append(r.Images, result.CheckedImage{Platform: i.Config.String(), Digest: i.Manifest.Digest})
	}
	return r
}

func finding(severity result.Severity, level, rule, platform string) result.Finding {
	return result.Finding{Rule: rule, Severity: severity, Level: level, Platform: platform, Message: rule + " does not hold"}
}

var sameDigests = cmpopts.EquateComparable(image.Digest{})

var (
	time0   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	longest = strings.Repeat("a", 180) + "@" + digest(9).String()
)

// What a Task tells is what its checks found, worst first, with what is the same
// on several platforms told once and all but the worst vulnerabilities counted.
func TestOf(t *testing.T) {
	tree := treeOf("amd64", "arm64")
	for i := range tree.Images {
		tree.Images[i].Manifest.Platform = &tree.Images[i].Config.Platform
	}
	tree.Unselected = []oci.Descriptor{{}}
	asOf := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	scan := reportOf("scan", tree,
		finding(result.SeverityWarning, "low", "CVE-5", "linux/amd64"),
		finding(result.SeverityError, "high", "CVE-3", "linux/amd64"),
		finding(result.SeverityError, "critical", "CVE-1", "linux/amd64"),
		finding(result.SeverityError, "critical", "CVE-1", "linux/arm64"),
		finding(result.SeverityError, "high", "CVE-2", "linux/amd64"),
		finding(result.SeverityError, "high", "CVE-4", "linux/amd64"))
	scan.Database = &result.Database{Digest: digest(7), AsOf: asOf}
	scan.Levels = map[string]int{"critical": 2, "high": 3, "medium": 0, "low": 1}
	validated := reportOf("validate", tree, finding(result.SeverityWarning, "", "size", "linux/amd64"), finding(result.SeverityError, "", "non-root", "linux/arm64"))
	validated.Unapplied = []string{"forbidden-packages"}
	got, err := taskresult.Of(tree, []string{"validate", "scan", "signature"}, []string{"signature"}, []result.Report{validated, scan})
	if err != nil {
		t.Fatal(err)
	}
	want := taskresult.Result{
		Digest:    digest(1),
		Images:    &taskresult.Images{N: 2, Hash: got.Images.Hash, Unselected: 1},
		Platforms: []string{"linux/amd64", "linux/arm64"},
		Checks:    []taskresult.Check{{Name: "validate", Rules: 4, Unapplied: 1}, {Name: "scan", Rules: 4}, {Name: "signature", Off: true}},
		Errors:    6, Warnings: 2, Omitted: 2,
		Levels: map[string]int{"critical": 2, "high": 3, "low": 1},
		Findings: []taskresult.Finding{
			{Check: "validate", Rule: "non-root", Severity: "error", Platform: "linux/arm64", Message: "non-root does not hold"},
			{Check: "scan", Rule: "CVE-1", Severity: "error", Level: "critical", Platform: "linux/amd64,linux/arm64", Message: "CVE-1 does not hold", Times: 2},
			{Check: "scan", Rule: "CVE-3", Severity: "error", Level: "high", Platform: "linux/amd64", Message: "CVE-3 does not hold"},
			{Check: "scan", Rule: "CVE-2", Severity: "error", Level: "high", Platform: "linux/amd64", Message: "CVE-2 does not hold"},
			{Check: "validate", Rule: "size", Severity: "warning", Platform: "linux/amd64", Message: "size does not hold"},
		},
		Database: &result.Database{Digest: digest(7), AsOf: asOf},
	}
	if diff := cmp.Diff(want, got, sameDigests); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	got.Published("registry.example.com/team/app@"+digest(9).String(), digest(5))
	text, err := got.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := taskresult.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, again, sameDigests); diff != "" {
		t.Errorf("as read again (-want +got):\n%s", diff)
	}
}

// No outcome is made of what did not look at everything.
func TestOfRefuses(t *testing.T) {
	tree := treeOf("amd64", "arm64")
	partial := reportOf("validate", tree)
	partial.Images = partial.Images[:1]
	other := reportOf("validate", tree)
	other.Digest = digest(2)
	idle := reportOf("validate", tree)
	idle.Rules = 0
	odd := reportOf("validate", tree)
	odd.Levels = map[string]int{"terrible": 1}
	first, second := reportOf("validate", tree), reportOf("scan", tree)
	first.Database, second.Database = &result.Database{}, &result.Database{}
	tests := []struct {
		name    string
		expect  []string
		off     []string
		reports []result.Report
		want    string
	}{
		{"a check that did not report", []string{"validate", "scan"}, nil, []result.Report{reportOf("validate", tree)}, `check "scan": no report`},
		{"a check that did not report while another is off", []string{"validate", "scan"}, []string{"validate"}, nil, `check "scan": no report`},
		{"no check expected", nil, nil, []result.Report{reportOf("validate", tree)}, "no check is expected"},
		{"a report that nobody expects", []string{"validate"}, []string{"scan"}, []result.Report{reportOf("validate", tree), reportOf("scan", tree)}, "add it to --expect"},
		{"a report twice", []string{"validate"}, nil, []result.Report{reportOf("validate", tree), reportOf("validate", tree)}, "reported twice"},
		{"a report on something else", []string{"validate"}, nil, []result.Report{other}, "fetch pulled " + digest(1).String()},
		{"a report that leaves an image out", []string{"validate"}, nil, []result.Report{partial}, "(linux/arm64)"},
		{"a report of no rule", []string{"validate"}, nil, []result.Report{idle}, "no rule"},
		{"a finding without severity", []string{"validate"}, nil, []result.Report{reportOf("validate", tree, finding("", "", "x", ""))}, "unknown severity"},
		{"a level that is none", []string{"validate"}, nil, []result.Report{odd}, `level "terrible"`},
		{"two databases", []string{"validate", "scan"}, nil, []result.Report{first, second}, "another check used a database"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := taskresult.Of(tree, tt.expect, tt.off, tt.reports)
			if err == nil || !strings.Contains(err.Error(), tt.want) || len(got.Checks) > 0 {
				t.Errorf("outcome %+v, error %v; want none and %q", got, err, tt.want)
			}
		})
	}
}

// A report that was not pushed is told of, in what fits, and Tekton finds
// nothing to replace in what came from elsewhere.
func TestWithheld(t *testing.T) {
	o, err := taskresult.Of(treeOf("amd64"), []string{"validate"}, nil, []result.Report{
		reportOf("validate", treeOf("amd64"), finding(result.SeverityError, "", "$(params.reference) $(HOME)", ""))})
	if err != nil {
		t.Fatal(err)
	}
	o.Withheld(errors.New("AccessDenied: \"\\\n" + strings.Repeat("x", 5000)))
	text, err := o.Encode()
	if err != nil || strings.Contains(text, "$") {
		t.Fatalf("%v: %s", err, text)
	}
	again, err := taskresult.Decode(text)
	if err != nil || again.Findings[0].Rule != "$(params.reference) $(HOME)" || !strings.HasPrefix(again.Unpublished, "AccessDenied: \"\\ xxx") {
		t.Errorf("%v: %+v", err, again)
	}
}

// What is not exactly an outcome is an error: one that is misread would pass.
func TestDecodeRefuses(t *testing.T) {
	const sum = `"images":{"n":1,"hash":"00000000000000000000000000000000"}`
	base := `{"digest":"` + digest(1).String() + `",` + sum + `,"checks":[{"name":"validate","rules":1}]`
	if _, err := taskresult.Decode(base + "}"); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, text, want string }{
		{"nothing", " ", "did not finish"},
		{"half an outcome", base, "decode outcome"},
		{"a Task's result that was not replaced", "$(tasks.scan-image.results.outcome)", "decode outcome"},
		{"another field", base + `,"passed":true}`, "unknown field"},
		{"two documents", base + "}{}", "more data follows"},
		{"no digest", `{"checks":[{"name":"validate","rules":1}]}`, "the checked digest"},
		{"no check", `{"digest":"` + digest(1).String() + `","checks":[]}`, "no check"},
		{"a check twice", strings.Replace(base, `"checks":[`, `"checks":[{"name":"validate","rules":1},`, 1) + "}", "twice"},
		{"a check of no rule", strings.Replace(base, `,"rules":1`, "", 1) + "}", "applied 0 rules"},
		{"a check that is off and has rules", strings.Replace(base, `"rules":1`, `"rules":1,"off":true`, 1) + "}", "applied 1 rules"},
		{"no image", strings.Replace(base, `"n":1`, `"n":0`, 1) + "}", "0 images"},
		{"a hash that is none", strings.Replace(base, `"hash":"00`, `"hash":"`, 1) + "}", "under the hash"},
		{"errors that are not listed or omitted", base + `,"errors":1}`, "counts 1 errors"},
		{"an error that is listed and not counted", base + `,"warnings":1,"findings":[{"check":"validate","rule":"r","severity":"error","message":"m"}]}`, "counts 0 errors"},
		{"a finding of no severity", base + `,"warnings":1,"findings":[{"check":"validate","rule":"r","severity":"","message":"m"}]}`, "counts 0 errors and 1 warnings"},
		{"a finding of another check", base + `,"errors":1,"findings":[{"check":"scan","rule":"r","severity":"error","message":"m"}]}`, "which did not report"},
		{"a level that is none", base + `,"levels":{"terrible":1}}`, `level "terrible"`},
		{"a negative count", base + `,"errors":-1,"warnings":1}`, "a negative count"},
		{"a database without a time", base + `,"database":{"digest":"` + digest(2).String() + `","asOf":"0001-01-01T00:00:00Z"}}`, "no time"},
		{"a state of signatures that is none", base + `,"signature":"good"}`, "unknown signature state"},
		{"a report that is no reference", base + `,"report":"$(x)"}`, "not the reference"},
		{"too much", base + strings.Repeat(" ", 5000) + "}", "larger than 4096 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := taskresult.Decode(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("outcome %+v, error %v; want %q", got, err, tt.want)
			}
		})
	}
}

// A vulnerability of several packages is one of the worst, at the worst of the levels
// that distributors give it, and counted for each.
func TestWorstNamesAVulnerabilityOnce(t *testing.T) {
	v := func(rule, level, message string) taskresult.Finding {
		return taskresult.Finding{Check: "scan", Rule: rule, Severity: result.SeverityError, Level: level, Platform: "linux/amd64", Message: message}
	}
	got := taskresult.Worst([]taskresult.Finding{
		v("A", "low", "curl 1"), v("A", "high", "libcurl4 1"), v("A", "unknown", "curl 2"), v("B", "high", "x"), v("C", "low", "x"), v("D", "unknown", "x"),
	})
	want := []taskresult.Finding{v("A", "high", "libcurl4 1"), v("B", "high", "x"), v("C", "low", "x")}
	want[0].Times = 3
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("worst (-want +got):\n%s", diff)
	}
}

// An image of an index is for what the index says, whatever it claims itself; a platform of
// which the index has an image that nobody looked at is not told, however it is spelled.
func TestPlatformsAreThoseThatWereLookedAt(t *testing.T) {
	type images []struct{ index, claim string }
	at := func(s string) *oci.Platform {
		if s == "" {
			return nil
		}
		parts := append(strings.Split(s, " "), "", "")
		return &oci.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
	}
	for _, test := range []struct {
		name       string
		looked     images
		unselected []string
		want       []string
	}{
		{"a single image", images{{"", "linux arm64 v8"}}, nil, []string{"linux/arm64/v8"}},
		{"an index", images{{"linux amd64", "linux amd64"}, {"linux arm v7", "linux arm"}}, []string{"linux s390x"}, []string{"linux/amd64", "linux/arm/v7"}},
		{"a claim of another platform", images{{"linux amd64", "linux arm64"}}, []string{"linux arm64"}, []string{"linux/amd64"}},
		{"a claim of another platform, with all looked at", images{{"linux amd64", "linux arm64"}}, nil, []string{"linux/amd64"}},
		{"an image without a platform", images{{"", "linux arm64"}, {"linux amd64", "linux amd64"}}, []string{"linux arm64"}, []string{"linux/amd64"}},
		{"one without a platform, and another that was not looked at", images{{"", "linux arm64"}, {"linux amd64", "linux amd64"}}, []string{""}, []string{"linux/amd64"}},
		{"an image without a platform, with all looked at", images{{"", "linux arm64"}}, nil, []string{"linux/arm64"}},
		{"an image of a nested index", images{{"linux amd64", "linux amd64"}, {"linux 386", "linux 386"}}, []string{"linux 386"}, []string{"linux/amd64"}},
		{"another spelling", images{{"linux arm", "linux arm"}}, []string{"linux arm v7"}, nil},
		{"upper case", images{{"linux amd64", "linux amd64"}}, []string{"Linux x86_64"}, nil},
		{"a slash in the name", images{{"linux amd64", "linux amd64"}, {"linux arm64", ""}}, []string{"linux/amd64 v1"}, []string{"linux/arm64"}},
		{"one that was not looked at and has no platform", images{{"linux amd64", "linux amd64"}}, []string{""}, []string{"linux/amd64"}},
	} {
		tree := treeOf()
		for i, looked := range test.looked {
			img := oci.Image{Manifest: oci.Descriptor{Digest: digest(10 + i), Platform: at(looked.index)}}
			if claim := at(looked.claim); claim != nil {
				img.Config.Platform = *claim
			}
			tree.Images = append(tree.Images, img)
		}
		for i, platform := range test.unselected {
			tree.Unselected = append(tree.Unselected, oci.Descriptor{Digest: digest(50 + i), Platform: at(platform)})
		}
		o, err := taskresult.Of(tree, []string{"scan"}, nil, []result.Report{reportOf("scan", tree)})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, o.Platforms); diff != "" {
			t.Errorf("%s: platforms (-want +got):\n%s", test.name, diff)
		}
	}
}
