package node

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Config is what the processes of one cluster agree on. Up writes it, the
// processes get its path.
type Config struct {
	ID          string `json:"id"`
	Checkout    string `json:"checkout"`
	Cache       string `json:"cache"`
	Dir         string `json:"dir"`
	RegistryDir string `json:"registryDir"`
	// Executable is the cluster command's binary, which has every role.
	Executable string `json:"executable"`
	// Kube is the multi-call binary, Pause and GVisor where the others are.
	Kube   string `json:"kube"`
	Pause  string `json:"pause"`
	GVisor string `json:"gvisor"`
	// Router is kube-router, which enforces NetworkPolicies. Empty: nothing does.
	Router string `json:"router,omitempty"`
	// CNI is the directory of the network plug-ins.
	CNI string `json:"cni"`
	// Snapshotter of containerd: overlayfs, or native where that cannot work.
	Snapshotter       string            `json:"snapshotter"`
	APIPort           int               `json:"apiPort"`
	RegistryPort      int               `json:"registryPort"`
	Notify            []Endpoint        `json:"notify,omitempty"`
	KubernetesVersion string            `json:"kubernetesVersion"`
	Versions          map[string]string `json:"versions,omitempty"`
	SupervisorPID     int               `json:"supervisorPID,omitempty"`
}

// The network of the cluster, in namespaces of its own.
const (
	nodeName    = "revet"
	nodeIP      = "10.88.0.1"
	podCIDR     = "10.88.0.0/24"
	bridgeName  = "cni0"
	serviceCIDR = "10.96.0.0/16"
	dnsIP       = "10.96.0.10"
	apiIP       = "10.96.0.1"
	domain      = "cluster.local"

	apiInside      = "127.0.0.1:6443"
	etcdInside     = "127.0.0.1:2379"
	registryInside = "127.0.0.1:5000"
	containerdSock = "/run/containerd/containerd.sock"
	// pauseImage has no namespace/stream name, so the image API ignores it.
	pauseImage = RegistryInCluster + "/pause:1"
)

func loadConfig(path string) (Config, error) {
	var c Config
	data, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("read the cluster's configuration: %w", err)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("decode %q: %w", path, err)
	}
	return c, nil
}

func (c Config) paths() paths { return newPaths(c.Cache, c.ID) }

// file is a path below the cluster's state directory.
func (c Config) file(elements ...string) string {
	return filepath.Join(append([]string{c.Dir}, elements...)...)
}

// cgroup is the cluster's own root in every cgroup hierarchy.
func (c Config) cgroup() string { return cgroupName(c.ID) }

func cgroupName(id string) string { return "revet-" + id }

func (c Config) registryHost() string { return "localhost:" + strconv.Itoa(c.RegistryPort) }

func (c Config) apiURL() string { return "https://127.0.0.1:" + strconv.Itoa(c.APIPort) }

func (c Config) kubectl() string { return filepath.Join(filepath.Dir(c.Kube), "kubectl") }
