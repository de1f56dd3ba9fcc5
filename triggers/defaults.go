// Package triggers holds the manifests of the pipeline, and gives programs that run
// without a cluster what they say by default.
package triggers

import (
	_ "embed" // the manifests
	"fmt"

	"sigs.k8s.io/yaml"
)

var (
	//go:embed 200-rules.yaml
	rules []byte
	//go:embed 210-scan-policy.yaml
	policy []byte
)

// Rules returns the validation rules of 200-rules.yaml, as a run reads them.
func Rules() ([]byte, error) { return data(rules, "rules.yaml") }

// Policy returns the scan policy of 210-scan-policy.yaml, as a run reads it.
func Policy() ([]byte, error) { return data(policy, "policy.yaml") }

// data returns a key of a ConfigMap's manifest.
func data(manifest []byte, key string) ([]byte, error) {
	var m struct {
		Data map[string]string `json:"data"`
	}
	if err := yaml.Unmarshal(manifest, &m); err != nil {
		return nil, fmt.Errorf("reading the manifest of the default %s: %w", key, err)
	}
	text, ok := m.Data[key]
	if !ok {
		return nil, fmt.Errorf("the manifest of the default %s has no such key", key)
	}
	return []byte(text), nil
}
