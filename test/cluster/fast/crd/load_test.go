package crd_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/revet-dev/revet/test/cluster/fast/crd"
)

const definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.test}\n"

func write(t *testing.T, content string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLoadTakesDefinitionsAndLeavesOtherKinds(t *testing.T) {
	crds, err := crd.Load(write(t, "# a licence\n---\nkind: Namespace\n---\n"+definition+"---\n"+definition))
	if err != nil || len(crds) != 2 {
		t.Errorf("got %d definitions, %v, want 2", len(crds), err)
	}
}

func TestLoadRefusesWhatCannotBeMeant(t *testing.T) {
	for name, content := range map[string]string{
		"a directory without a definition": "kind: Namespace\n",
		"a definition with a wrong field":  definition + "specs: {}\n",
		"what is no YAML":                  "a: b: c\n",
	} {
		t.Run(name, func(t *testing.T) {
			if crds, err := crd.Load(write(t, content)); err == nil {
				t.Errorf("Load took it as %v", crds)
			}
		})
	}
}
