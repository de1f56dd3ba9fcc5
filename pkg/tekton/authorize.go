package tekton

import (
	"context"
	"fmt"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/source"
)

// MayCreateRuns asks the API server whether the account may create PipelineRuns in the
// namespace.
func (c *Checker) MayCreateRuns(ctx context.Context, account source.Account, namespace string) (bool, error) {
	return c.rights.Allowed(ctx, account, authorizationv1.ResourceAttributes{
		Namespace: namespace, Verb: "create", Group: "tekton.dev", Resource: "pipelineruns",
	})
}

// HasServiceAccount reports whether the account exists. If Revet may not read service
// accounts, as by default, it assumes so: access reviews show what the account may do.
func (c *Checker) HasServiceAccount(ctx context.Context, account source.Account) (bool, error) {
	// Metadata is enough, and holds no reference to a Secret.
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ServiceAccount"))
	err := c.client.Get(ctx, types.NamespacedName{Namespace: account.Namespace, Name: account.Name}, object)
	switch {
	case err == nil || apierrors.IsForbidden(err):
		return true, nil
	case apierrors.IsNotFound(err):
		return false, nil
	default:
		return false, fmt.Errorf("reading service account %q: %w", account.Name, err)
	}
}

// RuntimeClassSince returns when the RuntimeClass was created, or false if it does not
// exist.
func (c *Checker) RuntimeClassSince(ctx context.Context, name string) (time.Time, bool, error) {
	var class nodev1.RuntimeClass
	err := c.client.Get(ctx, types.NamespacedName{Name: name}, &class)
	if apierrors.IsNotFound(err) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, fmt.Errorf("reading RuntimeClass %q: %w", name, err)
	}
	return class.CreationTimestamp.Time, true, nil
}
