package taskresult_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
)

// gap is a finding of something that nobody could look at; waived says by whose word it
// fails nothing.
func gap(rule, platform string, waived *result.Waiver) result.Finding {
	f := result.Finding{Rule: rule, Severity: result.SeverityError, Platform: platform, Message: rule + ": nobody looked", Gap: true}
	if waived != nil {
		f.Severity, f.Waiver = result.SeverityWarning, waived
	}
	return f
}

// An outcome says what was looked at, what nobody could look at, and by whose word that
// fails nothing; the same on several platforms is told once.
func TestOfTellsWhatWasLookedAt(t *testing.T) {
	tree := treeOf("amd64", "arm64")
	until := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	word := func() *result.Waiver {
		return &result.Waiver{Reason: "a static program", Owner: "team-c", Expires: until, By: "policy"}
	}
	scan := reportOf("scan", tree,
		finding(result.SeverityWarning, "", "size", "linux/amd64"),
		gap("no-packages", "linux/amd64", word()), gap("no-packages", "linux/arm64", word()),
		gap("no-packages", "linux/arm64", &result.Waiver{Reason: "another reason", By: "policy"}),
		gap("unread-files", "linux/arm64", nil))
	scan.Database = &result.Database{Digest: digest(7), AsOf: time0, Schema: "6.1.9"}
	scan.Images[0].Distribution, scan.Images[0].Packages = "debian:13", map[string]int{"deb": 88, "golang": 12}
	scan.Images[1].Distribution, scan.Images[1].Packages = "debian:13", map[string]int{"deb": 87, "npm": 0}
	got, err := taskresult.Of(tree, []string{"scan"}, nil, []result.Report{scan})
	if err != nil {
		t.Fatal(err)
	}
	told := &taskresult.Waiver{Reason: "a static program", Owner: "team-c", Expires: until, By: "policy"}
	want := taskresult.Result{
		Digest: digest(1), Images: got.Images, Platforms: []string{"linux/amd64", "linux/arm64"},
		Checks: []taskresult.Check{{Name: "scan", Rules: 4}}, Errors: 1, Warnings: 4, Waived: 3,
		Gaps: map[string]int{"no-packages": 3, "unread-files": 1}, Packages: map[string]int{"deb": 175, "golang": 12}, Distributions: []string{"debian:13"},
		Findings: []taskresult.Finding{
			{Check: "scan", Rule: "unread-files", Severity: "error", Platform: "linux/arm64", Message: "unread-files: nobody looked"},
			{Check: "scan", Rule: "no-packages", Severity: "warning", Platform: "linux/amd64,linux/arm64", Message: "no-packages: nobody looked", Times: 2, Waiver: told},
			{Check: "scan", Rule: "no-packages", Severity: "warning", Platform: "linux/arm64", Message: "no-packages: nobody looked",
				Waiver: &taskresult.Waiver{Reason: "another reason", By: "policy"}},
			{Check: "scan", Rule: "size", Severity: "warning", Platform: "linux/amd64", Message: "size does not hold"},
		},
		Database: &result.Database{Digest: digest(7), AsOf: time0, Schema: "6.1.9"},
	}
	if diff := cmp.Diff(want, got, sameDigests); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
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

// What a scanner says of packages is bounded, and what is left out is counted.
func TestLargest(t *testing.T) {
	for _, tt := range []struct {
		name   string
		counts map[string]int
		n      int
		want   map[string]int
	}{
		{"nothing", nil, 2, nil},
		{"none of a kind", map[string]int{"deb": 0}, 2, nil},
		{"all that there are", map[string]int{"deb": 1, "npm": 2}, 2, map[string]int{"deb": 1, "npm": 2}},
		{"the largest, and the sum of the others", map[string]int{"deb": 1, "npm": 3, "gem": 2, "apk": 1}, 2, map[string]int{"npm": 3, "gem": 2, "other": 2}},
		{"of equals the first by name", map[string]int{"deb": 1, "apk": 1}, 1, map[string]int{"apk": 1, "other": 1}},
		{"others that are there already", map[string]int{"deb": 1, "other": 9}, 1, map[string]int{"deb": 1, "other": 9}},
	} {
		if diff := cmp.Diff(tt.want, taskresult.Largest(tt.counts, tt.n)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// A finding cannot fail the image and be waived, and a negative count is not counted.
func TestOfRefusesWhatContradictsItself(t *testing.T) {
	tree := treeOf("amd64")
	both := gap("no-packages", "", &result.Waiver{Reason: "x", By: "policy"})
	both.Severity = result.SeverityError
	less := reportOf("scan", tree)
	less.Images[0].Packages = map[string]int{"deb": -1}
	for want, r := range map[string]result.Report{
		"both fails the image and is waived": reportOf("scan", tree, both), "-1 packages": less,
		"the reason or the author is missing": reportOf("scan", tree, gap("no-packages", "", &result.Waiver{Reason: " ", By: "policy"})),
		"or the author is missing":            reportOf("scan", tree, gap("no-packages", "", &result.Waiver{Reason: "x"})),
	} {
		if got, err := taskresult.Of(tree, []string{"scan"}, nil, []result.Report{r}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("outcome %+v, error %v; want %q", got, err, want)
		}
	}
}

// Whatever an image makes a scanner say, the outcome fits, lists something, and is read
// again as it was written.
func TestLongestFits(t *testing.T) {
	for _, text := range []string{"a", `"`, "\U0001f433", "<", "$", "\x00"} {
		long := strings.Repeat(text, 500)
		tree := treeOf(long, long+"b", long+"c", long+"d", long+"e", long+"f")
		var found []result.Finding
		for i := range 100 {
			found = append(found, gap(fmt.Sprintf("rule-%d", i), long, &result.Waiver{Reason: long, Owner: long, Expires: time0, By: long}))
		}
		r := reportOf("scan", tree, found...)
		r.Database = &result.Database{Digest: digest(3), AsOf: time0, Schema: long}
		r.Levels = map[string]int{"critical": 100000, "high": 100000, "medium": 100000, "low": 100000, "unknown": 100000}
		for i := range r.Images {
			r.Images[i].Distribution, r.Images[i].Packages = fmt.Sprint(i)+long+":"+long, map[string]int{}
			for k := range 40 {
				r.Images[i].Packages[fmt.Sprintf("kind-%d-%s", k, strings.Repeat("x", 11))] = 1000000
			}
		}
		r.Inventory = random(1)
		o, err := taskresult.Make(taskresult.Input{
			Tree: tree, Expected: []string{"scan", "signature"}, Off: []string{"signature"}, Reports: []result.Report{r}, Parts: partsOf(8),
		})
		if err != nil {
			t.Fatal(err)
		}
		o.Published("registry.example.com/"+longest, digest(5))
		encoded, err := o.Encode()
		if err != nil {
			t.Fatal(err)
		}
		quoted, err := json.Marshal(encoded)
		if err != nil || len(quoted) > taskresult.MaxQuoted || len(o.Findings) == 0 {
			t.Errorf("%q: %d bytes, %d findings, %v", text, len(quoted), len(o.Findings), err)
		}
		if o.Waived != 100 || o.Gaps["other"] == 0 || o.Packages["other"] == 0 {
			t.Errorf("%q: it counts %d waivers, gaps %v, packages %v", text, o.Waived, o.Gaps, o.Packages)
		}
		again, err := taskresult.Decode(encoded)
		if err != nil {
			t.Fatalf("%s: %v", encoded, err)
		}
		if diff := cmp.Diff(o, again, sameDigests); diff != "" {
			t.Errorf("as read again (-want +got):\n%s", diff)
		}
	}
}

// What is told of what was looked at is checked as everything else is: the steps that
// read what strangers wrote may have been taken over.
func TestDecodeRefusesWhatNobodyLookedAt(t *testing.T) {
	base := `{"digest":"` + digest(1).String() + `","images":{"n":1,"hash":"00000000000000000000000000000000"},"checks":[{"name":"scan","rules":1}]`
	waived := `,"warnings":1,"waived":1,"findings":[{"check":"scan","rule":"r","severity":"warning","message":"m","waiver":{"reason":"r","by":"policy"}}]}`
	if _, err := taskresult.Decode(base + waived); err != nil {
		t.Fatal(err)
	}
	edit := func(old, by string) string {
		if !strings.Contains(waived, old) {
			t.Fatalf("%q is not in it", old)
		}
		return base + strings.Replace(waived, old, by, 1)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"a waiver that is not counted", edit(`"waived":1,`, ""), "counts 0 waivers of 1 warnings, and lists 1"},
		{"more waivers than warnings", edit(`"waived":1`, `"waived":2`), "counts 2 waivers of 1 warnings"},
		{"a negative count waived", edit(`"waived":1`, `"waived":-1`), "a negative count"},
		{"a waiver of what fails", strings.Replace(edit(`"severity":"warning"`, `"severity":"error"`), `"warnings":1`, `"errors":1`, 1), `is waived, with the severity "error"`},
		{"a waiver without a reason", edit(`"reason":"r",`, `"reason":"",`), `is waived, with the severity "warning", for ""`},
		{"a waiver by nobody", edit(`"by":"policy"`, `"by":""`), `by ""`},
		{"packages of no kind", base + `,"packages":{"De b":1}}`, `1 packages of the kind "De b"`},
		{"no packages", base + `,"packages":{"deb":0}}`, "0 packages"},
		{"less than no gaps", base + `,"gaps":{"no-packages":-1}}`, "-1 gaps"},
		{"too many kinds", base + `,"packages":{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1}}`, "10 kinds"},
		{"too many distributions", base + `,"distributions":["a","b","c","d"]}`, "names 4 distributions"},
		{"a distribution that is none", base + `,"distributions":["a\"b"]}`, "is not a distribution"},
		{"a schema that is none", base + `,"database":{"digest":"` + digest(2).String() + `","asOf":"2026-01-01T00:00:00Z","schema":"<x>"}}`, "not a version of a database's format"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := taskresult.Decode(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("outcome %+v, error %v; want %q", got, err, tt.want)
			}
		})
	}
}
