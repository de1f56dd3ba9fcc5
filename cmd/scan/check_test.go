package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/pipeline/verdict"
)

// One command checks an image in a registry, a layout or an archive as the steps do: its
// exit status and its last line say what came of it, and never a pass for what nobody
// looked at.
func TestCheck(t *testing.T) {
	f := newFixture(t, time.Now().UTC().Add(-time.Hour))
	rules := f.file("rules.yaml", "rules:\n- name: not-nobody\n  expression: image.config.user != 'nobody'\n  message: it is not\n")
	lenient := f.file("policy.yaml", "rules: {unread-files: warn}\nignore:\n- {id: CVE-2026-1, reason: a test, expires: never}\n- {id: DSA-2, reason: a test, expires: never}\n")
	broken := f.file("broken.yaml", "rules: {unread-file: warn}\n")
	type outcome struct {
		Status          int
		Verdict, Reason string
		Off             []string
	}
	scanned := []string{"--database=" + f.database, "--rules=" + rules}
	for _, test := range []struct {
		name, image string
		args        []string
		want        outcome
	}{
		{"what is vulnerable", f.host + "/team/app:1", scanned, outcome{1, "fail", "Failed", []string{"signature"}}},
		{"by digest", f.host + "/team/app@" + f.digest.String(), scanned, outcome{1, "fail", "Failed", []string{"signature"}}},
		{"a layout", f.layout, scanned, outcome{1, "fail", "Failed", []string{"signature"}}},
		{"what the policy lets pass", f.host + "/team/app:1", append(scanned, "--policy="+lenient), outcome{0, "pass", "Passed", []string{"signature"}}},
		{"the default rules", f.host + "/team/app:1", []string{"--database=" + f.database, "--policy=" + lenient}, outcome{1, "fail", "Failed", []string{"signature"}}},
		{"nobody looks, and says so", f.host + "/team/app:1", []string{"--scan=Off", "--rules=" + rules}, outcome{0, "pass", "Passed", []string{"scan", "signature"}}},
		{"no database", f.host + "/team/app:1", []string{"--rules=" + rules}, outcome{2, "error", "DatabaseNotConfigured", nil}},
		{"a database that is not there", f.host + "/team/app:1", []string{"--database=" + f.host + "/none:1", "--rules=" + rules}, outcome{2, "error", "DatabaseMissing", nil}},
		{"a tag that is not there", f.host + "/team/app:2", scanned, outcome{2, "error", "ContentMissing", nil}},
		{"a platform that is not there", f.host + "/team/app:1", append(scanned, "--platforms=linux/s390x"), outcome{2, "error", "ContentMissing", nil}},
		{"a policy that is not there", f.host + "/team/app:1", append(scanned, "--policy="+broken+".no"), outcome{2, "error", "InvalidArguments", nil}},
		{"rules that are not there", f.host + "/team/app:1", []string{"--scan=Off", "--rules=" + broken + ".no"}, outcome{2, "error", "InvalidArguments", nil}},
		{"a policy with a word that is not known", f.host + "/team/app:1", append(scanned, "--policy="+broken), outcome{2, "error", "CheckFailed", nil}},
		{"a signature that is required, without a key", f.host + "/team/app:1", append(scanned, "--signature=Required"), outcome{2, "error", "CheckFailed", nil}},
		{"a signature of what is in no registry", f.layout, append(scanned, "--signature=Required"), outcome{2, "error", "InvalidArguments", nil}},
		{"no name", "app", scanned, outcome{2, "error", "InvalidArguments", nil}},
		{"no file", "./none.tar", scanned, outcome{2, "error", "InvalidArguments", nil}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			status := run(t.Context(), append([]string{"check", test.image, "-o=json", "--insecure-registry=" + f.host, "--temp=" + t.TempDir()}, test.args...), &out, &errOut)
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			var said struct {
				checked
				Summary verdict.Summary `json:"summary"`
			}
			if err := json.Unmarshal([]byte(lines[len(lines)-1]), &said); err != nil {
				t.Fatalf("the last line is %q: %v; %s", lines[len(lines)-1], err, errOut.String())
			}
			got := outcome{status, said.Verdict, said.Reason, said.Summary.Off}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("check (-want +got):\n%s%s", diff, errOut.String())
			}
			if said.Verdict != "error" && said.Digest != f.digest.String() {
				t.Errorf("it is about %q, and not %s", said.Digest, f.digest)
			}
			if (said.Verdict == "error") != (errOut.Len() > 0) {
				t.Errorf("standard error is %q", errOut.String())
			}
		})
	}
}

// A person reads the verdict, what was looked at, and what fails with its fix; a wrong
// use of the command is no fail of the image.
func TestCheckForAPerson(t *testing.T) {
	f := newFixture(t, time.Now().UTC().Add(-time.Hour))
	var out, errOut bytes.Buffer
	status := run(t.Context(), []string{"check", f.host + "/team/app:1", "--insecure-registry=" + f.host, "--database=" + f.database}, &out, &errOut)
	for _, want := range []string{
		"Verdict          FAIL\n", "Digest           " + f.digest.String() + "\n", "Distribution     debian:12\n", "Packages         deb 2\n",
		"libssl3 3.0.1-1, fixed in 3.0.2-1: a hole\n", "Not checked      signature\n", "Gaps             unread-files 1\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not print %q", want)
		}
	}
	if status != 1 || errOut.Len() > 0 || t.Failed() {
		t.Errorf("status %d, %s\n%s", status, errOut.String(), out.String())
	}
	for _, args := range [][]string{{"check"}, {"check", "a", "b"}, {"check", "--bogus"}, {"check", "a/b:c", "--scan=off"}, {"check", "a/b:c", "-o=yaml"}} {
		errOut.Reset()
		if status := run(t.Context(), args, &out, &errOut); status != 2 || strings.Count(errOut.String(), "\n") != 1 {
			t.Errorf("%q: status %d, %q; want 2 and one line", args, status, errOut.String())
		}
	}
}

// file writes a file and returns its path.
func (f *fixture) file(name, text string) string {
	f.t.Helper()
	path := filepath.Join(f.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return path
}
