package policy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Load reads the policy at path, and the OpenVEX documents that lie beside it. A
// policy that is not there is Default, as the ConfigMap that holds it is optional;
// one that is there and cannot be read is an error.
func Load(path string) (Policy, error) {
	raw, err := read(path, MaxFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Policy{}, err
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Policy{}, fmt.Errorf("look for OpenVEX documents: %w", err)
	}
	documents := map[string][]byte{}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || !strings.HasSuffix(name, ".openvex.json") && !strings.HasSuffix(name, ".vex.json") {
			continue
		}
		if documents[name], err = read(filepath.Join(filepath.Dir(path), name), MaxDocument); err != nil {
			return Policy{}, err
		}
	}
	return Parse(raw, documents)
}

// read reads one byte more than the limit, which Parse refuses.
func read(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the user names the file
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read policy %q: %w", path, err)
	}
	return raw, nil
}
