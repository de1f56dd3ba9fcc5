package result

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/revet-dev/revet/pkg/image"
)

// document is a kind of JSON file.
type document struct {
	// Name is the name in messages: "findings".
	Name string
	// Limit bounds its size in bytes.
	Limit int64
}

// write stores v at path and creates the folder.
func (k document) write(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", k.Name, err)
	}
	if int64(len(b)) >= k.Limit {
		return fmt.Errorf("write %s: it would exceed %d bytes", k.Name, k.Limit)
	}
	return k.writeRaw(path, append(b, '\n'))
}

// writeRaw stores an encoded document at path and creates the folder.
func (k document) writeRaw(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // a later step may run as another user
		return fmt.Errorf("write %s: %w", k.Name, err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil { //nolint:gosec // a later step may run as another user
		return fmt.Errorf("write %s: %w", k.Name, err)
	}
	return nil
}

// read decodes the file at path into v. The error is fs.ErrNotExist if no file exists.
func (k document) read(path string, v any) error {
	_, err := k.readDigest(path, v)
	return err
}

// readDigest does what read does, and returns the digest of the bytes that it decoded.
func (k document) readDigest(path string, v any) (image.Digest, error) {
	b, err := k.readRaw(path)
	if err != nil {
		return image.Digest{}, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return image.Digest{}, fmt.Errorf("decode %s: %w", k.Name, err)
	}
	return image.DigestOf(b), nil
}

// readRaw returns the bytes of the file at path.
func (k document) readRaw(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the caller names the layout
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", k.Name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, k.Limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", k.Name, err)
	}
	if int64(len(b)) > k.Limit {
		return nil, fmt.Errorf("read %s: more than %d bytes", k.Name, k.Limit)
	}
	return b, nil
}
