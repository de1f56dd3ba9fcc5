package upstream

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"golang.org/x/mod/modfile"
)

// pinned are modules that images must have in the very version that knative.dev/pkg asks for. The OpenTelemetry SDK is one:
// it merges only what speaks its own version of the semantic conventions, and knative.dev/pkg, which Tekton starts with
// too, panics when that fails. The test module itself needs a newer one for other things.
func pinned() []string {
	return []string{"go.opentelemetry.io/otel/sdk", "go.opentelemetry.io/otel/sdk/metric"}
}

// writeModule makes dir the module that images are built in: the test module's go.mod and go.sum but for the pinned
// modules. A folder of its own, since ko cannot be given a -modfile.
func writeModule(ctx context.Context, moduleDir, dir string) error {
	authority, err := findUpstream(ctx, moduleDir, "knative.dev/pkg")
	if err != nil {
		return err
	}
	theirs, err := os.ReadFile(authority.GoMod)
	if err != nil {
		return fmt.Errorf("reading the go.mod of %s: %w", authority.Path, err)
	}
	ours, err := os.ReadFile(filepath.Join(moduleDir, "go.mod")) //nolint:gosec // the module in use
	if err != nil {
		return fmt.Errorf("reading the test module's go.mod: %w", err)
	}
	sum, err := os.ReadFile(filepath.Join(moduleDir, "go.sum")) //nolint:gosec // the module in use
	if err != nil {
		return fmt.Errorf("reading the test module's go.sum: %w", err)
	}
	content, err := pin(ours, theirs, moduleDir)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), content, 0o600); err != nil { //nolint:gosec // in a temporary folder
		return fmt.Errorf("writing the images' go.mod: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sum, 0o600); err != nil { //nolint:gosec // in a temporary folder
		return fmt.Errorf("writing the images' go.sum: %w", err)
	}
	// Adds the checksums, which the checksum database vouches for.
	download := exec.CommandContext(ctx, "go", append([]string{"mod", "download"}, pinned()...)...) //nolint:gosec // constants
	download.Dir = dir
	if out, err := download.CombinedOutput(); err != nil {
		return fmt.Errorf("downloading the pinned modules: %w: %s", err, tail(string(out)))
	}
	return nil
}

// pin returns the go.mod ours of the module in dir, with each pinned module replaced by the version that theirs requires, and
// with folders named so that it means the same elsewhere.
func pin(ours, theirs []byte, dir string) ([]byte, error) {
	file, err := modfile.Parse("go.mod", ours, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the test module's go.mod: %w", err)
	}
	authority, err := modfile.ParseLax("go.mod", theirs, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the go.mod to pin versions by: %w", err)
	}
	for _, r := range file.Replace {
		if modfile.IsDirectoryPath(r.New.Path) && !filepath.IsAbs(r.New.Path) {
			if err := file.AddReplace(r.Old.Path, r.Old.Version, filepath.Join(dir, r.New.Path), ""); err != nil {
				return nil, fmt.Errorf("naming the folder of %s: %w", r.Old.Path, err)
			}
		}
	}
	for _, path := range pinned() {
		i := slices.IndexFunc(authority.Require, func(r *modfile.Require) bool { return r.Mod.Path == path })
		if i < 0 {
			return nil, fmt.Errorf("%s does not require %s any more: is it still to be pinned?", authority.Module.Mod.Path, path)
		}
		if err := file.AddReplace(path, "", path, authority.Require[i].Mod.Version); err != nil {
			return nil, fmt.Errorf("pinning %s: %w", path, err)
		}
	}
	return file.Format()
}
