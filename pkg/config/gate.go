package config

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

// Exclusion lists the namespaces that no gate gates: names, and prefixes with a star behind.
// It is immutable.
type Exclusion []string

// DefaultExclusion is in force where the ConfigMap does not exist: a gate must not keep a
// cluster's own Pods from starting because somebody deleted a list.
func DefaultExclusion() Exclusion {
	return Exclusion{"kube-*", "openshift", "openshift-*", "knative-*", "tekton-*", "revet-system"}
}

// ExclusionIn returns the list in the data of the ConfigMap, or the default if it has none,
// as without a ConfigMap.
func ExclusionIn(data map[string]string) (Exclusion, error) {
	text, err := document(data, ExcludeKey)
	if err != nil {
		return nil, err
	}
	if _, set := data[ExcludeKey]; !set {
		return DefaultExclusion(), nil
	}
	return ParseExclusion(text)
}

// ParseExclusion reads the list strictly.
func ParseExclusion(document string) (Exclusion, error) {
	var all Exclusion
	if err := yaml.UnmarshalStrict([]byte(document), &all); err != nil {
		return nil, fmt.Errorf("expected a list of names of namespaces, or of their beginnings with a star behind: %w", err)
	}
	for i, pattern := range all {
		name, prefix := strings.CutSuffix(pattern, "*")
		if prefix && strings.Trim(name, "-") == "" {
			return nil, fmt.Errorf("entry %d, %q, would exclude every namespace; delete the gates instead", i+1, pattern)
		}
		if prefix {
			name = strings.TrimSuffix(name, "-")
		}
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			return nil, fmt.Errorf("entry %d, %q, is no name of a namespace, and no beginning of one with a star behind: %s", i+1, pattern, problems[0])
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}
