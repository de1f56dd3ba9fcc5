package taskresult_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
)

// What is read of an outcome is written and read again as the same, and counts
// every finding that it lists.
func FuzzDecode(f *testing.F) {
	o, err := taskresult.Of(treeOf("amd64"), []string{"validate"}, nil, []result.Report{
		reportOf("validate", treeOf("amd64"), finding(result.SeverityError, "", "r", "linux/amd64"))})
	if err != nil {
		f.Fatal(err)
	}
	text, err := o.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(`{"digest":"sha256:00","checks":[{"name":"scan","off":true}]}`)
	f.Add("$(tasks.scan-image.results.outcome)")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := taskresult.Decode(text)
		if err != nil {
			return
		}
		if n := taskresult.Stand(got.Findings) + got.Omitted; n != got.Errors+got.Warnings {
			t.Errorf("%d findings are listed or omitted of %d", n, got.Errors+got.Warnings)
		}
		written, err := got.Encode()
		if err != nil {
			return // too long: Decode takes more than Encode gives
		}
		again, err := taskresult.Decode(written)
		if err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		if diff := cmp.Diff(got, again, sameDigests, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("outcome (-as read +as written and read again):\n%s", diff)
		}
	})
}

// Whatever checks find, the outcome fits its part of the Pod's messages, with a
// report and everything else that can be added.
func FuzzFits(f *testing.F) {
	f.Add("non-root", "it runs as root", "linux/amd64", uint8(3), true)
	f.Add("<&>\x00\"\\", "$(x)\u2028", "\U0001f433", uint8(200), false)
	f.Fuzz(func(t *testing.T, rule, message, platform string, n uint8, vulnerable bool) {
		tree := treeOf(platform, platform+"a", platform+"b", platform+"c", platform+"d", platform+"e", platform+"f")
		var found []result.Finding
		for i := range n {
			level := ""
			if vulnerable {
				level = "high"
			}
			found = append(found, result.Finding{Rule: rule + string(rune(i)), Severity: result.SeverityError, Level: level, Platform: platform, Message: message})
			if i%3 == 2 {
				found = append(found, gap(rule+string(rune(i)), platform, &result.Waiver{Reason: message + "x", Owner: rule, By: platform + "x"}))
			}
		}
		r := reportOf("validate", tree, found...)
		r.Database = &result.Database{Digest: digest(3), AsOf: time0, Schema: rule}
		r.Images[0].Distribution, r.Images[0].Packages = platform+":"+message, map[string]int{rule: int(n), message: int(n)}
		r.Levels = map[string]int{"critical": 100000, "high": 100000, "medium": 100000, "low": 100000, "unknown": 100000}
		r.Inventory = random(1)
		off := []string{"scan", "signature", "another-check"}
		o, err := taskresult.Make(taskresult.Input{Tree: tree, Expected: append(off, "validate"), Off: off, Reports: []result.Report{r}, Parts: partsOf(int(n) % 9)})
		if err != nil {
			t.Fatal(err)
		}
		o.Published("registry.example.com/"+longest, digest(5))
		text, err := o.Encode()
		if err != nil {
			t.Fatal(err)
		}
		quoted, err := json.Marshal(text)
		if err != nil || len(quoted) > taskresult.MaxQuoted {
			t.Errorf("%d bytes, %v", len(quoted), err)
		}
		if _, err := taskresult.Decode(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if n > 0 && len(o.Findings) == 0 {
			t.Errorf("nothing of %d findings is listed: %s", n, text)
		}
	})
}
