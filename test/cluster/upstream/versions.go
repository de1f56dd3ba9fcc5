package upstream

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/mod/modfile"
)

const testModule = "github.com/revet-dev/revet/test"

// recipe changes whenever images would be built differently from the same modules.
const recipe = "2"

// shaping are the modules that, besides its own, decide how a component behaves.
func shaping() []string {
	return []string{"knative.dev/pkg", "k8s.io/api", "k8s.io/apimachinery", "k8s.io/apiextensions-apiserver", "k8s.io/client-go"}
}

// findModule returns the test module's folder: an ancestor of dir, or the folder test in one.
func findModule(dir string) (string, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("upstream: finding the working directory: %w", err)
	}
	for at := start; ; at = filepath.Dir(at) {
		for _, candidate := range []string{at, filepath.Join(at, "test")} {
			data, err := os.ReadFile(filepath.Join(candidate, "go.mod")) //nolint:gosec // an ancestor of the working directory
			if err == nil && modfile.ModulePath(data) == testModule {
				return candidate, nil
			}
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("upstream: the module %s is not found from %q: run this inside a clone of the repository", testModule, start)
		}
	}
}

// versions are the modules in use, each as "path version checksum", by the path under which it is imported.
type versions map[string]string

func readVersions(moduleDir string) (versions, error) {
	mod, err := os.ReadFile(filepath.Join(moduleDir, "go.mod")) //nolint:gosec // the module in use
	if err != nil {
		return nil, fmt.Errorf("upstream: reading the versions in use: %w", err)
	}
	sum, err := os.ReadFile(filepath.Join(moduleDir, "go.sum")) //nolint:gosec // the module in use
	if err != nil {
		return nil, fmt.Errorf("upstream: reading the checksums in use: %w", err)
	}
	return parseVersions(mod, sum)
}

func parseVersions(mod, sum []byte) (versions, error) {
	file, err := modfile.Parse("go.mod", mod, nil)
	if err != nil {
		return nil, fmt.Errorf("upstream: reading the versions in use: %w", err)
	}
	checksums := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(sum)); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) == 3 {
			checksums[fields[0]+" "+fields[1]] = fields[2]
		}
	}
	replaced := map[string]string{}
	for _, r := range file.Replace {
		replaced[r.Old.Path] = r.New.Path + " " + r.New.Version
	}
	vs := versions{}
	for _, r := range file.Require {
		version := r.Mod.Path + " " + r.Mod.Version
		if v, found := replaced[r.Mod.Path]; found {
			version = v
		}
		vs[r.Mod.Path] = version + " " + checksums[version]
	}
	return vs, nil
}

// key names the cache folder of c: the same key means the same images.
func (vs versions) key(c component) (string, error) {
	parts := []string{"recipe " + recipe, "ko " + koVersion, runtime.GOARCH}
	for _, m := range append([]string{c.module}, shaping()...) {
		v, found := vs[m]
		if !found {
			return "", fmt.Errorf("upstream: go.mod does not require %s, which %s is built from", m, c.name)
		}
		parts = append(parts, v)
	}
	parts = append(parts, c.files...)
	parts = append(parts, c.images...)
	digest := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return c.name + "-" + hex.EncodeToString(digest[:8]), nil
}
