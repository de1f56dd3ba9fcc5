package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const koVersion = "v0.19.1"

// goFlags are the flags of every Go build in this repository: with the same ones, what one build compiled serves the others.
const goFlags = "-trimpath -buildvcs=false"

// EnsureKo returns the path of ko in cacheDir, and installs it there if it is missing (a minute or two on two cores).
func EnsureKo(ctx context.Context, cacheDir string) (string, error) {
	dir, err := filepath.Abs(filepath.Join(cacheDir, "bin", "ko-"+koVersion))
	if err != nil {
		return "", fmt.Errorf("upstream: finding the cache folder: %w", err)
	}
	ko := filepath.Join(dir, "ko")
	if _, err := os.Stat(ko); err == nil {
		return ko, nil
	}
	unlock, err := lock(ctx, dir, nil)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(ko); err == nil {
		return ko, nil
	}
	// Installed beside its place and renamed: a half-written ko would be taken for a whole one.
	staging, err := os.MkdirTemp(filepath.Dir(dir), ".ko-")
	if err != nil {
		return "", fmt.Errorf("upstream: making room for ko: %w", err)
	}
	defer os.RemoveAll(staging)
	install := exec.CommandContext(ctx, "go", "install", "-ldflags=-s -w", "github.com/google/ko@"+koVersion)
	install.Dir = staging
	install.Env = append(install.Environ(), "GOBIN="+staging, "CGO_ENABLED=0", "GOFLAGS="+goFlags)
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("upstream: installing ko %s: %w: %s", koVersion, err, tail(string(out)))
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", fmt.Errorf("upstream: making room for ko: %w", err)
	}
	if err := os.Rename(filepath.Join(staging, "ko"), ko); err != nil {
		return "", fmt.Errorf("upstream: putting ko in its place: %w", err)
	}
	return ko, nil
}

// KoEnv returns what to add to the environment of a ko that builds on [PushBase]'s image and pushes to repository
// (host:port/path). configPath is a ko.yaml, or empty for none.
func KoEnv(repository, base, configPath string) []string {
	return []string{
		"KO_DOCKER_REPO=" + repository,
		"KO_DEFAULTBASEIMAGE=" + base,
		"KO_CONFIG_PATH=" + configPath,
		"GOFLAGS=" + goFlags,
		"CGO_ENABLED=0",
	}
}

// stopGrace is how long a cancelled build may take to end its children.
const stopGrace = 10 * time.Second

// runKo runs ko in dir and returns what it printed; onLine is called for each line that it logs.
func runKo(ctx context.Context, ko, dir string, env []string, stdin string, onLine func(string), args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, ko, args...) //nolint:gosec // what EnsureKo installed
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), env...)
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	log := &lineWriter{onLine: onLine}
	cmd.Stdout, cmd.Stderr = &out, log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopGrace
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("upstream: running ko: %w: %s", errors.Join(err, ctx.Err()), tail(log.all.String()))
	}
	return out.Bytes(), nil
}

// lineWriter calls onLine for each whole line.
type lineWriter struct {
	onLine  func(string)
	all     strings.Builder
	pending []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.all.Write(p)
	w.pending = append(w.pending, p...)
	for {
		line, rest, found := bytes.Cut(w.pending, []byte("\n"))
		if !found {
			return len(p), nil
		}
		w.onLine(string(line))
		w.pending = rest
	}
}

// tailLength keeps an error message readable; compilers say what matters last.
const tailLength = 2000

func tail(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > tailLength {
		return "..." + s[len(s)-tailLength:]
	}
	return s
}
