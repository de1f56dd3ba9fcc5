package lifecycle_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// Whatever a run says: it passes only if it succeeded, says so, scanned what was
// pushed, and every Pod had the class that was asked for. What is kept of it fits
// the entry.
func FuzzJudge(f *testing.F) {
	digest, err := image.ParseDigest("sha256:" + hex)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(true, true, "pass", digest.String(), `{"counts":{}}`, "host/r@"+digest.String(), "kata", "kata", uint8(2))
	f.Add(true, true, "pass", digest.String(), "", "", "kata", "", uint8(1))
	f.Add(true, true, "pass", digest.String(), "", "", "", "", uint8(0))
	f.Add(true, true, "fail", digest.String()+" ", "\xff", "", "kata", "kata", uint8(1))
	f.Add(true, false, "pass", digest.String(), "", "", "", "", uint8(9))
	f.Fuzz(func(t *testing.T, done, succeeded bool, said, scanned, summary, report, wanted, had string, n uint8) {
		var pods []lifecycle.Pod
		for range n {
			pods = append(pods, lifecycle.Pod{Name: "p", RuntimeClass: had})
		}
		got := lifecycle.OutcomeOf(digest, wanted, lifecycle.PipelineRun{Done: done, Succeeded: succeeded, Message: summary,
			Results: map[string]string{"verdict": said, "digest": scanned, "summary": summary, "report": report}}, pods)
		ended := done && succeeded && scanned == digest.String()
		sandboxed := wanted == "" || (n > 0 && had == wanted)
		if pass := ended && said == "pass" && sandboxed; pass != (got.Outcome == v1alpha1.OutcomePass) {
			t.Errorf("%q is %s/%s, and it is a pass: %t", said, got.Outcome, got.Reason, pass)
		}
		if fail := ended && said == "fail"; fail != (got.Outcome == v1alpha1.OutcomeFail) {
			t.Errorf("%q is %s/%s, and it is a fail: %t", said, got.Outcome, got.Reason, fail)
		}
		if got.Outcome == "" || got.Reason == "" {
			t.Errorf("no outcome or no reason: %+v", got)
		}
		for name, field := range map[string]struct {
			text string
			most int
		}{"digest": {got.Digest, 128}, "summary": {got.Summary, 2048}, "report": {got.Report, 512}, "message": {got.Message, 1024}} {
			if len(field.text) > field.most || !utf8.ValidString(field.text) {
				t.Errorf("the %s has %d bytes, valid: %t", name, len(field.text), utf8.ValidString(field.text))
			}
		}
		for _, name := range got.Basis.Off {
			if got.Outcome == v1alpha1.OutcomeError || len(got.Basis.Off) > 8 || name == "" || len(name) > 32 || strings.ContainsAny(name, ", \n\x00") {
				t.Errorf("switched off in a %s is %q", got.Outcome, got.Basis.Off)
			}
		}
		if len(got.Sandbox.Pods) > 8 || len(got.Sandbox.Observed) > 8 {
			t.Errorf("the sandbox lists %d Pods", len(got.Sandbox.Pods))
		}
	})
}
