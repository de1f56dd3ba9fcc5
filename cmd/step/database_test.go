package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// A mirror writes a database, and inspect shows what is in it; both say why not.
func TestDatabase(t *testing.T) {
	p := newPod(t)
	modified := time.Now().UTC().Add(-50 * time.Hour).Truncate(time.Second)
	p.write("/source/GO-1.json", fmt.Sprintf(`{"id":"GO-1","modified":%q,"affected":[{"package":{"ecosystem":"Go","name":"a"}}]}`, modified.Format(time.RFC3339)))
	tag := p.host + "/revet/db:1"
	step := func(args ...string) (int, string, string) {
		t.Helper()
		var out, errOut bytes.Buffer
		status := run(t.Context(), append([]string{"database"}, append(args, "--insecure-registry="+p.host, "--dir="+t.TempDir())...), &out, &errOut)
		return status, out.String(), errOut.String()
	}
	digest := ""
	for _, verb := range []string{"mirrored", "unchanged"} {
		status, out, errOut := step("mirror", "--from="+p.root+"/source", "--to="+tag)
		m := regexp.MustCompile(`^` + verb + ` \S+: \S+@(sha256:\S+): ecosystems 1, records 1, as of `).FindStringSubmatch(out)
		if status != 0 || errOut != "" || m == nil {
			t.Fatalf("status %d: %s%s; want %q", status, out, errOut, verb)
		}
		digest = m[1]
	}
	status, out, errOut := step("inspect", tag, "--verify", "--max-age=51h")
	mirrored := regexp.MustCompile(`(?m)^mirrored .*$`).FindString(out)
	kib := regexp.MustCompile(`\d+\nverified`).FindString(out)
	want := fmt.Sprintf(`database  %s
digest    %s
source    directory %s/source
as of     %s, 50h0m0s old
%s
records   1

ECOSYSTEM  RECORDS  PACKAGES  UNREADABLE  NEWEST                KIB
Go         1        1         0           %s  %s
`, tag, digest, p.root, modified.Format(time.RFC3339), mirrored, modified.Format(time.RFC3339), kib)
	if diff := cmp.Diff(want, out); status != 0 || errOut != "" || diff != "" {
		t.Errorf("status %d: %s (-want +got):\n%s", status, errOut, diff)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"inspect", tag, "--max-age=49h"}, "DatabaseTooOld"},
		{[]string{"inspect", p.host + "/revet/db:2"}, "DatabaseMissing"},
		{[]string{"inspect", p.host + "/revet/db"}, "write host/path:tag"},
		{[]string{"inspect", tag, "--output=yaml"}, "accepted is json"},
		{[]string{"mirror", "--from=" + p.root + "/tekton", "--to=" + tag}, "DatabaseEmpty"},
		{[]string{"mirror", "--from=" + p.root, "--to=" + p.host + "/revet/db"}, "--to: "},
		{[]string{"mirror", "--from=" + p.root}, `required flag(s) "to"`},
	} {
		status, _, errOut := step(test.args...)
		if status != 1 || strings.Count(errOut, "\n") != 1 || !strings.Contains(errOut, test.want) {
			t.Errorf("%v: status %d, standard error %q; want one line with %q", test.args, status, errOut, test.want)
		}
	}
	if status, out, errOut := step("inspect", tag, "-o", "json"); status != 0 || !strings.Contains(out, `"digest": "`+digest+`"`) {
		t.Errorf("status %d: %s%s", status, out, errOut)
	}
}

// The job in triggers/ is a command line that works, with what its ConfigMap says.
func TestMirrorJob(t *testing.T) {
	p := newPod(t)
	raw, err := fs.ReadFile(os.DirFS("../../triggers"), "800-database.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var settings struct{ Data map[string]string }
	var job struct {
		Spec struct {
			JobTemplate struct {
				Spec struct {
					Template struct {
						Spec struct {
							Containers []struct {
								Args []string
								Env  []struct {
									Name      string
									ValueFrom struct{ ConfigMapKeyRef struct{ Key string } }
								}
							}
						}
					}
				}
			}
		}
	}
	for _, document := range strings.Split(string(raw), "\n---\n") {
		switch {
		case strings.Contains(document, "\nkind: ConfigMap\n"):
			err = yaml.Unmarshal([]byte(document), &settings)
		case strings.Contains(document, "\nkind: CronJob\n"):
			err = yaml.Unmarshal([]byte(document), &job)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	container := job.Spec.JobTemplate.Spec.Template.Spec.Containers[0]
	start := func() (int, string, string) {
		var args []string
		for _, a := range container.Args {
			for _, e := range container.Env {
				a = strings.ReplaceAll(a, "$("+e.Name+")", settings.Data[e.ValueFrom.ConfigMapKeyRef.Key])
			}
			if flag, value, ok := strings.Cut(a, "=/"); ok {
				a = flag + "=" + filepath.Join(p.root, value)
			}
			args = append(args, a)
		}
		var out, errOut bytes.Buffer
		status := run(t.Context(), args, &out, &errOut)
		return status, out.String(), errOut.String()
	}
	if status, _, errOut := start(); status != 1 || !strings.Contains(errOut, "--to: ") {
		t.Errorf("as it is delivered: status %d: %s", status, errOut)
	}
	p.write("/scratch/.keep", "")
	p.write("/source/GO-1.json", fmt.Sprintf(`{"id":"GO-1","modified":%q,"affected":[{"package":{"ecosystem":"Go","name":"a"}}]}`, time.Now().UTC().Format(time.RFC3339)))
	settings.Data = map[string]string{"source": "/source", "database": p.host + "/revet/db:1", "ecosystems": ""}
	if status, out, errOut := start(); status != 0 || errOut != "" || !strings.HasPrefix(out, "mirrored ") {
		t.Errorf("status %d: %s%s", status, out, errOut)
	}
}
