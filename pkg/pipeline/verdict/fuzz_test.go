package verdict_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"testing"

	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
	"github.com/revet-dev/revet/pkg/pipeline/verdict"
	"github.com/revet-dev/revet/pkg/runresult"
)

// Whatever checks report: a finding that fails the image is never lost on the
// way to the verdict, every finding is listed or counted as omitted, and the
// results fit Tekton's message.
func FuzzResults(f *testing.F) {
	f.Add("non-root", "error", "linux/amd64", "runs as root", uint8(3))
	f.Add("<&>\x00", "warning", "\u2028", "\"\\", uint8(200))
	f.Add("r", "", "", "", uint8(1))
	f.Fuzz(func(t *testing.T, rule, severity, platform, message string, n uint8) {
		tree := treeOf(platform)
		var findings []result.Finding
		for range n {
			findings = append(findings, result.Finding{Rule: rule, Severity: result.Severity(severity), Platform: platform, Message: message})
		}
		v, err := verdict.Join(tree, []string{"scan"}, []result.Report{reportOf("scan", tree, findings...)})
		known := severity == "error" || severity == "warning" || n == 0
		switch {
		case (err == nil) != known:
			t.Fatalf("severity %q: %v", severity, err)
		case err != nil:
			if v.Value != "" {
				t.Errorf("%q beside an error", v.Value)
			}
			return
		case (v.Value == verdict.Fail) != (severity == "error" && n > 0):
			t.Errorf("%d findings of severity %q give %q", n, severity, v.Value)
		}
		if listed := taskresult.Stand(v.Summary.Findings) + v.Summary.Omitted; listed != int(n) {
			t.Errorf("%d findings are listed or omitted of %d", listed, n)
		}
		dir := t.TempDir()
		if err := verdict.Write(dir, v); err != nil {
			t.Fatal(err)
		}
		if size := messageSize(t, dir); size > 4096 {
			t.Errorf("the message has %d bytes", size)
		}
		if summary, err := fs.ReadFile(os.DirFS(dir), runresult.Summary); err != nil || !json.Valid(summary) {
			t.Errorf("the summary is no JSON: %q, %v", summary, err)
		}
	})
}
