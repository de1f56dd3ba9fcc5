package node

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// KataNote is what every line that names the runtime class says about it.
const KataNote = "kata (served by gVisor here)"

// RegistryInCluster is the registry's name inside the cluster, as on OpenShift.
const RegistryInCluster = "image-registry.openshift-image-registry.svc:5000"

// Options of Up and Down. Zero fields get defaults, except Root and Cache.
type Options struct {
	// Root is the root directory of the checkout.
	Root string
	// Cache is the cache directory, see CacheDir.
	Cache string
	// Name tells several clusters of one checkout apart. Tests have their own.
	Name string
	// Executable is the cluster command's binary. Empty: it is built.
	Executable string
	// RegistryPort and APIPort are the host ports preferred; others are taken
	// where they are in use.
	RegistryPort, APIPort int
	// Notify lists who hears of pushes from the registry itself.
	Notify []Endpoint
	// FreshRegistry starts with an empty registry whose content goes with the
	// cluster, in place of the one that is kept.
	FreshRegistry bool
	// Policies has NetworkPolicies enforced, by kube-router. Without, nothing does.
	Policies bool
	// KeepPackages forbids to install Debian packages.
	KeepPackages bool
	// Out receives progress lines. Nil: none are written.
	Out io.Writer
}

// Endpoint receives the registry's notifications.
type Endpoint struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	// TokenFile holds a bearer token to send. Empty: none is sent.
	TokenFile string `json:"tokenFile,omitempty"`
}

const (
	defaultRegistryPort = 5001
	defaultAPIPort      = 6443
)

// withDefaults checks o and fills in what was left out.
func (o Options) withDefaults() (Options, error) {
	if o.Root == "" || o.Cache == "" {
		return o, errors.New("options Root and Cache must be set")
	}
	root, err := filepath.Abs(o.Root)
	if err != nil {
		return o, fmt.Errorf("resolve checkout %q: %w", o.Root, err)
	}
	// Two paths to one checkout must not make two clusters.
	if o.Root, err = filepath.EvalSymlinks(root); err != nil {
		return o, fmt.Errorf("resolve checkout %q: %w", o.Root, err)
	}
	if _, err := os.Stat(filepath.Join(o.Root, "test", "go.mod")); err != nil {
		return o, fmt.Errorf("%q is not a checkout of this repository (no test/go.mod): run this from within one", o.Root)
	}
	if o.Cache, err = filepath.Abs(o.Cache); err != nil {
		return o, fmt.Errorf("resolve cache directory: %w", err)
	}
	if o.RegistryPort == 0 {
		o.RegistryPort = defaultRegistryPort
	}
	if o.APIPort == 0 {
		o.APIPort = defaultAPIPort
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	return o, nil
}

// CacheDir is the cache directory that the environment asks for.
func CacheDir(getenv func(string) string) (string, error) {
	if dir := getenv("REVET_CACHE"); dir != "" {
		return dir, nil
	}
	if dir := getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(dir, "revet"), nil
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".cache", "revet"), nil
	}
	return "", errors.New("no place for the cache: set REVET_CACHE to a directory")
}

// id names the cluster. It is part of cgroup names.
func (o Options) id() string {
	sum := sha256.Sum256([]byte(o.Root + "\x00" + o.Name))
	return hex.EncodeToString(sum[:5])
}

// FindRoot returns the checkout that contains dir.
func FindRoot(dir string) (string, error) {
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "test", "cluster", "node", "doc.go")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("%q is not inside a checkout of this repository: run this from within one", dir)
		}
	}
}

func (o Options) paths() paths { return newPaths(o.Cache, o.id()) }
