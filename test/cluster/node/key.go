package node

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/mod/modfile"
)

// keyed are the modules whose versions make another multi-call binary. Others
// change without need: the module file serves the whole test module.
var keyed = []string{"k8s.io/", "sigs.k8s.io/", "go.etcd.io/", "github.com/coredns/", "google.golang.org/grpc"}

// moduleVersions lists the versions of the modules with one of the prefixes,
// one a line, replacements included.
func moduleVersions(goMod []byte, prefixes []string) ([]string, error) {
	file, err := modfile.Parse("go.mod", goMod, nil)
	if err != nil {
		return nil, fmt.Errorf("parse go.mod: %w", err)
	}
	var lines []string
	add := func(path, version string) {
		for _, prefix := range prefixes {
			if strings.HasPrefix(path, prefix) {
				lines = append(lines, path+" "+version)
			}
		}
	}
	for _, r := range file.Require {
		add(r.Mod.Path, r.Mod.Version)
	}
	for _, r := range file.Replace {
		add(r.Old.Path, "=> "+r.New.Path+" "+r.New.Version)
	}
	sort.Strings(lines)
	return lines, nil
}

// versionOf returns the version that go.mod requires of a module.
func versionOf(goMod []byte, module string) (string, error) {
	lines, err := moduleVersions(goMod, []string{module})
	if err != nil {
		return "", err
	}
	for _, line := range lines {
		if path, version, _ := strings.Cut(line, " "); path == module && !strings.HasPrefix(version, "=>") {
			return version, nil
		}
	}
	return "", fmt.Errorf("go.mod does not require %q", module)
}

// sources returns what identifies the Go sources of a directory and those
// below it: names and contents.
func sources(dir string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		found = append(found, name+" "+hex.EncodeToString(sum[:]))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read sources: %w", err)
	}
	return found, nil
}

// cacheKey is short enough for a path and long enough never to collide.
func cacheKey(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:6])
}
