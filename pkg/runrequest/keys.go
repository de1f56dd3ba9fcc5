package runrequest

import (
	"fmt"
	"maps"
	"slices"
)

const (
	// Secret is the name of the Secret that holds the keys.
	Secret = "revet-request-key" //nolint:gosec // the name of a Secret
	// MinKey is how many bytes a key has at least.
	MinKey = 32
)

// Keys are keys by their names. The zero value has none: it signs nothing, and nothing counts.
type Keys struct {
	byName map[string][]byte
	newest string
}

// ParseKeys reads the data of the Secret. Data without a key is no error.
func ParseKeys(data map[string][]byte) (Keys, error) {
	keys := Keys{byName: map[string][]byte{}}
	for _, name := range slices.Sorted(maps.Keys(data)) {
		if n := len(data[name]); n < MinKey {
			return Keys{}, fmt.Errorf("key %q has %d bytes, and needs %d", name, n, MinKey)
		}
		keys.byName[name], keys.newest = slices.Clone(data[name]), name
	}
	return keys, nil
}

// Empty reports whether there is no key.
func (k Keys) Empty() bool { return len(k.byName) == 0 }

// Has reports whether there is a key of that name.
func (k Keys) Has(name string) bool { return k.byName[name] != nil }

// Newest is the name of the key that signs, or "".
func (k Keys) Newest() string { return k.newest }
