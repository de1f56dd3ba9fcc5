package upstream

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files")

// Each file below testdata/adapt is a manifest, and its .golden what is applied of it.
func TestLoad(t *testing.T) {
	c := component{name: "thing", empty: []string{"outside.example/shell"}}
	refs := references{"": "registry/base@sha256:0", "example.com/cmd/run": "registry/run@sha256:1", "example.com/cmd/sink": "registry/sink@sha256:2"}
	files, err := filepath.Glob("testdata/adapt/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files to test: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			manifests, err := c.load(map[string][]byte{file: data}, refs)
			if err != nil {
				t.Fatal(err)
			}
			var documents []string
			for _, m := range manifests {
				document, err := yaml.Marshal(m.object.Object)
				if err != nil {
					t.Fatal(err)
				}
				documents = append(documents, string(document))
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", strings.Join(documents, "---\n"))
		})
	}
}

func TestLoadRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, row := range []struct{ name, manifest, wantErr string }{
		{"a kind that is not in the table", "apiVersion: batch/v1\nkind: Job\nmetadata: {name: x}\n", "holds a batch/v1, Kind=Job, which is not known here"},
		{"a Tekton flag that is not there any more", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: feature-flags, namespace: tekton-pipelines}\ndata: {}\n", "there is no flag"},
		{"text that is not YAML", "a: b: c\n", `reading manifest "file.yaml" of thing`},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := component{name: "thing"}.load(map[string][]byte{"file.yaml": []byte(row.manifest)}, references{})
			if err == nil || !strings.Contains(err.Error(), row.wantErr) {
				t.Errorf("error is %v, want one that says %q", err, row.wantErr)
			}
		})
	}
}

// The golden file lists what a profile installs from the modules' own manifests, with the images of every workload, so that
// an upgrade shows what it brings.
func TestProfiles(t *testing.T) {
	for _, p := range []Profile{Minimal, Full} {
		t.Run(string(p), func(t *testing.T) {
			var lines []string
			for _, m := range upstreamManifests(t, p) {
				lines = append(lines, m.String())
				content, err := json.Marshal(m.object.Object)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(content), koScheme) {
					t.Errorf("%s still has a ko:// reference", m)
				}
				if m.object.GetKind() == "Deployment" {
					for _, image := range imagesIn(string(content)) {
						lines = append(lines, "  "+image)
					}
				}
			}
			golden(t, filepath.Join("testdata", string(p)+".golden"), strings.Join(lines, "\n")+"\n")
		})
	}
}

// upstreamManifests returns what the profile installs, from the modules, with references of images that nobody built.
func upstreamManifests(t *testing.T, p Profile) []manifest {
	t.Helper()
	moduleDir, err := findModule(".")
	if err != nil {
		t.Fatal(err)
	}
	cs, err := components(p)
	if err != nil {
		t.Fatal(err)
	}
	all, err := glue()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cs {
		module, err := findUpstream(t.Context(), moduleDir, c.module)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := copyManifests(c, filepath.Join(module.Dir, "config"), filepath.Join(dir, manifestsDir)); err != nil {
			t.Fatal(err)
		}
		files, err := bundle{component: c, dir: dir}.manifests()
		if err != nil {
			t.Fatal(err)
		}
		refs := references{"": "image/empty"}
		for _, i := range c.images {
			refs[i] = "image/" + i
		}
		manifests, err := c.load(files, refs)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, manifests...)
	}
	return all
}

// imagesIn returns the image references in the JSON of an object, sorted.
func imagesIn(content string) []string {
	found := map[string]bool{}
	for _, s := range strings.Split(content, `"`) {
		if strings.HasPrefix(s, "image/") {
			found[s] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(fmt.Errorf("%w: run the test with -update", err))
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s -want +got (-update accepts it):\n%s", file, diff)
	}
}
