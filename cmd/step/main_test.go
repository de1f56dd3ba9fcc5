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
	"slices"
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
	"github.com/revet-dev/revet/triggers"
)

// pod is what the Pipeline's Tasks run, without Tekton: their command lines
// from the files in triggers/, and what they mount, in a temporary directory.
type pod struct {
	t     *testing.T
	root  string
	host  string
	image string // reference
	// params are the Pipeline's parameters.
	params map[string]string
	steps  []step
	before func(i int)
	// apart says that publishing is a Pod of its own.
	apart bool
}

// step is one step of one Task.
type step struct {
	task string
	args []string
}

// newPod lays out what the Tasks mount.
func newPod(t *testing.T) *pod {
	t.Helper()
	return podOf(t, false)
}

// newPodApart is newPod for the form in which publishing is a Pod of its own.
func newPodApart(t *testing.T) *pod {
	t.Helper()
	p := podOf(t, true)
	p.write("/workspace/documents/.keep", "")
	return p
}

func podOf(t *testing.T, apart bool) *pod {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	p := &pod{t: t, root: t.TempDir(), host: strings.TrimPrefix(s.URL, "http://"), params: map[string]string{}, apart: apart}
	t.Setenv("DOCKER_CONFIG", filepath.Join(p.root, "no-credentials"))
	var rules struct{ Data map[string]string }
	p.read("200-rules.yaml", &rules)
	p.write("/etc/revet/rules/rules.yaml", rules.Data["rules.yaml"])
	p.write("/etc/revet/registries/insecure", p.host+"\n")
	var pipeline struct {
		Spec struct {
			Params []struct{ Name, Default string }
		}
	}
	p.read("400-pipeline.yaml", &pipeline)
	for _, param := range pipeline.Spec.Params {
		p.params[param.Name] = param.Default
	}
	p.params["scan"] = "Off" // the scanner is another program; scanned stands for it
	files := []string{"300-scan-image.yaml", "310-verify-signature.yaml", "320-join-verdict.yaml"}
	if apart {
		files = slices.Insert(files, 1, "330-publish-documents.yaml")
	}
	for _, file := range files {
		p.add(file)
	}
	return p
}

// add reads the steps of a Task.
func (p *pod) add(file string) {
	p.t.Helper()
	var task struct {
		Metadata struct{ Name string }
		Spec     struct {
			Steps []struct {
				Command []string
				Args    []string
			}
		}
	}
	p.read(file, &task)
	for _, s := range task.Spec.Steps {
		if !slices.Equal(s.Command, []string{"/ko-app/step"}) {
			continue // another program's; without a database it reports nothing
		}
		p.steps = append(p.steps, step{task.Metadata.Name, s.Args})
	}
	p.write("/tekton/"+task.Metadata.Name+"/.keep", "")
}

func (p *pod) read(file string, into any) {
	p.t.Helper()
	b, err := fs.ReadFile(os.DirFS("../../triggers"), file)
	if p.apart {
		b, _ = triggers.Apart(b)
	}
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

// step runs step i and returns its status and standard error.
func (p *pod) step(i int) (int, string) {
	p.t.Helper()
	if p.before != nil {
		p.before(i)
	}
	var args []string
	for _, a := range p.steps[i].args {
		if a == "$(params.outcomes[*])" {
			args = append(args, p.result("scan-image", "outcome"), p.result("verify-signature", "outcome"))
			continue
		}
		for name, value := range p.params {
			a = strings.ReplaceAll(a, "$(params."+name+")", value)
		}
		a = strings.ReplaceAll(a, "$(params.expect)", "layers,validate,scan,signature")
		a = strings.ReplaceAll(a, "$(params.outcome)", p.result("scan-image", "outcome"))
		a = strings.ReplaceAll(a, "$(params.published)", p.published())
		a = strings.ReplaceAll(a, "$(workspaces.documents.path)", "/workspace/documents")
		a = strings.ReplaceAll(a, "/tekton/results", "/tekton/"+p.steps[i].task)
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

// published is what the Pipeline gives to join-verdict.
func (p *pod) published() string {
	if !p.apart {
		return ""
	}
	return p.result("publish-documents", "published")
}

func (p *pod) result(task, name string) string {
	b, err := fs.ReadFile(os.DirFS(p.root), "tekton/"+task+"/"+name)
	if err != nil {
		return "(none)"
	}
	return string(b)
}

// finish runs all steps, which must succeed, and returns the results.
func (p *pod) finish() (map[string]string, verdict.Summary) {
	p.t.Helper()
	for i := range p.steps {
		if status, errOut := p.step(i); status != 0 || errOut != "" {
			p.t.Fatalf("step %d: status %d: %s", i, status, errOut)
		}
	}
	got := map[string]string{}
	for _, name := range []string{"verdict", "digest", "report", "error"} {
		got[name] = p.result("join-verdict", name)
	}
	var summary verdict.Summary
	if err := json.Unmarshal([]byte(p.result("join-verdict", "summary")), &summary); err != nil {
		p.t.Fatal(err)
	}
	return got, summary
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
	config.Config.Entrypoint = []string{"/app"}
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
	p.params["reference"] = p.image
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
			[]string{"non-root", "no-secret-in-env", "required-labels", "not-too-old", "has-command"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPod(t)
			digest := p.push(tt.edit)
			p.params["publish"] = "none"
			got, summary := p.finish()
			want := map[string]string{"verdict": "pass", "digest": digest, "report": "", "error": "(none)"}
			if tt.want != nil {
				want["verdict"] = "fail"
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"scan", "signature"}, summary.Off); diff != "" {
				t.Errorf("what nobody looked for (-want +got):\n%s", diff)
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

// Without an image, an intact image, rules, a key or a step, there is no verdict, and
// the reason is one line on standard error and a result.
func TestTaskWithoutAVerdict(t *testing.T) {
	const fetched, validated, published, looked, joined = 0, 1, 2, 3, 4
	tests := []struct {
		name  string
		spoil func(*pod)
		step  int // that fails
		want  string
	}{
		{"an image that is gone", func(p *pod) { p.params["reference"] = p.image[:len(p.image)-4] + "0000" }, fetched, "ContentMissing: manifest sha256:"},
		{"a reference by tag", func(p *pod) { p.params["reference"], _, _ = strings.Cut(p.image, "@") }, fetched, "names no digest"},
		{"an index of nothing", func(p *pod) { p.pushed(empty.Index) }, fetched, "NotAnImage: "},
		{"a platform that the image is not for", func(p *pod) { p.params["platforms"] = "linux/amd64,linux/s390x" }, fetched, "ContentMissing: platform linux/s390x"},
		{"a registry that nobody listed", func(p *pod) { p.write("/etc/revet/registries/insecure", "") }, fetched, "AddressRefused: "},
		{"a list of registries that is broken", func(p *pod) { p.write("/etc/revet/registries/insecure", "http://x") }, fetched, "line 1 of insecure registries"},
		{"rules that are broken", func(p *pod) {
			p.write("/etc/revet/rules/rules.yaml", "rules:\n- {name: r, message: m, expression: 'image.x'}")
		}, validated, `rule "r" (line 2): expression: at 1:6: undefined field 'x'`},
		{"rules that cannot be evaluated", func(p *pod) {
			p.write("/etc/revet/rules/rules.yaml", "rules:\n- {name: r, message: m, expression: \"image.config.labels['x'] == ''\"}")
		}, validated, `rule "r" (line 2), image linux/amd64`},
		{"a check that did not run", func(p *pod) { p.steps = slices.Delete(p.steps, validated, published) }, 1, `check "validate": no report`},
		{"a scan that did not report", func(p *pod) { p.params["scan"] = "On" }, published, `check "scan": no report`},
		{"a scan that did not report, and a database that is named", func(p *pod) { p.params["scan"], p.params["database"] = "On", "registry.example.com/db:1" }, published, `check "scan": no report`},
		{"a scan that is neither on nor off", func(p *pod) { p.params["scan"] = "off" }, published, `invalid argument "off" for "--scan" flag: accepted are On and Off`},
		{"a scan of which nothing is said", func(p *pod) { p.params["scan"] = "" }, published, `invalid argument "" for "--scan" flag: accepted are On and Off`},
		{"a way of publishing that is none", func(p *pod) { p.params["publish"] = "always" }, published, "referrers, required and none"},
		{"a report that must be published and cannot", func(p *pod) {
			p.params["publish"] = "required"
			p.before = func(i int) {
				if i == published {
					p.write("/etc/revet/registries/insecure", "")
				}
			}
		}, published, "AddressRefused: report report.sarif"},
		{"a fetch that did not run", func(p *pod) { p.steps = p.steps[1:] }, 0, "did the fetch step run?"},
		{"a policy that is none", func(p *pod) { p.params["signature"] = "optional" }, looked, `unknown signature policy "optional"`},
		{"a signature that is required without a key", func(p *pod) { p.params["signature"] = "Required" }, looked, "there is no key"},
		{"a key that is none", func(p *pod) { p.write("/etc/revet/keys/cosign.pub", "x") }, looked, `key "cosign.pub"`},
		{"a Task whose outcome is another image's", func(p *pod) {
			p.before = func(i int) {
				if i == looked {
					p.params["reference"] = p.image[:len(p.image)-4] + "0000"
				}
			}
		}, joined, "one Task checked sha256:"},
		{"a Task without an outcome", func(p *pod) {
			p.before = func(i int) {
				if i == joined {
					p.write("/tekton/scan-image/outcome", "")
				}
			}
		}, joined, "outcome 1 of 2: the outcome is empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPod(t)
			p.push(func(*v1.ConfigFile) {})
			p.params["publish"] = "none"
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
			if got := p.result(p.steps[tt.step].task, "error"); !strings.Contains(got, tt.want) {
				t.Errorf("result error is %q, want %q", got, tt.want)
			}
			for _, name := range []string{"verdict", "outcome"} {
				if got := p.result(p.steps[tt.step].task, name); got != "(none)" {
					t.Errorf("there is the %s %q", name, got)
				}
			}
		})
	}
}

// What was found is beside the image, for a client that has the digest only; a
// report that cannot be pushed leaves the verdict as it is and is told.
func TestReportsArePublished(t *testing.T) {
	p := newPod(t)
	digest := p.push(func(c *v1.ConfigFile) { c.Config.User = "root" })
	got, summary := p.finish()
	if got["verdict"] != "fail" || summary.Unpublished != "" {
		t.Errorf("verdict %q, unpublished %q", got["verdict"], summary.Unpublished)
	}
	ref, err := name.NewDigest(got["report"])
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Referrers(ref.Context().Digest(digest))
	if err != nil {
		t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil || len(list.Manifests) != 1 || list.Manifests[0].Digest.String() != ref.DigestStr() || list.Manifests[0].ArtifactType != "application/sarif+json" {
		t.Fatalf("the referrers are %+v, %v; the result names %s", list, err, ref)
	}

	p.before = func(i int) {
		if p.steps[i].args[0] == "publish" {
			p.write("/etc/revet/registries/insecure", "")
		} else {
			p.write("/etc/revet/registries/insecure", p.host+"\n")
		}
	}
	got, summary = p.finish()
	if got["verdict"] != "fail" || got["report"] != "" || !strings.HasPrefix(summary.Unpublished, "AddressRefused: ") {
		t.Errorf("verdict %q, report %q, unpublished %q", got["verdict"], got["report"], summary.Unpublished)
	}
}

// Of an index, the chosen platforms are checked, and that others were not is told.
func TestChosenPlatforms(t *testing.T) {
	p := newPod(t)
	var index v1.ImageIndex = empty.Index
	for _, architecture := range []string{"amd64", "arm64"} {
		p.push(func(c *v1.ConfigFile) {
			c.Architecture = architecture
			if architecture == "arm64" {
				c.Config.User = "root"
			}
		})
		ref, err := name.NewDigest(p.image)
		if err != nil {
			t.Fatal(err)
		}
		img, err := remote.Image(ref)
		if err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}}})
	}
	p.pushed(index)
	for platforms, want := range map[string]struct {
		verdict            string
		images, unselected int
	}{
		"":                        {"fail", 2, 0},
		"linux/amd64":             {"pass", 1, 1},
		"linux/arm64":             {"fail", 1, 1},
		"linux/arm64,linux/amd64": {"fail", 2, 0},
	} {
		p.params["platforms"], p.params["publish"] = platforms, "none"
		got, summary := p.finish()
		if got["verdict"] != want.verdict || summary.Counts.Images != want.images || summary.Counts.Unselected != want.unselected {
			t.Errorf("platforms %q: verdict %q, counts %+v; want %+v", platforms, got["verdict"], summary.Counts, want)
		}
	}
}

// Every command explains itself, with examples.
func TestHelp(t *testing.T) {
	for _, command := range []string{"fetch", "validate", "publish", "publish-documents", "signature", "verdict"} {
		var out bytes.Buffer
		if status := run(t.Context(), append(strings.Fields(command), "--help"), &out, io.Discard); status != 0 || !strings.Contains(out.String(), "Examples:\n  step "+command) {
			t.Errorf("%s --help: status %d\n%s", command, status, out.String())
		}
	}
}
