//go:build linux && bench

package bench

import (
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/test/rig"
)

// apply creates the objects of the files that match a pattern, in a namespace where they name none.
func (e *bed) apply(b *testing.B, namespace, pattern string) {
	b.Helper()
	if err := rig.Apply(b.Context(), e.admin, namespace, pattern); err != nil {
		b.Fatal(err)
	}
}

// newNamespace makes a namespace with the accounts that Kubernetes and triggers/ put into one.
func (e *bed) newNamespace(b *testing.B) string {
	b.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "bench-"}}
	e.create(b, namespace)
	e.create(b, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "default"}})
	e.apply(b, namespace.Name, filepath.Join(root, "triggers", "100-*.yaml"))
	return namespace.Name
}

func (e *bed) create(b *testing.B, objects ...client.Object) {
	b.Helper()
	for _, o := range objects {
		if err := e.admin.Create(b.Context(), o); err != nil && !apierrors.IsAlreadyExists(err) {
			b.Fatalf("creating %T %s: %v", o, o.GetName(), err)
		}
	}
}
