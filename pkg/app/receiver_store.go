package app

import (
	"slices"
	"strings"
	"unique"

	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// compactStore is the store of the ledger's index. While a list is read, all of its entries are in
// memory: it makes them smaller than the decoder leaves them.
type compactStore struct{ toolscache.TransformingStore }

// Transformer implements toolscache.TransformingStore.
func (s compactStore) Transformer() toolscache.TransformFunc {
	trim := s.TransformingStore.Transformer()
	return func(obj any) (any, error) {
		obj, err := trim(obj)
		if e, ok := obj.(*v1alpha1.ImageVerification); ok && err == nil {
			compact(e)
		}
		return obj, err
	}
}

// compact changes how an entry lies in memory, and nothing else. The decoder leaves room for four tags,
// and each string is an allocation of its own.
func compact(e *v1alpha1.ImageVerification) {
	for _, s := range []*string{&e.Namespace, &e.Spec.Trigger.Name, &e.Spec.Trigger.UID} {
		*s = unique.Make(*s).Value()
	}
	r := &e.Spec.Repository
	parts := []string{e.Name, string(e.UID), e.ResourceVersion, e.Spec.Digest, r.Name, r.UID, r.Pull}
	all := strings.Join(parts, "")
	for i, p := range parts {
		parts[i], all = all[:len(p)], all[len(p):]
	}
	e.Name, e.UID, e.ResourceVersion, e.Spec.Digest = parts[0], types.UID(parts[1]), parts[2], parts[3]
	r.Name, r.UID, r.Pull = parts[4], parts[5], parts[6]
	e.Status.Tags = slices.Clone(e.Status.Tags)
}
