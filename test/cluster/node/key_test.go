package node

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const goMod = `module example.com/m

go 1.26.0

require (
	example.com/other v1.0.0
	k8s.io/kubernetes v1.35.4
)

require k8s.io/api v0.35.5 // indirect

replace k8s.io/api => k8s.io/api v0.35.4
`

func TestOnlyNamedModulesMakeAnotherBinary(t *testing.T) {
	got, err := moduleVersions([]byte(goMod), []string{"k8s.io/"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"k8s.io/api => k8s.io/api v0.35.4", "k8s.io/api v0.35.5", "k8s.io/kubernetes v1.35.4"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

func TestTheVersionOfAModuleIsTheOneRequired(t *testing.T) {
	for _, row := range []struct {
		name, module, want string
	}{
		{"a module that is required", "k8s.io/kubernetes", "v1.35.4"},
		{"a module that is replaced too", "k8s.io/api", "v0.35.5"},
		{"a module that is not", "k8s.io/none", ""},
		{"the beginning of a module's path is none", "k8s.io/kube", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := versionOf([]byte(goMod), row.module)
			if got != row.want || (err == nil) != (row.want != "") {
				t.Errorf("got %q and error %v, want %q", got, err, row.want)
			}
		})
	}
}

func TestSourcesChangeWithTheirContentAndNotWithTests(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) []string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		found, err := sources(dir)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	first := write("a.go", "package a")
	if len(first) != 1 {
		t.Fatalf("found %q, want one file", first)
	}
	if cmp.Equal(first, write("a.go", "package b")) {
		t.Error("other content is taken for the same")
	}
	second := write("a.go", "package a")
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("the same content (-want +got):\n%s", diff)
	}
	if !cmp.Equal(first, write("a_test.go", "package a")) {
		t.Error("a test makes another binary")
	}
}
