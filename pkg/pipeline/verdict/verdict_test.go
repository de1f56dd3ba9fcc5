package verdict_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
	"github.com/revet-dev/revet/pkg/pipeline/verdict"
	"github.com/revet-dev/revet/pkg/runresult"
)

func digest(n int) image.Digest {
	d, err := image.ParseDigest(fmt.Sprintf("sha256:%064x", n))
	if err != nil {
		panic(err)
	}
	return d
}

func treeOf(platforms ...string) oci.Tree {
	tree := oci.Tree{Root: oci.Descriptor{Digest: digest(1)}}
	for i, p := range platforms {
		tree.Images = append(tree.Images, oci.Image{
			Manifest: oci.Descriptor{Digest: digest(10 + i)},
			Config:   oci.Config{Platform: oci.Platform{OS: "linux", Architecture: p}},
		})
	}
	return tree
}

// reportOf is a report of check that looked at all of tree.
func reportOf(check string, tree oci.Tree, findings ...result.Finding) result.Report {
	r := result.Report{Check: check, Digest: tree.Root.Digest, Rules: 4, Findings: findings}
	for _, i := range tree.Images {
		r.Images = append(r.Images, result.CheckedImage{Platform: i.Config.String(), Digest: i.Manifest.Digest})
	}
	return r
}

func finding(severity result.Severity, rule string) result.Finding {
	return result.Finding{Rule: rule, Severity: severity, Platform: "linux/amd64", Digest: digest(10), Message: "it is so"}
}

// Pass needs every expected check to have looked at everything and to have
// found no error; all else is fail, or no verdict at all.
func TestJoin(t *testing.T) {
	tree := treeOf("amd64", "arm64")
	partial := reportOf("validate", tree)
	partial.Images = partial.Images[:1]
	other := reportOf("validate", tree)
	other.Digest = digest(2)
	idle := reportOf("validate", tree)
	idle.Rules = 0
	tests := []struct {
		name    string
		expect  []string
		reports []result.Report
		want    verdict.Value
		err     string
	}{
		{"nothing found", []string{"validate"}, []result.Report{reportOf("validate", tree)}, verdict.Pass, ""},
		{"a warning", []string{"validate"}, []result.Report{reportOf("validate", tree, finding(result.SeverityWarning, "w"))}, verdict.Pass, ""},
		{"an error", []string{"validate"}, []result.Report{reportOf("validate", tree, finding(result.SeverityError, "e"))}, verdict.Fail, ""},
		{"an error of the second of two checks", []string{"validate", "scan"}, []result.Report{reportOf("validate", tree), reportOf("scan", tree, finding(result.SeverityError, "e"))}, verdict.Fail, ""},
		{"a check that did not report", []string{"validate", "scan"}, []result.Report{reportOf("validate", tree)}, "", `check "scan": no report`},
		{"no report at all", []string{"validate"}, nil, "", "no report"},
		{"no check expected", nil, []result.Report{reportOf("validate", tree)}, "", "no check is expected"},
		{"a report that nobody expects", []string{"validate"}, []result.Report{reportOf("validate", tree), reportOf("scan", tree)}, "", "add it to --expect"},
		{"a report twice", []string{"validate"}, []result.Report{reportOf("validate", tree), reportOf("validate", tree)}, "", "reported twice"},
		{"a report on something else", []string{"validate"}, []result.Report{other}, "", "fetch pulled " + digest(1).String()},
		{"a report that leaves an image out", []string{"validate"}, []result.Report{partial}, "", "(linux/arm64)"},
		{"a report of no rule", []string{"validate"}, []result.Report{idle}, "", "no rule"},
		{"a finding without severity", []string{"validate"}, []result.Report{reportOf("validate", tree, finding("", "x"))}, "", "unknown severity"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := verdict.Join(tree, tt.expect, tt.reports)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || got.Value != "" {
					t.Errorf("verdict %q, error %v; want none and %q", got.Value, err, tt.err)
				}
				return
			}
			if err != nil || got.Value != tt.want || got.Digest != digest(1) {
				t.Errorf("verdict %q on %s, error %v; want %q on %s", got.Value, got.Digest, err, tt.want, digest(1))
			}
		})
	}
}

// The summary counts everything and lists errors before warnings.
func TestSummary(t *testing.T) {
	tree := treeOf("amd64", "arm64")
	v, err := verdict.Join(tree, []string{"validate"}, []result.Report{
		reportOf("validate", tree, finding(result.SeverityWarning, "title"), finding(result.SeverityError, "non-root")),
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := v.Summary.Encode()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"counts":{"images":2,"checks":1,"rules":4,"errors":1,"warnings":1},` +
		`"findings":[{"check":"validate","rule":"non-root","severity":"error","platform":"linux/amd64","message":"it is so"},` +
		`{"check":"validate","rule":"title","severity":"warning","platform":"linux/amd64","message":"it is so"}],` +
		`"platforms":["linux/amd64","linux/arm64"]}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

// However much was found, and whatever it is called, all results together fit
// the message of 4096 bytes that Tekton carries them in, and nothing is left
// uncounted.
func TestResultsFitTektonsMessage(t *testing.T) {
	for name, text := range map[string]string{
		"plain":   strings.Repeat("a", 5000),
		"quotes":  strings.Repeat(`"\`, 2500),
		"markup":  strings.Repeat("<&>", 2000),
		"control": strings.Repeat("\x00\x1b[31m", 1000),
		"unicode": strings.Repeat("\U0001f433\u2028", 1000),
		"broken":  strings.Repeat("\xff\xfe", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			var platforms []string
			for range 100 {
				platforms = append(platforms, text)
			}
			tree := treeOf(platforms...)
			var findings []result.Finding
			for range 500 {
				findings = append(findings, result.Finding{Rule: text, Severity: result.SeverityError, Platform: text, Message: text})
			}
			v, err := verdict.Join(tree, []string{"validate"}, []result.Report{reportOf("validate", tree, findings...)})
			if err != nil {
				t.Fatal(err)
			}
			if n := taskresult.Stand(v.Summary.Findings) + v.Summary.Omitted; n != 500 || v.Summary.Counts.Errors != 500 {
				t.Errorf("listed and omitted are %d, counted %d; want 500", n, v.Summary.Counts.Errors)
			}
			if len(v.Summary.Findings) == 0 {
				t.Error("no finding is listed")
			}
			dir := t.TempDir()
			if err := verdict.Write(dir, v); err != nil {
				t.Fatal(err)
			}
			if n := messageSize(t, dir); n > 4096 {
				t.Errorf("the message has %d bytes", n)
			}
			summary, err := fs.ReadFile(os.DirFS(dir), runresult.Summary)
			if err != nil || len(summary) > runresult.MaxSummary || !json.Valid(summary) {
				t.Errorf("summary of %d bytes, valid %t, error %v", len(summary), json.Valid(summary), err)
			}
		})
	}
}

// messageSize is the size of Tekton's message for the results in dir, with the
// start time that Tekton adds.
func messageSize(t *testing.T, dir string) int {
	t.Helper()
	type result struct {
		Key   string `json:"key"`
		Value string `json:"value"`
		Type  int    `json:"type"`
	}
	all := []result{{"StartedAt", "2026-03-01T12:00:00.000Z", 3}}
	for _, name := range []string{runresult.Verdict, runresult.Digest, runresult.Summary, runresult.BasisResult, runresult.Report} {
		b, err := fs.ReadFile(os.DirFS(dir), name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, result{name, string(b), 1})
	}
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return len(b)
}

// What is no verdict writes nothing.
func TestWriteRefusesTheZeroValue(t *testing.T) {
	dir := t.TempDir()
	for _, v := range []verdict.Verdict{{}, {Value: "maybe", Digest: digest(1)}, {Value: verdict.Pass}} {
		if err := verdict.Write(dir, v); err == nil {
			t.Errorf("%+v was written", v)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("results are there: %v %v", left, err)
	}
}

// The reason of a failed step is one bounded line.
func TestWriteError(t *testing.T) {
	dir := t.TempDir()
	if err := verdict.WriteError(dir, errors.New("first\nsecond\x07 "+strings.Repeat("x", 9000))); err != nil {
		t.Fatal(err)
	}
	b, err := fs.ReadFile(os.DirFS(dir), runresult.Error)
	if err != nil || !strings.HasPrefix(string(b), "first second? xxx") || len(b) > 1000 {
		t.Errorf("error result is %q (%v)", b, err)
	}
}

// However it is quoted, the reason of a failed step is not cut.
func TestErrorsFitTheirPartOfThePod(t *testing.T) {
	for _, text := range []string{strings.Repeat("<&>", 2000), strings.Repeat(`"\`, 2000), strings.Repeat("\U0001f433", 2000)} {
		dir := t.TempDir()
		if err := verdict.WriteError(dir, errors.New(text)); err != nil {
			t.Fatal(err)
		}
		b, err := fs.ReadFile(os.DirFS(dir), runresult.Error)
		if err != nil {
			t.Fatal(err)
		}
		quoted, err := json.Marshal(string(b))
		if err != nil || len(quoted) > 1200 || len(b) < 100 {
			t.Errorf("%d bytes, quoted %d, %v", len(b), len(quoted), err)
		}
	}
}

// outcomeOf is what a Task tells whose checks looked at all of tree.
func outcomeOf(t *testing.T, tree oci.Tree, check string, found ...result.Finding) taskresult.Result {
	t.Helper()
	o, err := taskresult.Of(tree, []string{check}, nil, []result.Report{reportOf(check, tree, found...)})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Outcomes give a verdict together if they are of the same digest and the same
// images, and of just the checks that are expected.
func TestCombine(t *testing.T) {
	tree := treeOf("amd64", "arm64")
	signed := taskresult.Result{Digest: digest(1), Checks: []taskresult.Check{{Name: "signature", Rules: 1}}, Signature: taskresult.SignatureValid}
	unsigned := signed
	unsigned.Signature, unsigned.Errors = taskresult.SignatureNone, 1
	unsigned.Findings = []taskresult.Finding{{Check: "signature", Rule: "signed", Severity: result.SeverityError, Message: "nobody signed it"}}
	off := taskresult.Result{Digest: digest(1), Checks: []taskresult.Check{{Name: "signature", Off: true}}, Signature: taskresult.SignatureOff}
	other := signed
	other.Digest = digest(2)
	good := outcomeOf(t, tree, "validate")
	bad := outcomeOf(t, tree, "validate", finding(result.SeverityError, "non-root"))
	partial := outcomeOf(t, treeOf("amd64"), "scan")
	allOff := good
	allOff.Checks = []taskresult.Check{{Name: "validate", Off: true}}
	published, again := good, outcomeOf(t, tree, "scan")
	published.Report, again.Report = "r/a@"+digest(3).String(), "r/a@"+digest(4).String()
	both := []string{"validate", "signature"}
	tests := []struct {
		name     string
		expect   []string
		outcomes []taskresult.Result
		want     verdict.Value
		err      string
	}{
		{"both good", both, []taskresult.Result{good, signed}, verdict.Pass, ""},
		{"in another order", both, []taskresult.Result{signed, good}, verdict.Pass, ""},
		{"the first bad", both, []taskresult.Result{bad, signed}, verdict.Fail, ""},
		{"the second bad", both, []taskresult.Result{good, unsigned}, verdict.Fail, ""},
		{"one switched off", both, []taskresult.Result{good, off}, verdict.Pass, ""},
		{"all switched off", both, []taskresult.Result{allOff, off}, "", "every check was switched off"},
		{"one missing", both, []taskresult.Result{good}, "", `check "signature": no report`},
		{"none", both, nil, "", `check "validate": no report`},
		{"nothing expected", nil, []taskresult.Result{good}, "", "no check is expected"},
		{"one that nobody expects", []string{"validate"}, []taskresult.Result{good, signed}, "", "remove its Task"},
		{"one twice", both, []taskresult.Result{good, good, signed}, "", "reported twice"},
		{"another digest", both, []taskresult.Result{good, other}, "", "one Task checked " + digest(1).String()},
		{"other images", []string{"validate", "scan"}, []taskresult.Result{good, partial}, "", "2 images and another checked 1"},
		{"no images", []string{"signature"}, []taskresult.Result{signed}, "", "no Task checked an image"},
		{"two reports", []string{"validate", "scan"}, []taskresult.Result{published, again}, "", "two Tasks published"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := verdict.Combine(tt.expect, tt.outcomes, nil, time.Time{})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || got.Value != "" {
					t.Errorf("verdict %q, error %v; want none and %q", got.Value, err, tt.err)
				}
				return
			}
			if err != nil || got.Value != tt.want || got.Digest != digest(1) {
				t.Errorf("verdict %q on %s, error %v; want %q on %s", got.Value, got.Digest, err, tt.want, digest(1))
			}
		})
	}
}

// The summary of several Tasks tells what each knew, and what nobody looked for.
func TestSummaryOfSeveralTasks(t *testing.T) {
	tree := treeOf("amd64")
	now := time.Date(2026, 3, 2, 14, 30, 0, 0, time.UTC)
	scan := reportOf("scan", tree, result.Finding{Rule: "CVE-1", Severity: result.SeverityError, Level: "critical", Platform: "linux/amd64", Message: "openssl 1"})
	scan.Rules, scan.Levels = 1, map[string]int{"critical": 1, "low": 30}
	scan.Database = &result.Database{Digest: digest(7), AsOf: now.Add(-26*time.Hour - time.Minute)}
	validated := reportOf("validate", tree, finding(result.SeverityWarning, "title"))
	validated.Unapplied = []string{"x", "y"}
	image, err := taskresult.Of(tree, []string{"validate", "scan"}, nil, []result.Report{validated, scan})
	if err != nil {
		t.Fatal(err)
	}
	image.Withheld(errors.New("AccessDenied: no"))
	off := taskresult.Result{Digest: digest(1), Checks: []taskresult.Check{{Name: "signature", Off: true}}, Signature: taskresult.SignatureOff}
	v, err := verdict.Combine([]string{"validate", "scan", "signature"}, []taskresult.Result{image, off}, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	got, err := v.Summary.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"counts":{"images":1,"checks":2,"rules":5,"unapplied":2,"errors":1,"warnings":1},"levels":{"critical":1,"low":30},` +
		`"findings":[{"check":"scan","rule":"CVE-1","severity":"error","level":"critical","platform":"linux/amd64","message":"openssl 1"},` +
		`{"check":"validate","rule":"title","severity":"warning","platform":"linux/amd64","message":"it is so"}],` +
		`"off":["signature"],"database":{"digest":"` + digest(7).String() + `","asOf":"2026-03-01T12:29:00Z","age":"26h"},"signature":"off",` +
		`"platforms":["linux/amd64"],"unpublished":"AccessDenied: no"}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

// The summary says what was looked at, what nobody could look at, and by whose word that
// fails nothing.
func TestSummaryTellsWhatWasLookedAt(t *testing.T) {
	tree := treeOf("amd64")
	scan := reportOf("scan", tree, result.Finding{
		Rule: "no-packages", Severity: result.SeverityWarning, Platform: "linux/amd64", Message: "no package was found in it", Gap: true,
		Waiver: &result.Waiver{Reason: "a static program", Owner: "team-c", Expires: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), By: "policy"},
	})
	scan.Database = &result.Database{Digest: digest(7), AsOf: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Schema: "6.1.9"}
	scan.Images[0].Distribution, scan.Images[0].Packages = "debian:13", map[string]int{"deb": 88, "golang": 12}
	layers := reportOf("layers", tree, result.Finding{
		Rule: "ambiguous-layers", Severity: result.SeverityError, Platform: "linux/amd64", Message: "runtimes differ", Gap: true,
	})
	v, err := verdict.Join(tree, []string{"layers", "scan"}, []result.Report{layers, scan})
	if err != nil {
		t.Fatal(err)
	}
	got, err := v.Summary.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"counts":{"images":1,"checks":2,"rules":8,"errors":1,"warnings":1,"waived":1},` +
		`"packages":{"deb":88,"golang":12},"distributions":["debian:13"],"gaps":{"ambiguous-layers":1,"no-packages":1},` +
		`"findings":[{"check":"layers","rule":"ambiguous-layers","severity":"error","platform":"linux/amd64","message":"runtimes differ"},` +
		`{"check":"scan","rule":"no-packages","severity":"warning","platform":"linux/amd64","message":"no package was found in it",` +
		`"waiver":{"reason":"a static program","owner":"team-c","expires":"2026-07-01T00:00:00Z","by":"policy"}}],` +
		`"database":{"digest":"` + digest(7).String() + `","asOf":"2026-03-01T00:00:00Z","schema":"6.1.9"},"platforms":["linux/amd64"]}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if v.Value != verdict.Fail {
		t.Errorf("the verdict is %q", v.Value)
	}
}

// The longest outcomes that Tasks can give still make a summary that fits, and lists
// something.
func TestLongestOutcomesFit(t *testing.T) {
	long := strings.Repeat(`"`, 300)
	tree := treeOf(long, long+"b", long+"c", long+"d", long+"e", long+"f")
	r := reportOf("scan", tree)
	for i := range 100 {
		r.Findings = append(r.Findings, result.Finding{
			Rule: fmt.Sprint(i, long), Severity: result.SeverityWarning, Platform: long, Message: long, Gap: true,
			Waiver: &result.Waiver{Reason: long, Owner: long, By: long, Expires: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)},
		})
		r.Findings = append(r.Findings, result.Finding{Rule: fmt.Sprintf("rule-%d-with-a-name", i), Severity: result.SeverityWarning, Message: long, Gap: true})
	}
	r.Database = &result.Database{Digest: digest(3), AsOf: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Schema: long}
	r.Levels = map[string]int{"critical": 100000, "high": 100000, "medium": 100000, "low": 100000, "unknown": 100000}
	for i := range r.Images {
		r.Images[i].Distribution, r.Images[i].Packages = fmt.Sprint(i)+long, map[string]int{}
		for k := range 40 {
			r.Images[i].Packages[fmt.Sprintf("kind-%d-long-name", k)] = 1000000
		}
	}
	o, err := taskresult.Of(tree, []string{"scan"}, nil, []result.Report{r})
	if err != nil {
		t.Fatal(err)
	}
	o.Withheld(errors.New(long))
	off := taskresult.Result{Digest: digest(1), Checks: []taskresult.Check{{Name: "signature", Off: true}}, Signature: taskresult.SignatureOff}
	v, err := verdict.Combine([]string{"scan", "signature"}, []taskresult.Result{o, off}, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Summary.Findings) == 0 || v.Summary.Counts.Waived != 100 {
		t.Errorf("summary %+v", v.Summary)
	}
	dir := t.TempDir()
	if err := verdict.Write(dir, v); err != nil {
		t.Fatal(err)
	}
	if n := messageSize(t, dir); n > 4096 {
		t.Errorf("the message has %d bytes", n)
	}
}
