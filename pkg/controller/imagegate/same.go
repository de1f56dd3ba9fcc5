package imagegate

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

func sameVerdict(a, b *v1alpha1.Verdict) bool {
	return a == b || (a != nil && b != nil && equality.Semantic.DeepEqual(a, b))
}

func sameImage(a, b *v1alpha1.ImageFacts) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.MediaType == b.MediaType && slices.Equal(a.Children, b.Children)
}
