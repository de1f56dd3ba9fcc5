package app

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// namespaceLabels reads namespaces from the cache; from the API server where it
// has not caught up, as a namespace and its first push may be made at once.
type namespaceLabels struct {
	cached, live client.Reader
}

// Labels returns a namespace's labels.
func (n *namespaceLabels) Labels(ctx context.Context, namespace string) (map[string]string, error) {
	found := namespaceMetadata()
	err := n.cached.Get(ctx, client.ObjectKey{Name: namespace}, found)
	if apierrors.IsNotFound(err) {
		err = n.live.Get(ctx, client.ObjectKey{Name: namespace}, found)
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading the labels of namespace %q: %w", namespace, err)
	}
	return found.Labels, nil
}

// isKnown reports whether Labels answers from the cache. An error of the cache is told by Labels.
func (n *namespaceLabels) isKnown(ctx context.Context, namespace string) bool {
	return !apierrors.IsNotFound(n.cached.Get(ctx, client.ObjectKey{Name: namespace}, namespaceMetadata()))
}

// namespaceMetadata is a namespace without what nobody reads.
func namespaceMetadata() *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}}
}
