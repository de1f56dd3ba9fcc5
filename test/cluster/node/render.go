package node

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed templates
var templates embed.FS

// renderData is what the templates may use.
type renderData struct {
	Config
	NodeIP, PodCIDR, Bridge, DNSIP, Domain, APIInside, RegistryInside, RegistryInCluster, ContainerdSock, PauseImage string
}

// rendered lists the files below the state directory and their templates.
func rendered(c Config) map[string]string {
	return map[string]string{
		"containerd/config.toml":                                "containerd.toml",
		"containerd/certs/" + c.registryHost() + "/hosts.toml":  "hosts.toml",
		"containerd/certs/" + RegistryInCluster + "/hosts.toml": "hosts.toml",
		"containerd/certs/" + registryInside + "/hosts.toml":    "hosts.toml",
		"containerd/runsc.toml":                                 "runsc.toml",
		"cni/10-revet.conflist":                                 "cni.conflist",
		"kubelet.yaml":                                          "kubelet.yaml",
		"kube-proxy.yaml":                                       "kube-proxy.yaml",
		"Corefile":                                              "Corefile",
		"resolv.conf":                                           "resolv.conf",
	}
}

// render returns the configuration files of the cluster's programs by their
// path below the state directory.
func render(c Config) (map[string][]byte, error) {
	data := renderData{
		Config: c, NodeIP: nodeIP, PodCIDR: podCIDR, Bridge: bridgeName, DNSIP: dnsIP, Domain: domain,
		APIInside: apiInside, RegistryInside: registryInside, RegistryInCluster: RegistryInCluster,
		ContainerdSock: containerdSock, PauseImage: pauseImage,
	}
	parsed, err := template.New("").Option("missingkey=error").ParseFS(templates, "templates/*")
	if err != nil {
		return nil, fmt.Errorf("parse configuration templates: %w", err)
	}
	files := map[string][]byte{
		// Pods with the node's resolver get none: nothing outside is reachable.
		"resolv-empty.conf": nil,
	}
	for path, name := range rendered(c) {
		var out bytes.Buffer
		if err := parsed.ExecuteTemplate(&out, name, data); err != nil {
			return nil, fmt.Errorf("render %q: %w", path, err)
		}
		files[path] = out.Bytes()
	}
	return files, nil
}

func writeFiles(dir string, files map[string][]byte) error {
	for path, data := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("make directory of %q: %w", path, err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return fmt.Errorf("write %q: %w", path, err)
		}
	}
	return nil
}
