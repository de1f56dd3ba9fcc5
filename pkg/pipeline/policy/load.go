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

// Load reads the policy at path and the OpenVEX documents beside it. If the policy does not exist,
// Load returns Default, because the ConfigMap that holds it is optional. If the policy exists but
// cannot be read, Load returns an error.
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

// read reads up to one byte more than the limit. Parse refuses input of that size.
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
