package gate

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// ProbeNamespace is where the controller tries gates by Pods that are never made.
const ProbeNamespace = "revet-gate-probe"

// Exclusion says which namespaces a gate leaves alone, whatever their labels are.
type Exclusion struct {
	// Names are sorted, and so are Prefixes, which others' names begin with.
	Names, Prefixes []string
}

// ExclusionOf returns what a gate that trusts the triggers leaves alone: Kubernetes' and
// Revet's own namespaces, those that the operator's patterns (name or prefix-*) match, and
// those that trusted triggers and their sinks live in. Sinks are the addresses of those.
func ExclusionOf(patterns []string, trust []v1alpha1.TrustedTrigger, sinks []string, own ...string) Exclusion {
	names := map[string]bool{metav1.NamespaceSystem: true, metav1.NamespacePublic: true, corev1.NamespaceNodeLease: true}
	var e Exclusion
	for _, name := range own {
		names[name] = true
	}
	for _, pattern := range patterns {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
			e.Prefixes = append(e.Prefixes, prefix)
		} else {
			names[pattern] = true
		}
	}
	for _, t := range trust {
		names[t.Namespace] = true // runs are in the trigger's namespace, whatever its sink is
	}
	for _, address := range sinks {
		if namespace := namespaceOf(address); namespace != "" {
			names[namespace] = true
		}
	}
	e.Names = slices.Sorted(maps.Keys(names))
	slices.Sort(e.Prefixes)
	return e
}

// Has reports whether the gate leaves a namespace alone.
func (e Exclusion) Has(namespace string) bool {
	return slices.Contains(e.Names, namespace) ||
		slices.ContainsFunc(e.Prefixes, func(p string) bool { return strings.HasPrefix(namespace, p) })
}

// namespaceOf returns the namespace of a Service's address, or "" for another address.
func namespaceOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	labels := strings.Split(u.Hostname(), ".")
	if len(labels) < 3 || labels[2] != "svc" {
		return ""
	}
	return labels[1]
}
