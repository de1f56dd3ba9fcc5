package test

import (
	"os"
	"testing"

	"golang.org/x/mod/modfile"
)

// The product and its tests hold the same version of every module that both
// name, so that a cold build compiles each package once and tests run what is
// shipped.
func TestModulesAgreeOnVersions(t *testing.T) {
	product, tests := versions(t, "../go.mod"), versions(t, "go.mod")
	compared := 0
	for module, version := range product {
		other, ok := tests[module]
		if !ok {
			continue
		}
		compared++
		if version != other {
			t.Errorf("%s is %s in go.mod and %s in test/go.mod: raise the older with go get", module, version, other)
		}
	}
	if compared < 50 {
		t.Fatalf("compared only %d modules: the files are not what this test expects", compared)
	}
}

func versions(t *testing.T, file string) map[string]string {
	t.Helper()
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
