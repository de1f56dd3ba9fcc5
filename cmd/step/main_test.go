package main

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"sigs.k8s.io/yaml"

	"github.com/revet-dev/revet/pkg/pipeline/verdict"
)

// pod is what the Task mounts into its steps, in a temporary directory.
type pod struct {
	t     *testing.T
	root  string
	host  string
	image string // reference
	steps [][]string
}

// newPod lays out what 300-task.yaml mounts, from the files in triggers/.
func newPod(t *testing.T) *pod {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	p := &pod{t: t, root: t.TempDir(), host: strings.TrimPrefix(s.URL, "http://")}
	t.Setenv("DOCKER_CONFIG", filepath.Join(p.root, "no-credentials"))
	var rules struct{ Data map[string]string }
	p.read("200-rules.yaml", &rules)
	p.write("/etc/revet/rules/rules.yaml", rules.Data["rules.yaml"])
	p.write("/etc/revet/registries/insecure", p.host+"\n")
	p.write("/tekton/results/.keep", "")
	var task struct {
		Spec struct {
			Steps []struct {
				Command []string
				Args    []string
			}
		}
	}
	p.read("300-task.yaml", &task)
	for _, s := range task.Spec.Steps {
		if diff := cmp.Diff([]string{"/ko-app/step"}, s.Command); diff != "" {
			t.Fatalf("command (-want +got):\n%s", diff)
		}
		p.steps = append(p.steps, s.Args)
	}
	return p
}

func (p *pod) read(file string, into any) {
	p.t.Helper()
	b, err := fs.ReadFile(os.DirFS("../../triggers"), file)
	if err == nil {
		err = yaml.Unmarshal(b, into)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *pod) write(path, text string) {
	p.t.Helper()
	path = filepath.Join(p.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// step runs the Task's step i and returns its status and standard error.
func (p *pod) step(i int) (int, string) {
	p.t.Helper()
	var args []string
	for _, a := range p.steps[i] {
		a = strings.ReplaceAll(a, "$(params.reference)", p.image)
		if flag, value, ok := strings.Cut(a, "=/"); ok {
			a = flag + "=" + filepath.Join(p.root, value)
		}
		args = append(args, a)
	}
	var out, errOut bytes.Buffer
	status := run(p.t.Context(), args, &out, &errOut)
	p.t.Logf("%v: status %d\n%s%s", args, status, out.String(), errOut.String())
	return status, errOut.String()
}

func (p *pod) result(name string) string {
	b, err := fs.ReadFile(os.DirFS(p.root), "tekton/results/"+name)
	if err != nil {
		return "(none)"
	}
	return string(b)
}

// push builds an image as edit wants it and makes it the one to check.
func (p *pod) push(edit func(*v1.ConfigFile)) string {
	p.t.Helper()
	img, err := random.Image(512, 2)
	if err != nil {
		p.t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		p.t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Created = v1.Time{Time: time.Now().Add(-time.Hour)}
	config.Config.User = "65532"
	config.Config.Env = []string{"PATH=/bin", "TOKENIZERS_PARALLELISM=false", "API_KEY_FILE=/run/key", "DB_PASSWORD="}
	config.Config.Labels = map[string]string{"org.opencontainers.image.source": "https://example.com/app"}
	config.History = append(config.History, v1.History{CreatedBy: "RUN --mount=type=secret,id=token login --token=$TOKEN", EmptyLayer: true})
	edit(config)
	if img, err = mutate.ConfigFile(img, config); err != nil {
		p.t.Fatal(err)
	}
	return p.pushed(img)
}

func (p *pod) pushed(what remote.Taggable) string {
	p.t.Helper()
	tag, err := name.NewTag(p.host + "/team/app:latest")
	if err == nil {
		err = remote.Push(tag, what)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	desc, err := remote.Get(tag)
	if err != nil {
		p.t.Fatal(err)
	}
	p.image = tag.Repository.Digest(desc.Digest.String()).String()
	return desc.Digest.String()
}

// The Task's own command lines, with the rules in triggers/, give the verdict
// that each image deserves.
func TestTaskGivesTheVerdict(t *testing.T) {
	tests := []struct {
		name string
		edit func(*v1.ConfigFile)
		want []string // rules that fail
	}{
		{"a good image passes", func(*v1.ConfigFile) {}, nil},
		{"root fails", func(c *v1.ConfigFile) { c.Config.User = "" }, []string{"non-root"}},
		{"root by number and group fails", func(c *v1.ConfigFile) { c.Config.User = "00:0" }, []string{"non-root"}},
		{"root by name fails", func(c *v1.ConfigFile) { c.Config.User = "root" }, []string{"non-root"}},
		{"a user whose number begins with 0 passes", func(c *v1.ConfigFile) { c.Config.User = "0100" }, nil},
		{"a password in the environment fails", func(c *v1.ConfigFile) { c.Config.Env = append(c.Config.Env, "DB_PASSWORD=not-a-real-one") }, []string{"no-secret-in-env"}},
		{"a key by its looks fails", func(c *v1.ConfigFile) { c.Config.Env = append(c.Config.Env, "X=AKIA"+strings.Repeat("A", 16)) }, []string{"no-secret-in-env"}},
		{"a token in the history fails", func(c *v1.ConfigFile) {
			c.History = append(c.History, v1.History{CreatedBy: "RUN |1 NPM_TOKEN=not-a-real-one /bin/sh -c npm ci", EmptyLayer: true})
		}, []string{"no-secret-in-history"}},
		{"no source label fails", func(c *v1.ConfigFile) { c.Config.Labels = nil }, []string{"required-labels"}},
		{"an empty source label fails", func(c *v1.ConfigFile) { c.Config.Labels["org.opencontainers.image.source"] = "" }, []string{"required-labels"}},
		{"a year and a day fail", func(c *v1.ConfigFile) { c.Created = v1.Time{Time: time.Now().AddDate(0, 0, -366)} }, []string{"not-too-old"}},
		{"a year but for a day passes", func(c *v1.ConfigFile) { c.Created = v1.Time{Time: time.Now().AddDate(0, 0, -364)} }, nil},
		{"no date fails", func(c *v1.ConfigFile) { c.Created = v1.Time{} }, []string{"not-too-old"}},
		{"everything fails at once", func(c *v1.ConfigFile) { c.Config, c.Created = v1.Config{Env: []string{"SECRET=x"}}, v1.Time{} },
			[]string{"non-root", "no-secret-in-env", "required-labels", "not-too-old"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPod(t)
			digest := p.push(tt.edit)
			for i := range p.steps {
				if status, errOut := p.step(i); status != 0 || errOut != "" {
					t.Fatalf("step %d: status %d: %s", i, status, errOut)
				}
			}
			want := map[string]string{"verdict": "pass", "digest": digest, "report": "", "error": "(none)"}
			if tt.want != nil {
				want["verdict"] = "fail"
			}
			got := map[string]string{}
			for name := range want {
				got[name] = p.result(name)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			var summary verdict.Summary
			if err := json.Unmarshal([]byte(p.result("summary")), &summary); err != nil {
				t.Fatal(err)
			}
			var rules []string
			for _, f := range summary.Findings {
				rules = append(rules, f.Rule)
				if strings.Contains(f.Message, "not-a-real-one") || strings.Contains(f.Message, "AKIA") {
					t.Errorf("the summary tells the secret: %s", f.Message)
				}
			}
			if diff := cmp.Diff(tt.want, rules); diff != "" {
				t.Errorf("rules (-want +got):\n%s", diff)
			}
		})
	}
}

// Without an image, an intact image, rules or a step, there is no verdict, and
// the reason is one line on standard error and a result.
func TestTaskWithoutAVerdict(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*pod)
		step  int // that fails
		want  string
	}{
		{"an image that is gone", func(p *pod) { p.image = p.image[:len(p.image)-4] + "0000" }, 0, "ContentMissing: manifest sha256:"},
		{"a reference by tag", func(p *pod) { p.image, _, _ = strings.Cut(p.image, "@") }, 0, "names no digest"},
		{"an index of nothing", func(p *pod) { p.pushed(empty.Index) }, 0, "NotAnImage: "},
		{"a registry that nobody listed", func(p *pod) { p.write("/etc/revet/registries/insecure", "") }, 0, "AddressRefused: "},
		{"a list of registries that is broken", func(p *pod) { p.write("/etc/revet/registries/insecure", "http://x") }, 0, "line 1 of insecure registries"},
		{"rules that are broken", func(p *pod) {
			p.write("/etc/revet/rules/rules.yaml", "rules:\n- {name: r, message: m, expression: 'image.x'}")
		}, 1, `rule "r" (line 2): expression: at 1:6: undefined field 'x'`},
		{"rules that cannot be evaluated", func(p *pod) {
			p.write("/etc/revet/rules/rules.yaml", "rules:\n- {name: r, message: m, expression: \"image.config.labels['x'] == ''\"}")
		}, 1, `rule "r" (line 2), image linux/amd64`},
		{"a check that did not run", func(p *pod) { p.steps = [][]string{p.steps[0], p.steps[2]} }, 1, `check "validate": no report`},
		{"a fetch that did not run", func(p *pod) { p.steps = p.steps[1:] }, 0, "did the fetch step run?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPod(t)
			p.push(func(*v1.ConfigFile) {})
			tt.spoil(p)
			for i := range tt.step {
				if status, _ := p.step(i); status != 0 {
					t.Fatalf("step %d failed too early", i)
				}
			}
			status, errOut := p.step(tt.step)
			if status != 1 || strings.Count(errOut, "\n") != 1 || !strings.Contains(errOut, tt.want) {
				t.Errorf("status %d, standard error %q; want 1 and one line with %q", status, errOut, tt.want)
			}
			if got := p.result("error"); !strings.Contains(got, tt.want) {
				t.Errorf("result error is %q, want %q", got, tt.want)
			}
			if got := p.result("verdict"); got != "(none)" {
				t.Errorf("there is the verdict %q", got)
			}
		})
	}
}

// Every command explains itself, with examples.
func TestHelp(t *testing.T) {
	for _, command := range []string{"fetch", "validate", "verdict"} {
		var out bytes.Buffer
		if status := run(t.Context(), []string{command, "--help"}, &out, io.Discard); status != 0 || !strings.Contains(out.String(), "Examples:\n  step "+command) {
			t.Errorf("%s --help: status %d\n%s", command, status, out.String())
		}
	}
}
