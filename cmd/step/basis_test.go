package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/revet-dev/revet/pkg/runresult"
)

// basis runs all steps, which must succeed, and returns what the verdict rests on.
func (p *pod) basis() runresult.Basis {
	p.t.Helper()
	p.finish()
	b, err := runresult.ParseBasis(p.result("join-verdict", runresult.BasisResult))
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

// change replaces an argument of every step.
func (p *pod) change(old, by string) {
	p.t.Helper()
	found := false
	for _, s := range p.steps {
		for i, a := range s.args {
			if a == old {
				s.args[i], found = by, true
			}
		}
	}
	if !found {
		p.t.Fatalf("no step has the argument %q", old)
	}
}

// Whatever decides changes the policy digest and the part that it belongs to; what does not decide
// changes neither.
func TestPolicyDigestIsOverEverythingThatDecides(t *testing.T) {
	const key = "../../pkg/pipeline/signature/testdata/cosign/ed25519.pub"
	public, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	p := newPod(t)
	p.push(func(*v1.ConfigFile) {})
	p.params["publish"] = "none"
	rules := p.file("/etc/revet/rules/rules.yaml")
	first := p.basis()
	if first.Policy == "" || len(first.Parts) != 5 {
		t.Fatalf("basis %+v", first)
	}
	if diff := cmp.Diff(first, p.basis()); diff != "" {
		t.Errorf("the same run again (-first +second):\n%s", diff)
	}
	const image = "ko://github.com/revet-dev/revet/cmd/step"
	for _, tt := range []struct {
		name       string
		change, un func()
		part       string
	}{
		{"rules", func() { p.write("/etc/revet/rules/rules.yaml", rules+"\n# other\n") }, func() { p.write("/etc/revet/rules/rules.yaml", rules) }, "rules"},
		{"policy", func() { p.write("/etc/revet/policy/policy.yaml", "failOn: [low]\n") }, func() { p.remove("/etc/revet/policy/policy.yaml") }, "policy"},
		{"keys", func() { p.write("/etc/revet/keys/a.pub", string(public)) }, func() { p.remove("/etc/revet/keys/a.pub") }, "keys"},
		{"platforms", func() { p.params["platforms"] = "linux/amd64" }, func() { p.params["platforms"] = "" }, "parameters"},
		{"signature", func() { p.params["signature"] = "Off" }, func() { p.params["signature"] = "Optional" }, "parameters"},
		{"publish", func() { p.params["publish"] = "referrers" }, func() { p.params["publish"] = "none" }, "parameters"},
		{"image", func() { p.change(image, "registry.example.com/step@sha256:1") }, func() { p.change("registry.example.com/step@sha256:1", image) }, "steps"},
		{"nothing", func() {}, func() {}, ""},
		{"time limit", func() { p.change("--timeout=15m", "--timeout=14m") }, func() { p.change("--timeout=14m", "--timeout=15m") }, ""},
	} {
		tt.change()
		got := p.basis()
		var changed []string
		for name, digest := range got.Parts {
			if first.Parts[name] != digest {
				changed = append(changed, name)
			}
		}
		want := []string{tt.part}
		if tt.part == "" {
			want = nil
		}
		if !slices.Equal(changed, want) || (got.Policy != first.Policy) != (tt.part != "") {
			t.Errorf("another %s changes the parts %v, and the policy digest from %s to %s; want %v", tt.name, changed, first.Policy, got.Policy, want)
		}
		tt.un()
	}
	if diff := cmp.Diff(first, p.basis()); diff != "" {
		t.Errorf("the first run again (-first +last):\n%s", diff)
	}
}

// One step alone with another image changes the digest.
func TestPolicyDigestIsOverEachStep(t *testing.T) {
	p := newPod(t)
	p.push(func(*v1.ConfigFile) {})
	p.params["publish"] = "none"
	seen := map[string]string{p.basis().Policy: "none"}
	for _, s := range p.steps {
		i := slices.Index(s.args, "--self") + 1
		before := s.args[i]
		s.args[i] = "registry.example.com/other@sha256:1"
		got := p.basis().Policy
		if other, ok := seen[got]; ok {
			t.Errorf("another image of %s gives the digest of another image of %s", s.args[0], other)
		}
		seen[got] = s.args[0]
		s.args[i] = before
	}
}

// A step that does not say what it decided by leaves the verdict without a digest, and one that says
// it badly is an error.
func TestStepThatDoesNotSayWhatItDecidedBy(t *testing.T) {
	for _, tt := range []struct{ text, want string }{{"", ""}, {`{"rules":"1"}`, "with the digest"}} {
		p := newPod(t)
		p.push(func(*v1.ConfigFile) {})
		p.params["publish"] = "none"
		const file = "/scan/image/decided/validate.json"
		p.before = func(i int) {
			switch {
			case p.steps[i].args[0] != "publish":
			case tt.text == "":
				p.remove(file)
			default:
				p.write(file, tt.text)
			}
		}
		if tt.want != "" {
			for i := range 2 {
				p.step(i)
			}
			if status, errOut := p.step(2); status != 1 || !strings.Contains(errOut, tt.want) {
				t.Errorf("status %d, %q; want %q", status, errOut, tt.want)
			}
			continue
		}
		if b := p.basis(); b.Policy != "" || b.Parts != nil || !slices.Equal(b.Checks, []string{"layers", "validate"}) {
			t.Errorf("basis %+v", b)
		}
	}
}

// The full report lists what the steps of its Task decided by.
func TestReportListsTheParts(t *testing.T) {
	p := newPod(t)
	p.push(func(*v1.ConfigFile) {})
	p.params["publish"] = "none"
	b := p.basis()
	var report struct {
		Properties struct{ Parts map[string]string }
	}
	if err := json.Unmarshal([]byte(p.file("/scan/image/report.sarif")), &report); err != nil {
		t.Fatal(err)
	}
	got := report.Properties.Parts
	for _, name := range []string{"rules", "policy"} {
		if len(got[name]) != 32 || got[name][:12] != b.Parts[name] {
			t.Errorf("the part %s is %q in the report and %q in the basis", name, got[name], b.Parts[name])
		}
	}
	if got["parameters"] == "" || got["steps"] == "" {
		t.Errorf("the parts are %v", got)
	}
}

func (p *pod) file(path string) string {
	p.t.Helper()
	b, err := fs.ReadFile(os.DirFS(p.root), strings.TrimPrefix(path, "/"))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

func (p *pod) remove(path string) {
	p.t.Helper()
	if err := os.Remove(p.root + path); err != nil {
		p.t.Fatal(err)
	}
}
