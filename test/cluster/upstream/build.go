package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"sigs.k8s.io/yaml"
)

// buildBundle makes the bundle of c in dir.
func buildBundle(ctx context.Context, o Options, c component, dir string) error {
	module, err := findUpstream(ctx, o.ModuleDir, c.module)
	if err != nil {
		return err
	}
	if err := copyManifests(c, filepath.Join(module.Dir, "config"), filepath.Join(dir, manifestsDir)); err != nil {
		return err
	}
	images, err := buildImages(ctx, o, c, dir)
	if err != nil {
		return err
	}
	// Written last: bundle.json says that the rest is there.
	table, err := json.MarshalIndent(bundleTable{Module: module.Path, Version: module.Version, Images: images}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, tableFile), append(table, '\n'), 0o600)
}

// upstreamModule is what the go tool says about a module.
type upstreamModule struct{ Path, Version, Dir, GoMod, Error string }

// findUpstream returns where the sources of a module are, after downloading them if necessary.
func findUpstream(ctx context.Context, moduleDir, path string) (upstreamModule, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", path) //nolint:gosec // a module of the literal tables
	cmd.Dir = moduleDir
	out, err := cmd.Output()
	var m upstreamModule
	if jsonErr := json.Unmarshal(out, &m); jsonErr != nil || m.Error != "" || m.Dir == "" {
		exit := &exec.ExitError{}
		if errors.As(err, &exit) {
			m.Error += tail(string(exit.Stderr))
		}
		return m, fmt.Errorf("downloading module %s: %w: %s", path, errors.Join(err, jsonErr), m.Error)
	}
	return m, nil
}

// copyManifests copies the files that c names. A pattern that matches nothing is an error: upstream has moved them.
func copyManifests(c component, from, to string) error {
	for _, pattern := range c.files {
		files, err := filepath.Glob(filepath.Join(from, filepath.FromSlash(pattern)))
		if err != nil || len(files) == 0 {
			return fmt.Errorf("module %s has no file %q in its folder config: %w", c.module, pattern, errors.Join(err, os.ErrNotExist))
		}
		for _, file := range files {
			rel, err := filepath.Rel(from, file)
			if err != nil {
				return err
			}
			data, err := os.ReadFile(file) //nolint:gosec // below the module's folder, by a pattern of ours
			if err != nil {
				return fmt.Errorf("reading a manifest: %w", err)
			}
			target := filepath.Join(to, rel)
			if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
				return fmt.Errorf("making the folder of manifests: %w", err)
			}
			if err := os.WriteFile(target, data, 0o600); err != nil { //nolint:gosec // below the bundle's folder
				return fmt.Errorf("copying a manifest: %w", err)
			}
		}
	}
	return nil
}

// buildImages lets ko build the images of c into an OCI layout at dir.
//
// ko needs a registry for its base image, and writing a layout itself it loses images that end at the same moment; so it
// gets a registry for as long as it runs, whose blobs are those of the layout.
func buildImages(ctx context.Context, o Options, c component, dir string) (map[string]v1.Hash, error) {
	ko, err := EnsureKo(ctx, o.CacheDir)
	if err != nil {
		return nil, err
	}
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return nil, fmt.Errorf("starting an image layout: %w", err)
	}
	blobs := filepath.Join(dir, "blobs")
	if err := os.MkdirAll(blobs, 0o750); err != nil {
		return nil, fmt.Errorf("starting an image layout: %w", err)
	}
	host, stop, err := serveBlobs(ctx, blobs)
	if err != nil {
		return nil, err
	}
	defer stop()
	base, err := PushBase(ctx, host)
	if err != nil {
		return nil, err
	}

	module, err := os.MkdirTemp(filepath.Dir(dir), ".module-")
	if err != nil {
		return nil, fmt.Errorf("making room for a go.mod: %w", err)
	}
	defer os.RemoveAll(module)
	if err := writeModule(ctx, o.ModuleDir, module); err != nil {
		return nil, err
	}
	wanted, err := yaml.Marshal(koReferences(c.images))
	if err != nil {
		return nil, err
	}
	onLine := func(line string) {
		if _, image, found := strings.Cut(line, "Building "); found {
			o.Log("upstream: building %s", image)
		}
	}
	out, err := runKo(ctx, ko, module, KoEnv(host+"/upstream", base, ""), string(wanted), onLine,
		"resolve", "--filename=-", "--preserve-import-paths", "--sbom=none", "--ldflags=-s", "--ldflags=-w")
	if err != nil {
		return nil, err
	}
	var built map[string]string
	if err := yaml.Unmarshal(out, &built); err != nil {
		return nil, fmt.Errorf("reading what ko built: %w", err)
	}
	return keep(ctx, path, c.images, built)
}

// koReferences is a YAML document in which ko replaces every value by what it built.
func koReferences(images []string) map[string]string {
	document := map[string]string{}
	for _, i := range images {
		document[i] = koScheme + i
	}
	return document
}

// keep writes the images that ko pushed into the layout, which has their blobs already.
func keep(ctx context.Context, path layout.Path, images []string, built map[string]string) (map[string]v1.Hash, error) {
	digests := map[string]v1.Hash{}
	for _, i := range images {
		reference, err := name.NewDigest(built[i])
		if err != nil {
			return nil, fmt.Errorf("ko returned %q for %s: %w", built[i], i, err)
		}
		image, err := remote.Image(reference, remote.WithContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("reading the image of %s back: %w", i, err)
		}
		if err := path.AppendImage(image, layout.WithAnnotations(map[string]string{"org.opencontainers.image.title": i})); err != nil {
			return nil, fmt.Errorf("keeping the image of %s: %w", i, err)
		}
		if digests[i], err = v1.NewHash(reference.DigestStr()); err != nil {
			return nil, fmt.Errorf("ko returned %q for %s: %w", built[i], i, err)
		}
	}
	return digests, nil
}

// serveBlobs starts a registry on the loopback interface that keeps blobs in dir.
func serveBlobs(ctx context.Context, dir string) (host string, stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listening for ko: %w", err)
	}
	server := &http.Server{
		Handler: registry.New(
			registry.WithBlobHandler(registry.NewDiskBlobHandler(dir)),
			registry.Logger(log.New(io.Discard, "", 0))),
		ReadHeaderTimeout: 10 * time.Second,
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		// It ends when stop closes the server; before that, ko's requests fail and say so.
		_ = server.Serve(listener)
	}()
	return listener.Addr().String(), func() { _ = server.Close(); <-done }, nil
}
