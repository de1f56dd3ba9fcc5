package test

import (
	"os"
	"testing"

	"golang.org/x/mod/modfile"
)

// The product, its scanner and its tests hold the same version of every module that
// they share, so that a cold build compiles each package once and tests run what is
// shipped.
func TestModulesAgreeOnVersions(t *testing.T) {
	product := versions(t, "../go.mod")
	for _, file := range []string{"go.mod", "layers/go.mod", "../cmd/scan/go.mod"} {
		compared := 0
		for module, version := range versions(t, file) {
			own, ok := product[module]
			if !ok {
				continue
			}
			compared++
			if version != own {
				t.Errorf("%s is %s in the product's go.mod and %s in %s: raise the older with go get", module, own, version, file)
			}
		}
		if compared < 10 {
			t.Fatalf("compared only %d modules of %s: the files are not what this test expects", compared, file)
		}
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
