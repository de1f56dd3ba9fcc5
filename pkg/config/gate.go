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
	text, err := document(GateConfigMap, data, ExcludeKey)
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

// Controllers are the names of the users as which workload controllers make Pods and templates
// of others' templates: if a label stands on these, it counts on what they make. It is
// immutable. Nil means those of Kubernetes.
type Controllers []string

const (
	// maxControllers and maxUser bound what stands in each policy of each gate.
	maxControllers = 32
	maxUser        = 253
)

// ControllersIn returns the list in the data of the ConfigMap, or nil if it has none.
func ControllersIn(data map[string]string) (Controllers, error) {
	text, err := document(GateConfigMap, data, ControllersKey)
	if err != nil {
		return nil, err
	}
	if _, set := data[ControllersKey]; !set {
		return nil, nil
	}
	return ParseControllers(text)
}

// ParseControllers reads the list strictly. Names are exact: whoever could choose the rest of a
// name would choose who may break the glass.
func ParseControllers(document string) (Controllers, error) {
	all := Controllers{}
	if err := yaml.UnmarshalStrict([]byte(document), &all); err != nil {
		return nil, fmt.Errorf("expected a list of names of users, such as system:serviceaccount:kube-system:replicaset-controller: %w", err)
	}
	if len(all) > maxControllers {
		return nil, fmt.Errorf("it names %d users; at most %d are allowed", len(all), maxControllers)
	}
	for i, name := range all {
		switch {
		case name == "" || len(name) > maxUser || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }):
			return nil, fmt.Errorf("entry %d, %q, is no name of a user", i+1, name)
		case strings.Contains(name, "*"):
			return nil, fmt.Errorf("entry %d, %q, has a star; write each name in full", i+1, name)
		case strings.HasPrefix(name, "system:serviceaccount:") && strings.HasSuffix(name, ":deployer"):
			return nil, fmt.Errorf("entry %d, %q, acts for whoever may edit its namespace, who then could start anything", i+1, name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}
