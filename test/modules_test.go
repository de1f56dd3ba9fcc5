package test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/modfile"
)

// apart are the modules that hold other projects' programs, in the versions that those
// were released with. Their versions may differ from the product's.
var apart = []string{"test/build", "test/gvisor", "test/helm", "test/interop", "test/netpol"}

// The product, its scanner and its tests hold the same version of every module that
// they share, so that a cold build compiles each package once and tests run what is
// shipped.
func TestModulesAgreeOnVersions(t *testing.T) {
	product := versions(t, ".")
	for _, dir := range modules(t) {
		if slices.Contains(apart, dir) || dir == "." {
			continue
		}
		compared := 0
		for module, version := range versions(t, dir) {
			own, ok := product[module]
			if !ok {
				continue
			}
			compared++
			if version != own {
				t.Errorf("%s is %s in the product's go.mod and %s in %s: raise the older with go get", module, own, version, dir)
			}
		}
		if compared < 5 {
			t.Errorf("compared only %d modules of %s: the files are not what this test expects", compared, dir)
		}
	}
}

// No module rots unseen. "make test" compiles each module, and "make lint" lints it and
// holds that it is tidy; "make thirdparty" builds those that stand apart. Continuous
// integration runs all three.
func TestModulesAreBuilt(t *testing.T) {
	targets := makeTargets(t)
	var missing []string
	want := func(target, command string) {
		if !strings.Contains(targets[target], command) {
			missing = append(missing, fmt.Sprintf("make %s: %s", target, command))
		}
	}
	for _, dir := range modules(t) {
		switch {
		case dir == ".":
			want("test", "\tgo vet ./...")
			want("lint", "\t$(LINT) run ./...")
		case slices.Contains(apart, dir):
			want("thirdparty", "cd "+dir+" && go vet ./")
		default:
			want("test", "cd "+dir+" && go vet .")
			want("lint", "cd "+dir+" && $(LINT) run ")
			want("lint", "cd "+dir+" && go mod tidy -diff")
		}
	}
	if diff := cmp.Diff([]string(nil), missing); diff != "" {
		t.Errorf("targets that leave a module out (-want +got):\n%s", diff)
	}
	ci, err := os.ReadFile("../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"test", "lint", "thirdparty"} {
		if !strings.Contains(string(ci), "\ngate "+target) {
			t.Errorf(".ci/run does not run make %s", target)
		}
	}
}

// makeTargets returns the recipes of the Makefile by target.
func makeTargets(t *testing.T) map[string]string {
	t.Helper()
	raw, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	targets, target := map[string]string{}, ""
	for line := range strings.Lines(string(raw)) {
		if name, rest, ok := strings.Cut(line, ":"); ok && strings.Contains(rest, "## ") && !strings.HasPrefix(line, "\t") {
			target = name
		}
		targets[target] += line
	}
	return targets
}

// modules are the folders of all modules of the repository.
func modules(t *testing.T) []string {
	t.Helper()
	var dirs []string
	err := fs.WalkDir(os.DirFS(".."), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if d.Name() == "go.mod" {
			dirs = append(dirs, filepath.ToSlash(filepath.Dir(path)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range append([]string{".", "cmd/scan", "test"}, apart...) {
		if !slices.Contains(dirs, dir) {
			t.Fatalf("module %s is not among %q", dir, dirs)
		}
	}
	return dirs
}

// versions are those that the go.mod of a module requires.
func versions(t *testing.T, dir string) map[string]string {
	t.Helper()
	file := filepath.Join("..", dir, "go.mod")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := modfile.Parse(file, content, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, r := range parsed.Require {
		all[r.Mod.Path] = r.Mod.Version
	}
	for _, r := range parsed.Replace {
		if _, ok := all[r.Old.Path]; ok && r.New.Version != "" {
			all[r.Old.Path] = r.New.Version
		}
	}
	return all
}
