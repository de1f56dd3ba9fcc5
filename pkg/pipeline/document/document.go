// Package document reads and writes the JSON files by which steps of a Pod tell
// one another something, in the folder of the layout that they share.
//
// Contract: what is read is bounded, and what this version does not know in it is
// an error: a file that is misread would pass for one that says nothing.
package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Kind is a kind of document.
type Kind struct {
	// Name is for messages: "findings".
	Name string
	// Limit is how many bytes it may have.
	Limit int64
}

// Write stores v at path, and makes the folder.
func (k Kind) Write(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", k.Name, err)
	}
	if int64(len(b)) >= k.Limit {
		return fmt.Errorf("write %s: it would have more than %d bytes", k.Name, k.Limit)
	}
	return k.WriteRaw(path, append(b, '\n'))
}

// WriteRaw is Write for what is encoded.
func (k Kind) WriteRaw(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // a further step may run as another user
		return fmt.Errorf("write %s: %w", k.Name, err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil { //nolint:gosec // a further step may run as another user
		return fmt.Errorf("write %s: %w", k.Name, err)
	}
	return nil
}

// Read reads what is at path into v. The error is fs.ErrNotExist if nothing is.
func (k Kind) Read(path string, v any) error {
	f, err := os.Open(path) //nolint:gosec // the layout is what the caller names
	if err != nil {
		return fmt.Errorf("read %s: %w", k.Name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, k.Limit+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", k.Name, err)
	}
	if int64(len(b)) > k.Limit {
		return fmt.Errorf("read %s: more than %d bytes", k.Name, k.Limit)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("decode %s: %w", k.Name, err)
	}
	return nil
}
