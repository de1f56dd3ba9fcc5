package imagegate

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/gate"
)

// definitionKind is the kind of the definitions of kinds.
var definitionKind = schema.GroupVersionKind{
	Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition",
}

// anchor makes Revet's namespace an owner of the kind VerifiedImages, and returns the UID of
// that kind, which owns the bindings.
func (p *pass) anchor(ctx context.Context, home *metav1.PartialObjectMetadata) (types.UID, error) {
	kind := &metav1.PartialObjectMetadata{}
	kind.SetGroupVersionKind(definitionKind)
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		err := p.Live.Get(ctx, client.ObjectKey{Name: gate.VerifiedImagesKind}, kind)
		owners := gate.Anchored(kind.OwnerReferences, home.Name, home.UID)
		if err != nil || kind.DeletionTimestamp != nil || slices.Equal(owners, kind.OwnerReferences) {
			return err
		}
		patch := client.MergeFromWithOptions(kind.DeepCopy(), client.MergeFromWithOptimisticLock{})
		kind.OwnerReferences = owners
		return p.held(ctx, p.gate.Name, func(ctx context.Context) error {
			return p.Live.Patch(ctx, kind, patch, fieldOwner)
		})
	})
	switch {
	case apierrors.IsNotFound(err) || (err == nil && kind.DeletionTimestamp != nil):
		return "", fmt.Errorf("%w: the kind %s is gone, or going", errNowhere, gate.VerifiedImagesKind)
	case err != nil:
		return "", fmt.Errorf("making namespace %q the owner of the kind %s: %w", home.Name, gate.VerifiedImagesKind, err)
	default:
		return kind.UID, nil
	}
}
