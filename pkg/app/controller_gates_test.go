package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Anybody may make Pods that ask for break-glass, where no gate guards the label. The cache keeps
// little of each, whatever stands in it.
func TestTheCacheOfGatesKeepsLittleOfStrangersObjects(t *testing.T) {
	object := metav1.ObjectMeta{
		Namespace: "team", Name: "x", UID: "u", ResourceVersion: "7", CreationTimestamp: metav1.Now(),
		Labels:      map[string]string{v1alpha1.BreakGlassLabel: "true", "large": "x"},
		Annotations: map[string]string{"large": "x"}, Finalizers: []string{"large/x"},
		OwnerReferences: []metav1.OwnerReference{{Name: "large"}}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "large"}},
	}
	pod, namespace := object.DeepCopy(), object.DeepCopy()
	pod.Labels = map[string]string{v1alpha1.BreakGlassLabel: "true"}
	pod.Annotations, pod.Finalizers, pod.OwnerReferences, pod.ManagedFields = nil, nil, nil, nil
	namespace.Annotations, namespace.ManagedFields = nil, nil
	want := map[string]*metav1.ObjectMeta{"Pod": pod, "Namespace": namespace}
	for of, cached := range gateObjects("revet-system") {
		kind := of.GetObjectKind().GroupVersionKind().Kind
		if want[kind] == nil {
			continue
		}
		kept := &metav1.PartialObjectMetadata{ObjectMeta: *object.DeepCopy()}
		if cached.Transform != nil {
			got, err := cached.Transform(kept)
			if err != nil {
				t.Fatal(err)
			}
			kept = got.(*metav1.PartialObjectMetadata)
		}
		if diff := cmp.Diff(*want[kind], kept.ObjectMeta); diff != "" {
			t.Errorf("of a %s it keeps (-want +got):\n%s", kind, diff)
		}
		delete(want, kind)
	}
	if len(want) != 0 {
		t.Errorf("nothing is said of %v", want)
	}
}

// The attestor keeps little of the entries and triggers of every namespace.
func TestTheCacheOfTheAttestorKeepsLittleOfEntries(t *testing.T) {
	kept, err := attestorCache("revet-system").DefaultTransform(&v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Name: "x", Annotations: map[string]string{"large": "x"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if e := kept.(*v1alpha1.ImageVerification); e.Annotations != nil || e.Name != "x" {
		t.Errorf("it keeps %+v", e)
	}
}
