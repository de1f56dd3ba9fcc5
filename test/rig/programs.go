//go:build linux

package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/revet-dev/revet/test/cluster/fast/crd"
	"github.com/revet-dev/revet/test/cluster/upstream"
	"github.com/revet-dev/revet/test/gobuild"
)

// Programs are paths of executables.
type Programs struct{ Adapter, Sink, Receiver, Controller string }

// Build builds the adapter of Knative's ApiServerSource and Tekton's EventListener sink, once, into the cache, and Revet's
// programs into dir. Root is the repository's folder.
func Build(ctx context.Context, root, dir string) (p Programs, err error) {
	o := upstream.Options{CacheDir: CacheDir(), Log: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }}
	if p.Adapter, err = upstream.EnsureBinary(ctx, o, "knative.dev/eventing/cmd/apiserver_receive_adapter"); err != nil {
		return p, err
	}
	if p.Sink, err = upstream.EnsureBinary(ctx, o, "github.com/tektoncd/triggers/cmd/eventlistenersink"); err != nil {
		return p, err
	}
	p.Receiver, p.Controller = filepath.Join(dir, "receiver"), filepath.Join(dir, "controller")
	// In one build, in the product's own module: what is measured is what is shipped.
	return p, gobuild.Source{Root: root}.Into(ctx, dir, "./cmd/receiver", "./cmd/controller")
}

// CacheDir is the folder that everything in this repository keeps programs in.
func CacheDir() string {
	if dir := os.Getenv("REVET_CACHE"); dir != "" {
		return dir
	}
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "revet")
	}
	return filepath.Join(os.TempDir(), "revet")
}

// CRDDirs are the folders with the kinds of Revet and Tekton.
func CRDDirs(ctx context.Context, root string) ([]string, error) {
	dirs := []string{filepath.Join(root, "config")}
	for module, folder := range map[string]string{"github.com/tektoncd/pipeline": "config/300-crds", "github.com/tektoncd/triggers": "config"} {
		download := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
		download.Dir = filepath.Join(root, "test")
		out, err := download.Output()
		if err != nil {
			return nil, fmt.Errorf("asking for the sources of %s: %w", module, err)
		}
		var found struct{ Dir string }
		if err := json.Unmarshal(out, &found); err != nil {
			return nil, fmt.Errorf("asking for the sources of %s: %w", module, err)
		}
		dirs = append(dirs, filepath.Join(found.Dir, filepath.FromSlash(folder)))
	}
	return dirs, nil
}

// CRDs are the kinds in folders, without the webhooks that convert between their versions: Tekton's are not here, and the
// API server would try them for every PipelineRun, again and again.
func CRDs(dirs ...string) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	crds, err := crd.Load(dirs...)
	for _, c := range crds {
		c.Spec.Conversion = nil
	}
	return crds, err
}
