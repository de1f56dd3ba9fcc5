package oci

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/revet-dev/revet/pkg/image"
)

const (
	versionFile    = "oci-layout"
	indexFile      = "index.json"
	reportsFolder  = "reports"
	layoutVersion  = `{"imageLayoutVersion":"1.0.0"}`
	maxLayoutIndex = 64 << 10
	// platformsAnnotation records which platforms of an index were selected.
	platformsAnnotation = "revet.dev/platforms"
)

// Layout is an OCI image layout in a directory. The zero value is not a layout.
type Layout struct {
	path string
}

// CreateLayout starts a layout in path, which may exist.
func CreateLayout(path string) (Layout, error) {
	d := Layout{path: path}
	if err := os.MkdirAll(d.blobs(), 0o755); err != nil { //nolint:gosec // a later step may run as another user
		return Layout{}, fmt.Errorf("create image layout: %w", err)
	}
	// Remove what an earlier fetch left, so that it cannot pass for this one's.
	for _, name := range []string{indexFile, reportsFolder, "sbom", "scan"} {
		if err := os.RemoveAll(filepath.Join(path, name)); err != nil {
			return Layout{}, fmt.Errorf("restart image layout: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(path, versionFile), []byte(layoutVersion), 0o644); err != nil { //nolint:gosec // a later step may run as another user
		return Layout{}, fmt.Errorf("create image layout: %w", err)
	}
	return d, nil
}

// OpenLayout opens a layout that Complete was called on.
func OpenLayout(path string) (Layout, error) {
	if _, err := os.Stat(filepath.Join(path, indexFile)); err != nil {
		return Layout{}, fmt.Errorf("no complete image layout in %q (did the fetch step run?): %w", path, err)
	}
	return Layout{path: path}, nil
}

// Path returns the directory.
func (d Layout) Path() string { return d.path }

// Put stores the content of r under digest. It fails with ReasonCorrupted and stores nothing unless
// r holds exactly size bytes with that digest. A size of -1 allows any number of bytes.
func (d Layout) Put(digest image.Digest, size int64, r io.Reader) (err error) {
	f, err := os.CreateTemp(d.blobs(), ".incoming-*")
	if err != nil {
		return fmt.Errorf("store blob: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name()) // err is the error to return
		}
	}()
	hash := sha256.New()
	if size >= 0 {
		r = io.LimitReader(r, size+1)
	}
	n, err := io.Copy(io.MultiWriter(f, hash), r)
	if err != nil {
		return err // mostly the reader's error, which names what it was reading
	}
	if size >= 0 && n != size {
		return Errorf(ReasonCorrupted, "", "%s", wrongSize(n, size))
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != digest.Hex() {
		return Errorf(ReasonCorrupted, "", "its bytes have the digest sha256:%s", got)
	}
	if err := f.Chmod(0o644); err != nil { // a later step may run as another user
		return fmt.Errorf("store blob %s: %w", digest, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("store blob %s: %w", digest, err)
	}
	if err := os.Rename(f.Name(), d.blob(digest)); err != nil {
		return fmt.Errorf("store blob %s: %w", digest, err)
	}
	return nil
}

func wrongSize(got, want int64) string {
	if got < want {
		return fmt.Sprintf("it ends after %d of %d bytes", got, want)
	}
	return fmt.Sprintf("it has more than the expected %d bytes", want)
}

// Complete records what the layout holds, and which platforms were selected.
func (d Layout) Complete(root Descriptor, chosen Selection) error {
	what := layoutEntry{Descriptor: root}
	if len(chosen) > 0 {
		what.Annotations = map[string]string{platformsAnnotation: chosen.String()}
	}
	b, err := json.Marshal(layoutIndex{SchemaVersion: 2, Manifests: []layoutEntry{what}})
	if err != nil {
		return fmt.Errorf("encode index of image layout: %w", err)
	}
	// Rename the finished file, so that no reader finds half an index.
	next := filepath.Join(d.path, indexFile+".next")
	if err := os.WriteFile(next, b, 0o644); err != nil { //nolint:gosec // a later step may run as another user
		return fmt.Errorf("complete image layout: %w", err)
	}
	if err := os.Rename(next, filepath.Join(d.path, indexFile)); err != nil {
		return fmt.Errorf("complete image layout: %w", err)
	}
	return nil
}

// Blob opens the blob that Put stored under digest.
func (d Layout) Blob(digest image.Digest) (io.ReadCloser, error) {
	return os.Open(d.blob(digest))
}

type layoutIndex struct {
	SchemaVersion int           `json:"schemaVersion"`
	Manifests     []layoutEntry `json:"manifests"`
}

type layoutEntry struct {
	Descriptor
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Tree reads all manifests and configurations, and recomputes their digests.
func (d Layout) Tree(ctx context.Context) (Tree, error) {
	raw, err := readFile(filepath.Join(d.path, indexFile), maxLayoutIndex)
	if err != nil {
		return Tree{}, fmt.Errorf("read index of image layout: %w", err)
	}
	var i layoutIndex
	if err := json.Unmarshal(raw, &i); err != nil {
		return Tree{}, fmt.Errorf("read index of image layout: %w", err)
	}
	if len(i.Manifests) != 1 || i.Manifests[0].Digest.IsZero() {
		return Tree{}, fmt.Errorf("the image layout names %d images; it must name one", len(i.Manifests))
	}
	chosen, err := ParseSelection(i.Manifests[0].Annotations[platformsAnnotation])
	if err != nil {
		return Tree{}, fmt.Errorf("read index of image layout: %w", err)
	}
	return Walk(ctx, i.Manifests[0].Digest, chosen, d.read)
}

func (d Layout) read(_ context.Context, kind Kind, c Descriptor, limit int64) ([]byte, error) {
	subject := string(kind) + " " + c.Digest.String()
	raw, err := readFile(d.blob(c.Digest), limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Errorf(ReasonMissing, subject, "it is not in the image layout")
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", subject, err)
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != c.Digest.Hex() {
		return nil, Errorf(ReasonCorrupted, subject, "its bytes in the image layout have the digest sha256:%x", sum)
	}
	return raw, nil
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the caller names the layout
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("%q is larger than %d bytes", filepath.Base(path), limit)
	}
	return b.Bytes(), nil
}

func (d Layout) blobs() string { return filepath.Join(d.path, "blobs", "sha256") }

func (d Layout) blob(digest image.Digest) string { return filepath.Join(d.blobs(), digest.Hex()) }
