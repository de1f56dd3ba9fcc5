package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	task "github.com/containerd/containerd/api/runtime/task/v2"
	"gvisor.dev/gvisor/pkg/shim/v1/extension"
)

// emptyDirs is part of the path at which the kubelet keeps emptyDir volumes.
const emptyDirs = "kubernetes.io~empty-dir"

// beforeCreate is called with each container before it is created, and leaves
// the creation to gVisor.
func beforeCreate(_ context.Context, _ extension.TaskServiceExt, r *task.CreateTaskRequest) (extension.TaskServiceExt, error) {
	return nil, makeReadable(r.Bundle)
}

// makeReadable lets whoever may execute a file of the container's emptyDir
// volumes read it, too.
//
// Linux asks for the right to execute when a file is executed; gVisor asks for
// the right to read as well. Tekton's entrypoint has mode 0311, so that under
// gVisor only root could execute it, and steps do not run as root.
func makeReadable(bundle string) error {
	content, err := os.ReadFile(filepath.Join(bundle, "config.json"))
	if err != nil {
		return fmt.Errorf("read the container's configuration: %w", err)
	}
	var config struct {
		Mounts []struct {
			Source string `json:"source"`
		} `json:"mounts"`
	}
	if err := json.Unmarshal(content, &config); err != nil {
		return fmt.Errorf("decode the container's configuration: %w", err)
	}
	for _, mount := range config.Mounts {
		if !strings.Contains(mount.Source, emptyDirs) {
			continue
		}
		if err := makeFilesReadable(mount.Source); err != nil {
			return err
		}
	}
	return nil
}

func makeFilesReadable(dir string) error {
	// A volume may be gone by now, or hold no directory; that is gVisor's to tell.
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		mode := info.Mode().Perm()
		readable := mode | (mode&0o111)<<2
		if readable == mode {
			continue
		}
		if err := os.Chmod(filepath.Join(dir, entry.Name()), readable); err != nil {
			return fmt.Errorf("make an executable readable: %w", err)
		}
	}
	return nil
}
