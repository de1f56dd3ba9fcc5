package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Info is what cluster.json says of a running cluster.
type Info struct {
	ID       string `json:"id"`
	Checkout string `json:"checkout"`
	// Dir is the directory of the cluster's state.
	Dir        string `json:"dir"`
	Kubeconfig string `json:"kubeconfig"`
	// APIServer is the API server's URL on the host.
	APIServer string `json:"apiServer"`
	// RegistryHost is the registry's host:port on the host.
	RegistryHost      string `json:"registryHost"`
	RegistryInCluster string `json:"registryInCluster"`
	// RegistryDir holds the registry's content, which outlives the cluster.
	RegistryDir string `json:"registryDir"`
	Kubectl     string `json:"kubectl"`
	Logs        string `json:"logs"`
	// PID is the supervisor's, InitPID process 1's as the host sees it.
	PID     int       `json:"pid"`
	InitPID int       `json:"initPID"`
	Started time.Time `json:"started"`
	// Versions of what runs, for people.
	Versions map[string]string `json:"versions,omitempty"`
}

// ErrNotRunning says that the checkout has no running cluster.
var ErrNotRunning = errors.New("no cluster runs for this checkout: start one with `make up`")

// Load reads cluster.json from a cluster's state directory. The error is
// ErrNotRunning where there is none.
func Load(dir string) (*Info, error) {
	path := filepath.Join(dir, infoFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, fmt.Errorf("read the cluster's description: %w", err)
	}
	var info Info
	if err := json.Unmarshal(data, &info); err != nil {
		return nil, fmt.Errorf("decode %q: %w", path, err)
	}
	return &info, nil
}

// StateDir is the state directory of the cluster that the options name.
func StateDir(o Options) (string, error) {
	o, err := o.withDefaults()
	if err != nil {
		return "", err
	}
	return o.paths().dir, nil
}

// writeJSON replaces path at once, so that nobody reads half of it.
func writeJSON(path string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %q: %w", path, err)
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("replace %q: %w", path, err)
	}
	return nil
}
