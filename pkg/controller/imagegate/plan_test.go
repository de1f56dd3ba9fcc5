package imagegate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Property: however many namespaces somebody makes that a pattern matches, the policies name the
// oldest, and no more than their bound.
func TestPoliciesNameTheOldestExcludedNamespaces(t *testing.T) {
	var all []metav1.PartialObjectMetadata
	add := func(name string, age time.Duration) {
		all = append(all, metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name: name, CreationTimestamp: metav1.NewTime(noon.Add(-age))}})
	}
	for i := range 2 * maxMatched {
		add(fmt.Sprintf("tekton-%03d", i), time.Hour)
	}
	add("tekton-zz", 48*time.Hour)
	add("shop", 72*time.Hour)
	excluded := func(o *metav1.PartialObjectMetadata) bool { return strings.HasPrefix(o.Name, "tekton-") }
	got := oldestOf(all, excluded)
	if len(got) != maxMatched || got[0] != "tekton-zz" || got[1] != "tekton-000" || slices.Contains(got, "shop") {
		t.Errorf("%d names, the first ones are %v", len(got), got[:2])
	}
	if got := oldestOf(all[:3], excluded); len(got) != 3 {
		t.Errorf("of three: %v", got)
	}
}
