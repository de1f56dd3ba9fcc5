package upstream

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

const (
	// wrapped is the command whose image gets the wrapper.
	wrapped = "github.com/tektoncd/pipeline/cmd/entrypoint"
	// wrapper is the command that stands before it; its documentation says why.
	wrapper = testModule + "/cluster/upstream/entrypoint"
	// Where ko puts a command named entrypoint, and where the wrapper looks for the one that it stands before.
	entrypointFile = "ko-app/entrypoint"
	tektonsFile    = "ko-app/tekton-entrypoint"
)

// wrap returns the image of Tekton's entrypoint with the wrapper before it.
func wrap(ctx context.Context, moduleDir string, image v1.Image) (v1.Image, error) {
	tektons, err := readFile(image, entrypointFile)
	if err != nil {
		return nil, err
	}
	ours, err := buildWrapper(ctx, moduleDir)
	if err != nil {
		return nil, err
	}
	return wrapWith(ours, tektons)
}

// wrapWith packs the two programs.
func wrapWith(ours, tektons []byte) (v1.Image, error) {
	layer, err := layerOf(
		file{header: tar.Header{Name: "ko-app/", Typeflag: tar.TypeDir, Mode: 0o555}},
		file{header: tar.Header{Name: entrypointFile, Typeflag: tar.TypeReg, Mode: 0o555}, content: ours},
		file{header: tar.Header{Name: tektonsFile, Typeflag: tar.TypeReg, Mode: 0o555}, content: tektons},
	)
	if err != nil {
		return nil, err
	}
	base, err := baseImage()
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(base, layer)
	if err != nil {
		return nil, fmt.Errorf("packing the entrypoint: %w", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("packing the entrypoint: %w", err)
	}
	config = config.DeepCopy()
	config.Config.Entrypoint = []string{"/" + entrypointFile}
	return mutate.ConfigFile(image, config)
}

// buildWrapper compiles the wrapper, which uses nothing but the standard library.
func buildWrapper(ctx context.Context, moduleDir string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "revet-entrypoint-")
	if err != nil {
		return nil, fmt.Errorf("making room for the entrypoint's wrapper: %w", err)
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "entrypoint")
	build := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", out, wrapper)
	build.Dir = moduleDir
	build.Env = append(build.Environ(), "CGO_ENABLED=0", "GOFLAGS="+goFlags)
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the entrypoint's wrapper: %w: %s", err, tail(string(text)))
	}
	return os.ReadFile(out)
}

// readFile returns a file of the image.
func readFile(image v1.Image, name string) ([]byte, error) {
	content := mutate.Extract(image)
	defer content.Close()
	for files := tar.NewReader(content); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("the image has no file %q", name)
		}
		if err != nil {
			return nil, fmt.Errorf("looking for %q in an image: %w", name, err)
		}
		if strings.TrimPrefix(header.Name, "/") == name && header.Typeflag == tar.TypeReg {
			var out bytes.Buffer
			if _, err := io.Copy(&out, files); err != nil {
				return nil, fmt.Errorf("reading %q in an image: %w", name, err)
			}
			return out.Bytes(), nil
		}
	}
}
