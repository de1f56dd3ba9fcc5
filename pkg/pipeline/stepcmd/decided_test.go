package stepcmd_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/stepcmd"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
	"github.com/revet-dev/revet/pkg/runresult"
)

// published runs the step publish, and returns what the Task passes on and what the step prints.
func published(t *testing.T, dir string, digest image.Digest, expect ...string) (taskresult.Result, string) {
	t.Helper()
	var out bytes.Buffer
	results := t.TempDir()
	cmd := stepcmd.NewPublish(&results)
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"--layout=" + dir, "--publish=none", "--expect=" + strings.Join(expect, ","), "--reference=registry.example.com/team/app@" + digest.String()})
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(results, runresult.Outcome))
	if err != nil {
		t.Fatal(err)
	}
	passed, err := taskresult.Decode(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return passed, out.String()
}

// What a Task decided by is told if every step says so that made a check, or the inventory that was
// judged. The inventory's digest is passed on in any case.
func TestTaskTellsWhatItDecidedByIfAllStepsDo(t *testing.T) {
	dir, digest := fetched(t)
	inventory := image.DigestOf([]byte("inventory"))
	report := func(check string, inventory image.Digest) {
		t.Helper()
		r := result.Report{
			Check: check, Digest: digest, Rules: 1, Findings: []result.Finding{}, Inventory: inventory,
			Images: []result.CheckedImage{{Platform: "linux/amd64", Digest: digest}},
		}
		if err := result.WriteReport(dir, r); err != nil {
			t.Fatal(err)
		}
	}
	decide := func(step string) {
		t.Helper()
		if err := result.WriteParts(dir, step, stepcmd.Decided(step, "x", nil)); err != nil {
			t.Fatal(err)
		}
	}
	report("validate", image.Digest{})
	report("scan", inventory)
	for _, silent := range []string{"scan", "validate", "sbom"} {
		passed, out := published(t, dir, digest, "scan", "validate")
		if len(passed.Parts) > 0 || !strings.Contains(out, `warning: "`+silent+`": its step does not say what it decided by; the verdict will have no policy digest`) {
			t.Errorf("%s says nothing, and the parts are %v: %s", silent, passed.Parts, out)
		}
		decide(silent)
	}
	passed, out := published(t, dir, digest, "scan", "validate")
	if len(passed.Parts) != 2 || strings.Contains(out, "warning:") {
		t.Errorf("all say it, and the parts are %v: %s", passed.Parts, out)
	}
	if passed.Inventory == nil || passed.Inventory.Digest != inventory {
		t.Errorf("the inventory is %+v", passed.Inventory)
	}
	// The order in which checks are expected decides nothing.
	other, _ := published(t, dir, digest, "validate", "scan")
	if diff := cmp.Diff(passed.Parts, other.Parts); diff != "" {
		t.Errorf("with the checks in another order (-want +got):\n%s", diff)
	}
}

// The checks that had to report are a part of the policy, in whatever order they are named.
func TestExpectedChecksArePartOfThePolicy(t *testing.T) {
	digest := image.DigestOf([]byte("image"))
	policy := func(expect ...string) string {
		t.Helper()
		o := taskresult.Result{
			Digest: digest, Images: &taskresult.Images{N: 1, Hash: strings.Repeat("0", 32)}, Parts: result.Parts{"rules": strings.Repeat("1", 32)},
		}
		for _, name := range expect {
			o.Checks = append(o.Checks, taskresult.Check{Name: name, Rules: 1})
		}
		text, err := o.Encode()
		if err != nil {
			t.Fatal(err)
		}
		results := t.TempDir()
		if err := (stepcmd.Verdict{Expect: expect, Outcomes: []string{text}}).Run(t.Context(), io.Discard, results); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(results, runresult.BasisResult))
		if err != nil {
			t.Fatal(err)
		}
		b, err := runresult.ParseBasis(string(raw))
		if err != nil {
			t.Fatal(err)
		}
		return b.Policy
	}
	both := policy("scan", "validate")
	if got := policy("validate", "scan"); got != both {
		t.Errorf("in another order the digest is %s, and not %s", got, both)
	}
	if policy("validate") == both {
		t.Error("with fewer checks the digest is the same")
	}
}
