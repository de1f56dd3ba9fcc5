package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// bundle is a component as the cache holds it: an OCI layout, its YAML, and the table that joins the two.
type bundle struct {
	component component
	dir       string
	table     bundleTable
}

// bundleTable is bundle.json.
type bundleTable struct {
	// Module and Version say what the bundle was made from, for whoever looks into the cache.
	Module  string `json:"module"`
	Version string `json:"version"`
	// Images are manifest digests by import path.
	Images map[string]v1.Hash `json:"images"`
}

const (
	tableFile    = "bundle.json"
	manifestsDir = "manifests"
)

// Prepare builds into the cache what an Install of the same options needs and the cache lacks. Cold, it downloads modules
// and compiles for minutes.
func Prepare(ctx context.Context, o Options) error {
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	_, err = prepare(ctx, o)
	return err
}

func prepare(ctx context.Context, o Options) ([]bundle, error) {
	cs, err := components(o.Profile)
	if err != nil {
		return nil, err
	}
	vs, err := readVersions(o.ModuleDir)
	if err != nil {
		return nil, err
	}
	var bundles []bundle
	for _, c := range cs {
		key, err := vs.key(c)
		if err != nil {
			return nil, err
		}
		b, err := ensureBundle(ctx, o, c, filepath.Join(o.CacheDir, "images", key))
		if err != nil {
			return nil, err
		}
		bundles = append(bundles, b)
	}
	return bundles, nil
}

// ensureBundle opens the bundle at dir, after building it if it is not there.
func ensureBundle(ctx context.Context, o Options, c component, dir string) (bundle, error) {
	b, err := openBundle(c, dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	unlock, err := lock(ctx, dir, func() { o.Log("upstream: another process builds %s, waiting for it", c.name) })
	if err != nil {
		return bundle{}, err
	}
	defer unlock()
	b, err = openBundle(c, dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}

	start := time.Now()
	o.Log("upstream: building %d images of %s, once", len(c.images), c.name)
	// Built beside its place and renamed, so that a bundle is complete or absent.
	staging, err := os.MkdirTemp(filepath.Dir(dir), ".building-")
	if err != nil {
		return bundle{}, fmt.Errorf("upstream: making room for the images of %s: %w", c.name, err)
	}
	defer os.RemoveAll(staging)
	if err := buildBundle(ctx, o, c, staging); err != nil {
		return bundle{}, fmt.Errorf("upstream: building %s: %w", c.name, err)
	}
	if err := os.Rename(staging, dir); err != nil {
		return bundle{}, fmt.Errorf("upstream: putting the images of %s in their place: %w", c.name, err)
	}
	o.Log("upstream: built %s in %s", c.name, time.Since(start).Round(time.Second))
	return openBundle(c, dir)
}

func openBundle(c component, dir string) (bundle, error) {
	data, err := os.ReadFile(filepath.Join(dir, tableFile)) //nolint:gosec // the caller's cache folder
	if err != nil {
		return bundle{}, fmt.Errorf("upstream: opening the bundle of %s: %w", c.name, err)
	}
	b := bundle{component: c, dir: dir}
	if err := json.Unmarshal(data, &b.table); err != nil {
		return bundle{}, fmt.Errorf("upstream: the cached bundle %q is damaged, delete it: %w", dir, err)
	}
	for _, i := range c.images {
		if b.table.Images[i] == (v1.Hash{}) {
			return bundle{}, fmt.Errorf("upstream: the cached bundle %q is damaged, delete it: it has no %s", dir, i)
		}
	}
	return b, nil
}

// image returns an image of the bundle by its manifest's digest.
func (b bundle) image(digest v1.Hash) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(b.dir)
	if err != nil {
		return nil, fmt.Errorf("upstream: the cached bundle %q is damaged, delete it: %w", b.dir, err)
	}
	image, err := index.Image(digest)
	if err != nil {
		return nil, fmt.Errorf("upstream: the cached bundle %q is damaged, delete it: %w", b.dir, err)
	}
	return image, nil
}

// manifests returns the YAML files of the bundle by their path, as the module has them.
func (b bundle) manifests() (map[string][]byte, error) {
	files := map[string][]byte{}
	root := filepath.Join(b.dir, manifestsDir)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(rel)], err = os.ReadFile(path) //nolint:gosec // below the caller's cache folder
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("upstream: reading the cached manifests of %s: %w", b.component.name, err)
	}
	return files, nil
}
