package signature

import (
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/sigstore"
)

const (
	keySuffix = ".pub"
	maxKeys   = 32
)

// Key is a trusted public key, whose name is that of its file.
type Key = sigstore.Key

// LoadKeys reads all files ending in .pub in a directory. The directory may be missing or have no
// such files.
func LoadKeys(dir string) ([]Key, error) {
	files := os.DirFS(dir)
	names, err := fs.Glob(files, "*"+keySuffix)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	var keys []Key
	for _, name := range names {
		raw, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read key: %w", err)
		}
		parsed, err := sigstore.ParseKeys(strings.TrimSuffix(name, keySuffix), raw)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", name, err)
		}
		keys = append(keys, parsed...)
	}
	if len(keys) > maxKeys {
		return nil, fmt.Errorf("found %d keys; the limit is %d", len(keys), maxKeys)
	}
	return keys, nil
}

// Part returns the digest of keys, whose order does not count.
func Part(keys []Key) (string, error) {
	values := map[string]string{}
	for _, k := range keys {
		der, err := k.DER()
		if err != nil {
			return "", fmt.Errorf("key %q: %w", k.Name, err)
		}
		values[string(der)] = "" // a name decides nothing
	}
	return result.PartOf(values), nil
}
