package triggers_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/verdict"
	"github.com/revet-dev/revet/pkg/runresult"
	"github.com/revet-dev/revet/test/gobuild"
	"github.com/revet-dev/revet/test/images"
)

// said is what came of an image, by whichever way.
type said struct {
	Verdict, Reason, Digest string
	Summary                 verdict.Summary
	Basis                   *runresult.Basis
}

// untyped is what the check gives as the reason of an error that has none but its text.
const untyped = "CheckFailed"

// "scan check" and the steps of the Tasks, one after another with the arguments that
// the manifests give them, say the same: of every sample, which gets what it deserves,
// and where nobody can look, or is to.
func TestCheckSaysWhatTheStepsSay(t *testing.T) {
	p := newPrograms(t)
	t.Run("samples", p.testSamples)
	t.Run("parameters", p.testParameters)
}

func (p programs) testSamples(t *testing.T) {
	samples := slices.Concat(images.All(), images.Vulnerable(), images.Hostile(), []images.Sample{images.Bomb(64 << 20)})
	for _, s := range samples {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			pushed := p.push(t, s)
			bySteps := p.steps(t, pushed, nil)
			byCheck, status := p.check(t, taggedOf(pushed))
			bySteps.checkBasis(t)
			if diff := cmp.Diff(bySteps.portable(), byCheck.portable(), cmp.Comparer(func(a, b image.Digest) bool { return a == b })); diff != "" {
				t.Errorf("what the check says (-steps +check):\n%s", diff)
			}
			want := map[images.Verdict]int{images.VerdictPass: 0, images.VerdictFail: 1, images.VerdictError: 2}[s.Verdict]
			if byCheck.Verdict != string(s.Verdict) || !strings.HasSuffix(pushed, "@"+byCheck.Digest) || status != want {
				t.Errorf("%s of %s with status %d; want %s of %s with %d", byCheck.Verdict, byCheck.Digest, status, s.Verdict, pushed, want)
			}
			if s.Verdict == images.VerdictError {
				if byCheck.Reason != s.Reason {
					t.Errorf("the reason is %s, want %s", byCheck.Reason, s.Reason)
				}
				return
			}
			checkFindings(t, s, byCheck.Summary)
		})
	}
}

func (p programs) testParameters(t *testing.T) {
	none := p
	none.database, none.config = "", t.TempDir()
	none.mount(t)
	good, alias := p.push(t, images.Good()), p.push(t, images.AliasPlatform())
	for _, tt := range []struct {
		name            string
		of              programs
		image           string // host/repository@digest
		params          map[string]string
		verdict, reason string
		status          int
	}{
		{"no database", none, good, nil, "error", "DatabaseNotConfigured", 2},
		{"no database, as nobody is to look", none, good, map[string]string{"scan": "Off"}, "pass", "Passed", 0},
		{"a database, and nobody is to look", p, good, map[string]string{"scan": "Off"}, "pass", "Passed", 0},
		{"a database that is gone", p, good, map[string]string{"database": p.database + "-gone"}, "error", "DatabaseMissing", 2},
		{"an image for a database", p, good, map[string]string{"database": taggedOf(good)}, "error", "DatabaseFormat", 2},
		{"a database that is too old", p, good, map[string]string{"database-max-age": "1ms"}, "error", "DatabaseTooOld", 2},
		{"a platform that the image lacks", p, good, map[string]string{"platforms": "linux/s390x"}, "error", "ContentMissing", 2},
		{"a signature that has to be there", p, good, map[string]string{"signature": "Required"}, "error", untyped, 2},
		{"a platform that two images of an index are for", p, alias, map[string]string{"platforms": "linux/amd64"}, "fail", "Failed", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var flags []string
			for name, value := range tt.params {
				flags = append(flags, "--"+name+"="+value)
			}
			bySteps := tt.of.steps(t, tt.image, tt.params)
			byCheck, status := tt.of.check(t, taggedOf(tt.image), flags...)
			bySteps.checkBasis(t)
			if diff := cmp.Diff(bySteps.portable(), byCheck.portable(), cmp.Comparer(func(a, b image.Digest) bool { return a == b })); diff != "" {
				t.Errorf("what the check says (-steps +check):\n%s", diff)
			}
			if byCheck.Verdict != tt.verdict || byCheck.Reason != tt.reason || status != tt.status {
				t.Errorf("%s, %s with status %d; want %s, %s with %d", byCheck.Verdict, byCheck.Reason, status, tt.verdict, tt.reason, tt.status)
			}
			if off := slices.Contains(byCheck.Summary.Off, "scan"); off != (tt.params["scan"] == "Off") {
				t.Errorf("the summary says that %v are off", byCheck.Summary.Off)
			}
		})
	}
}

// push pushes a sample, and returns it as host/repository@digest.
func (p programs) push(t *testing.T, s images.Sample) string {
	t.Helper()
	repository := p.host + "/demo/" + s.Name
	d, err := images.Push(t.Context(), repository+":1", s, images.Options{Now: time.Now(), Salt: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	return repository + "@" + d.String()
}

// taggedOf is what push pushed, by its tag.
func taggedOf(pinned string) string {
	repository, _, _ := strings.Cut(pinned, "@")
	return repository + ":1"
}

// checkFindings holds that what fails a sample is what shall.
func checkFindings(t *testing.T, s images.Sample, summary verdict.Summary) {
	t.Helper()
	var failed []string
	for _, f := range summary.Findings {
		if f.Severity == "error" && !slices.Contains(failed, f.Rule) {
			failed = append(failed, f.Rule)
		}
	}
	same(t, "rules", s.Rules, failed)
	if summary.Database == nil || summary.Database.Digest.IsZero() {
		t.Error("the summary names no database")
	}
}

// programs are the programs of the pipeline, a registry, and a database in it.
type programs struct {
	dir, host, database string
	manifests           manifests
	// config is what the Tasks mount.
	config string
}

func newPrograms(t *testing.T) programs {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	p := programs{dir: t.TempDir(), config: t.TempDir(), host: strings.TrimPrefix(s.URL, "http://"), manifests: load(t)}
	p.build(t, gobuild.Source{Root: "../.."}, "./cmd/step")
	p.build(t, gobuild.Source{Root: "../..", Module: "cmd/scan"}, ".")
	source := t.TempDir()
	if err := os.CopyFS(source, images.Records()); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(source, "as-of"), time.Now().UTC().Format(time.RFC3339))
	p.database = p.host + "/revet/database:current"
	if status, _, errOut := p.run(t, "scan", "database", "mirror", "--from="+source, "--to="+p.database, "--insecure-registry="+p.host); status != 0 {
		t.Fatal(errOut)
	}
	p.mount(t)
	return p
}

// build builds a program from the checkout.
func (p programs) build(t *testing.T, from gobuild.Source, pkg string) {
	t.Helper()
	if err := from.Into(t.Context(), p.dir, pkg); err != nil {
		t.Fatal(err)
	}
}

// mount writes what the volumes of the Tasks show: ConfigMaps of the manifests, what
// "kubectl revet fill-database" would name, and the list of hosts without TLS.
func (p programs) mount(t *testing.T) {
	t.Helper()
	for _, c := range p.manifests.configMaps {
		for _, volume := range p.manifests.task(t, "scan-image").Spec.Volumes {
			if volume.ConfigMap == nil || volume.ConfigMap.Name != c.Name {
				continue
			}
			settings := maps.Clone(c.Data)
			if volume.Name == "database" {
				settings["database"] = p.database + "\n"
			}
			for key, text := range settings {
				write(t, filepath.Join(p.config, "etc/revet", volume.Name, key), text)
			}
		}
	}
	write(t, filepath.Join(p.config, "etc/revet/registries/insecure"), p.host+"\n")
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a program and returns its status and what it printed.
func (p programs) run(t *testing.T, program string, args ...string) (status int, out, errOut string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(p.dir, program), args...)
	cmd.Env = append(os.Environ(), "DOCKER_CONFIG="+filepath.Join(p.dir, "no-credentials"))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	t.Logf("%s %q: status %d\n%s%s", program, args, cmd.ProcessState.ExitCode(), stdout.String(), stderr.String())
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// check runs "scan check" on an image, and returns what it says and its status.
func (p programs) check(t *testing.T, name string, flags ...string) (said, int) {
	t.Helper()
	args := []string{"check", name, "-o", "json", "--database=" + p.database, "--insecure-registry=" + p.host, "--temp=" + t.TempDir()}
	status, out, _ := p.run(t, "scan", append(args, flags...)...)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var s said
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &s); err != nil {
		t.Fatalf("the last line is %q: %v", lines[len(lines)-1], err)
	}
	return s.ageless(), status
}

// ageless leaves out what depends on the hour.
func (s said) ageless() said {
	if s.Summary.Database != nil {
		s.Summary.Database.Age = ""
	}
	return s
}

// checkBasis holds that the verdict's basis names everything that decided.
func (s said) checkBasis(t *testing.T) {
	t.Helper()
	if s.Verdict == "error" {
		if s.Basis != nil {
			t.Errorf("an error rests on %+v", s.Basis)
		}
		return
	}
	want := []string{"keys", "parameters", "policy", "rules", "steps"}
	scans := slices.Contains(s.Basis.Checks, "scan")
	if scans {
		want = append(want, "database")
	}
	same(t, "parts", want, slices.Collect(maps.Keys(s.Basis.Parts)))
	if scans != (s.Basis.Inventory != nil) || scans != (s.Basis.Database != nil) || s.Basis.Policy == "" || len(s.Basis.Platforms) == 0 {
		t.Errorf("basis %+v", s.Basis)
	}
}

// portable leaves out what differs between the check and a run: which programs decided.
func (s said) portable() said {
	if s.Basis == nil {
		return s
	}
	b := *s.Basis
	b.Policy, b.Parts = "", maps.Clone(b.Parts)
	delete(b.Parts, "steps")
	s.Basis = &b
	return s
}

// steps runs the steps of all Tasks of the pipeline, with some parameters of it, and
// returns what they say.
func (p programs) steps(t *testing.T, reference string, with map[string]string) said {
	t.Helper()
	pipe := only(t, p.manifests.pipelines)
	params := map[string]string{}
	for _, spec := range pipe.Spec.Params {
		if spec.Default != nil {
			params[spec.Name] = spec.Default.StringVal
		}
	}
	params["reference"] = reference
	params["publish"] = "none" // the check publishes nothing
	maps.Copy(params, with)
	_, pinned, _ := strings.Cut(reference, "@")
	results := map[string]map[string]string{}
	root := t.TempDir()
	for _, of := range pipe.Spec.Tasks {
		task := p.manifests.task(t, of.TaskRef.Name)
		dir := filepath.Join(root, "results", of.Name)
		write(t, filepath.Join(dir, ".keep"), "")
		write(t, filepath.Join(root, "scratch", ".keep"), "")
		for _, step := range task.Spec.Steps {
			program := filepath.Base(step.Command[0])
			args := p.arguments(step.Args, root, dir, taskParams(task, of.Params, params, results))
			if status, _, errOut := p.run(t, program, args...); status != 0 {
				why := readResults(t, dir)[runresult.Error]
				if why == "" {
					t.Errorf("step %s fails and gives no reason: %s", step.Name, errOut)
				}
				reason, _, _ := strings.Cut(why, ":")
				if strings.Contains(reason, " ") {
					reason = untyped
				}
				return said{Verdict: "error", Reason: reason, Digest: pinned}
			}
		}
		results[of.Name] = readResults(t, dir)
	}
	last := results["join-verdict"]
	s := said{Verdict: last[runresult.Verdict], Digest: last[runresult.Digest]}
	s.Reason = map[string]string{"pass": "Passed", "fail": "Failed"}[s.Verdict]
	if err := json.Unmarshal([]byte(last[runresult.Summary]), &s.Summary); err != nil {
		t.Fatalf("summary %q: %v", last[runresult.Summary], err)
	}
	basis, err := runresult.ParseBasis(last[runresult.BasisResult])
	if err != nil {
		t.Fatalf("basis %q: %v", last[runresult.BasisResult], err)
	}
	s.Basis = &basis
	for old, by := range map[string]string{`}`: ``, `"checks":[`: `"checks":[1,`, `"policy":"sha256:`: `"policy":"sha512:`, `"platforms":["`: `"platforms":["x `} {
		wrong := strings.Replace(last[runresult.BasisResult], old, by, 1)
		if b, err := runresult.ParseBasis(wrong); err == nil {
			t.Errorf("a wrong basis is read, %s: %+v", wrong, b)
		}
	}
	return s.ageless()
}

// taskParams are the values of a Task's parameters, as Tekton would give them.
func taskParams(task *pipelinev1.Task, given pipelinev1.Params, params map[string]string, results map[string]map[string]string) map[string][]string {
	all := map[string][]string{}
	for _, spec := range task.Spec.Params {
		if spec.Default != nil {
			all[spec.Name] = []string{spec.Default.StringVal}
		}
	}
	for _, param := range given {
		var got []string
		for _, value := range append(slices.Clone(param.Value.ArrayVal), param.Value.StringVal) {
			if param.Value.Type == pipelinev1.ParamTypeArray && value == "" {
				continue
			}
			for name, is := range params {
				value = strings.ReplaceAll(value, "$(params."+name+")", is)
			}
			for task, of := range results {
				for name, is := range of {
					if value == "$(tasks."+task+".results."+name+")" {
						value = is
					}
				}
			}
			got = append(got, value)
		}
		all[param.Name] = got
	}
	return all
}

// arguments are a step's, with parameters filled in and the container's paths moved.
func (p programs) arguments(from []string, root, results string, params map[string][]string) []string {
	var args []string
	for _, a := range from {
		if name, ok := strings.CutPrefix(a, "$(params."); ok && strings.HasSuffix(name, "[*])") {
			args = append(args, params[strings.TrimSuffix(name, "[*])")]...)
			continue
		}
		if flag, path, ok := strings.Cut(a, "=/"); ok {
			switch {
			case strings.HasPrefix(path, "tekton/results"):
				path = results
			case strings.HasPrefix(path, "etc/"):
				path = filepath.Join(p.config, path)
			default:
				path = filepath.Join(root, path)
			}
			a = flag + "=" + path
		}
		for name, values := range params {
			if len(values) == 1 {
				a = strings.ReplaceAll(a, "$(params."+name+")", values[0])
			}
		}
		args = append(args, a)
	}
	return args
}

func readResults(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]string{}
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		read[f.Name()] = string(raw)
	}
	return read
}
