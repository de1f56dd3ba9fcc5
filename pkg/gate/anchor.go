package gate

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// VerifiedImagesKind is the CustomResourceDefinition of what policies look up. It owns the
// bindings of all gates.
const VerifiedImagesKind = "verifiedimages.revet.dev"

// Anchored returns the owners that VerifiedImagesKind should have: those that it has, and
// Revet's namespace instead of an earlier one of that name. The garbage collector then ends
// all gates with the kind or the namespace, and no process of Revet has to run for that. With
// the kind goes nothing that does not go with the namespace, which has all its objects.
func Anchored(
	owners []metav1.OwnerReference, namespace string, uid types.UID,
) []metav1.OwnerReference {
	home := metav1.OwnerReference{APIVersion: "v1", Kind: "Namespace", Name: namespace, UID: uid}
	if slices.Contains(owners, home) {
		return owners
	}
	others := slices.DeleteFunc(slices.Clone(owners), func(r metav1.OwnerReference) bool {
		return r.Kind == home.Kind && r.Name == home.Name
	})
	return append(others, home)
}
