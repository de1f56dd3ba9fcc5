package upstream

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"k8s.io/client-go/rest"
)

// Options say what [Install] and [Prepare] do.
type Options struct {
	// RESTConfig reaches the cluster as an administrator. Prepare does not use it.
	RESTConfig *rest.Config
	// Registry is the host:port that images are pushed to and that Pods name. Prepare does not use it.
	Registry string
	// CacheDir is the cache folder, see the package's documentation.
	CacheDir string
	// ModuleDir is the folder of the test module. Default: found from the working directory.
	ModuleDir string
	// Profile says how much is installed. Default: [Full].
	Profile Profile
	// Timeout bounds the wait for what was installed to work. Default: 5 min.
	Timeout time.Duration
	// Log receives a line of progress now and then. Default: nobody.
	Log func(format string, args ...any)
}

const defaultTimeout = 5 * time.Minute

func (o Options) withDefaults() (Options, error) {
	if o.Profile == "" {
		o.Profile = Full
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if o.CacheDir == "" {
		return o, errors.New("upstream: CacheDir is empty: name the folder that keeps built images")
	}
	if o.ModuleDir == "" {
		dir, err := findModule(".")
		if err != nil {
			return o, err
		}
		o.ModuleDir = dir
	}
	return o, nil
}

// validate checks what only Install needs.
func (o Options) validate() error {
	if o.RESTConfig == nil {
		return errors.New("upstream: RESTConfig is nil: name the cluster")
	}
	if _, err := name.NewRegistry(o.Registry); err != nil || o.Registry == "" {
		return fmt.Errorf("upstream: Registry %q is not host:port of an image registry", o.Registry)
	}
	return nil
}
