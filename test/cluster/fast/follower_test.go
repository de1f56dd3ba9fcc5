package fast_test

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
)

var (
	streamResource = schema.GroupVersionResource{Group: "image.openshift.io", Version: "v1", Resource: "imagestreams"}
	imageResource  = schema.GroupVersionResource{Group: "image.openshift.io", Version: "v1", Resource: "images"}
)

// follower collects the events of one resource.
type follower struct {
	resource  dynamic.NamespaceableResourceInterface
	kind      string
	namespace string
	events    watch.Interface
}

// follow watches everything from now on. The namespace is where marks go, empty for a resource without.
func follow(t *testing.T, client dynamic.Interface, resource schema.GroupVersionResource, kind, namespace string) *follower {
	t.Helper()
	r := client.Resource(resource)
	all, err := r.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	events, err := r.Watch(t.Context(), metav1.ListOptions{ResourceVersion: all.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(events.Stop)
	return &follower{r, kind, namespace, events}
}

// until returns the events since the last call. It makes an object of its own as a mark, and reads up to that: what a
// mark comes after is complete, and what comes after it belongs to the next step.
func (f *follower) until(ctx context.Context, t *testing.T, mark string) []change {
	t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "image.openshift.io/v1", "kind": f.kind,
		"metadata": map[string]any{"name": mark},
	}}
	var where dynamic.ResourceInterface = f.resource
	if f.namespace != "" {
		where = f.resource.Namespace(f.namespace)
	}
	if _, err := where.Create(ctx, object, metav1.CreateOptions{}); err != nil {
		t.Fatalf("making mark %q: %v", mark, err)
	}
	var seen []change
	deadline := time.After(20 * time.Second)
	for {
		select {
		case e, ok := <-f.events.ResultChan():
			if !ok {
				t.Fatalf("the watch ended before mark %q", mark)
			}
			object, ok := e.Object.(*unstructured.Unstructured)
			if !ok {
				t.Fatalf("the watch brought %v", e)
			}
			if object.GetName() == mark {
				return seen
			}
			seen = append(seen, change{string(e.Type), object.Object})
		case <-deadline:
			t.Fatalf("mark %q was not seen within 20 s", mark)
		}
	}
}
