package fetch

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

const (
	versionFile   = "oci-layout"
	indexFile     = "index.json"
	maxLocalIndex = 4 << 20
	// refName is the annotation under which a layout names its images.
	refName = "org.opencontainers.image.ref.name"
)

// LocalSource is a Source of an image that is in no registry.
type LocalSource interface {
	Manifest(ctx context.Context, d image.Digest) (io.ReadCloser, error)
	Blob(ctx context.Context, d image.Digest) (io.ReadCloser, error)
	io.Closer
}

// IsLocal reports whether name is the name of a file or directory: it starts with "/", "./" or
// "../", or ends in ".tar". References do neither.
func IsLocal(name string) bool {
	return strings.HasPrefix(name, "/") || strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../") || strings.HasSuffix(name, ".tar")
}

// OpenLocal opens the image at name: an OCI image layout, a tar archive of one, or the output of
// "docker save". If it holds several images, ":TAG" after the path selects one. OpenLocal may
// unpack an archive into temp, which the caller removes.
//
// It recomputes no digest; the caller does. An archive of an older "docker save" has no manifest,
// so OpenLocal makes one, as a push would. The digest then belongs to the archive, and differs from
// the digest of the image in a registry.
func OpenLocal(ctx context.Context, name, temp string) (LocalSource, image.Digest, error) {
	where, tag := name, ""
	info, err := os.Stat(where)
	if errors.Is(err, fs.ErrNotExist) {
		if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
			where, tag = name[:i], name[i+1:]
			info, err = os.Stat(where)
		}
	}
	switch {
	case err != nil:
		return nil, image.Digest{}, fmt.Errorf("%q is neither an image layout nor an archive: %w", name, err)
	case info.IsDir():
		return openLocalLayout(os.DirFS(where), where, tag)
	}
	members, err := listArchive(where)
	if err != nil {
		return nil, image.Digest{}, err
	}
	switch {
	case members[versionFile] && members[indexFile]:
		if err := unpackArchive(ctx, where, temp); err != nil {
			return nil, image.Digest{}, err
		}
		return openLocalLayout(os.DirFS(temp), where, tag)
	case members["manifest.json"]:
		return openDockerArchive(where, tag)
	default:
		return nil, image.Digest{}, fmt.Errorf("%q is an archive, but neither an OCI layout nor the output of \"docker save\": it has no %s and no manifest.json", where, indexFile)
	}
}

// localLayout is a directory of blobs.
type localLayout struct{ dir fs.FS }

func openLocalLayout(dir fs.FS, where, tag string) (LocalSource, image.Digest, error) {
	raw, err := readFileIn(dir, indexFile, maxLocalIndex)
	if err != nil {
		return nil, image.Digest{}, fmt.Errorf("%q is not an OCI image layout: %w", where, err)
	}
	var index struct {
		Manifests []struct {
			Digest      image.Digest      `json:"digest"`
			Annotations map[string]string `json:"annotations"`
		} `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, image.Digest{}, fmt.Errorf("%q has an %s that cannot be read: %w", where, indexFile, err)
	}
	var names []string
	var found []image.Digest
	for _, m := range index.Manifests {
		name := m.Annotations[refName]
		names = append(names, name)
		if tag == "" || name == tag || strings.HasSuffix(name, ":"+tag) {
			found = append(found, m.Digest)
		}
	}
	slices.SortFunc(found, func(a, b image.Digest) int { return strings.Compare(a.Hex(), b.Hex()) })
	found = slices.Compact(found)
	if len(found) != 1 || found[0].IsZero() {
		return nil, image.Digest{}, fmt.Errorf("%q holds %d images that match %q; select one as PATH:TAG, from %q", where, len(found), tag, names[:min(len(names), 10)])
	}
	return localLayout{dir}, found[0], nil
}

// Manifest opens a manifest.
func (l localLayout) Manifest(ctx context.Context, d image.Digest) (io.ReadCloser, error) {
	return l.Blob(ctx, d)
}

// Blob opens a blob.
func (l localLayout) Blob(_ context.Context, d image.Digest) (io.ReadCloser, error) {
	f, err := l.dir.Open("blobs/sha256/" + d.Hex())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, oci.Errorf(oci.ReasonMissing, "", "it is not in the image layout")
	}
	return f, err
}

// Close implements io.Closer.
func (localLayout) Close() error { return nil }

// listArchive returns those file names in an archive that show what it is.
func listArchive(where string) (map[string]bool, error) {
	f, err := os.Open(where) //nolint:gosec // the caller names the file
	if err != nil {
		return nil, err
	}
	defer f.Close()
	members := map[string]bool{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return members, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q is not a tar archive (if it is compressed, unpack it first): %w", where, err)
		}
		switch name := path.Clean(h.Name); name {
		case versionFile, indexFile, "manifest.json":
			members[name] = true
		}
	}
}

// unpackArchive unpacks the blobs and the index from an archive of a layout.
func unpackArchive(ctx context.Context, where, temp string) error {
	f, err := os.Open(where) //nolint:gosec // the caller names the file
	if err != nil {
		return err
	}
	defer f.Close()
	if err := os.MkdirAll(filepath.Join(temp, "blobs", "sha256"), 0o750); err != nil {
		return err
	}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %q: %w", where, err)
		}
		name := path.Clean(h.Name)
		digest, blob := strings.CutPrefix(name, "blobs/sha256/")
		if _, err := image.ParseDigest("sha256:" + digest); h.Typeflag != tar.TypeReg || (name != indexFile && (!blob || err != nil)) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := writeTo(filepath.Join(temp, filepath.FromSlash(name)), r); err != nil {
			return fmt.Errorf("unpacking %q: %w", where, err)
		}
	}
}

func writeTo(name string, r io.Reader) error {
	f, err := os.Create(name) //nolint:gosec // a digest or the index, below the target directory
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// readFileIn reads a file of at most limit bytes.
func readFileIn(dir fs.FS, name string, limit int64) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = fmt.Errorf("it is larger than %d bytes", limit)
	}
	return raw, err
}
