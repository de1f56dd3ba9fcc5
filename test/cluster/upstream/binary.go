package upstream

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
)

// EnsureBinary returns a command of upstream as a program of this machine, and builds it into the cache if it is missing:
// for who runs it beside a cluster of the fast tier, which has no Pods. It is made of the same sources as the command's
// image, which is what importPath has to have in some [Profile].
func EnsureBinary(ctx context.Context, o Options, importPath string) (string, error) {
	o, err := o.withDefaults()
	if err != nil {
		return "", err
	}
	c, err := componentOf(importPath)
	if err != nil {
		return "", err
	}
	vs, err := readVersions(o.ModuleDir)
	if err != nil {
		return "", err
	}
	key, err := vs.key(c)
	if err != nil {
		return "", err
	}
	name := path.Base(importPath)
	dir, err := filepath.Abs(filepath.Join(o.CacheDir, "bin", key))
	if err != nil {
		return "", fmt.Errorf("upstream: finding the cache folder: %w", err)
	}
	program := filepath.Join(dir, name)
	unlock, err := lock(ctx, program, func() { o.Log("upstream: another process builds %s, waiting for it", name) })
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	o.Log("upstream: building %s, once", name)
	return program, buildBinary(ctx, o, importPath, program)
}

// buildBinary builds beside the program's place and renames, so that a program is complete or absent.
func buildBinary(ctx context.Context, o Options, importPath, program string) error {
	module, err := os.MkdirTemp(filepath.Dir(program), ".module-")
	if err != nil {
		return fmt.Errorf("upstream: making room for a go.mod: %w", err)
	}
	defer os.RemoveAll(module)
	if err := writeModule(ctx, o.ModuleDir, module); err != nil {
		return fmt.Errorf("upstream: building %s: %w", importPath, err)
	}
	staged := filepath.Join(module, "program")
	build := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", staged, importPath) //nolint:gosec // componentOf knows it
	build.Dir = module
	build.Env = append(build.Environ(), "CGO_ENABLED=0", "GOFLAGS="+goFlags)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("upstream: building %s: %w: %s", importPath, err, tail(string(out)))
	}
	if err := os.Rename(staged, program); err != nil {
		return fmt.Errorf("upstream: putting %s in its place: %w", importPath, err)
	}
	return nil
}

func componentOf(importPath string) (component, error) {
	all, err := components(Full)
	if err != nil {
		return component{}, err
	}
	i := slices.IndexFunc(all, func(c component) bool { return slices.Contains(c.images, importPath) })
	if i < 0 {
		return component{}, fmt.Errorf("upstream: no component has the command %q", importPath)
	}
	return all[i], nil
}
