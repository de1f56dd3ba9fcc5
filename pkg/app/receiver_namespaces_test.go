package app

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// A namespace that the cache does not have is looked up live, which a sender's bound counts.
func TestNamespaceLabels(t *testing.T) {
	namespace := func(name string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"tier": name}}}
	}
	n := &namespaceLabels{
		cached: fake.NewClientBuilder().WithObjects(namespace("old")).Build(),
		live:   fake.NewClientBuilder().WithObjects(namespace("old"), namespace("new")).Build(),
	}
	for name, want := range map[string]struct {
		known bool
		tier  string
	}{"old": {true, "old"}, "new": {false, "new"}, "none": {false, ""}} {
		labels, err := n.Labels(t.Context(), name)
		if known := n.isKnown(t.Context(), name); err != nil || known != want.known || labels["tier"] != want.tier {
			t.Errorf("%s: labels %v, error %v, known %t; want tier %q, known %t", name, labels, err, known, want.tier, want.known)
		}
	}
}
