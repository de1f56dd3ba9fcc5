package registry

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
)

// Forget removes the repositories below a namespace from the content in dir, so
// that a cluster which starts on it begins without them. Their blobs stay. No
// registry may be running on dir.
func Forget(dir, namespace string) error {
	if _, err := name.NewRepository(namespace, name.WithDefaultRegistry("localhost")); err != nil {
		return fmt.Errorf("registry: forgetting %q: %w", namespace, err)
	}
	// The layout is part of Distribution's storage format.
	path := filepath.Join(dir, "docker", "registry", "v2", "repositories", filepath.FromSlash(namespace))
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("registry: forgetting %q: %w", namespace, err)
	}
	return nil
}
