//go:build linux

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// apply creates the objects of the files that match a pattern, in a namespace where they name none.
func (e *bed) apply(b *testing.B, namespace, pattern string) {
	b.Helper()
	if err := apply(b.Context(), e.admin, namespace, pattern); err != nil {
		b.Fatal(err)
	}
}

func apply(ctx context.Context, c client.Client, namespace, pattern string) error {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		return fmt.Errorf("nothing matches %s: %w", pattern, errors.Join(err, os.ErrNotExist))
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096); ; {
			var object unstructured.Unstructured
			if err := documents.Decode(&object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return fmt.Errorf("reading %s: %w", file, err)
			}
			if len(object.Object) == 0 {
				continue
			}
			if err := create(ctx, c, namespace, &object); err != nil {
				return fmt.Errorf("creating the %s of %s: %w", object.GetKind(), file, err)
			}
		}
	}
	return nil
}

func create(ctx context.Context, c client.Client, namespace string, object *unstructured.Unstructured) error {
	namespaced, err := c.IsObjectNamespaced(object)
	if err != nil {
		return err
	}
	if namespaced && object.GetNamespace() == "" {
		object.SetNamespace(namespace)
	}
	if err := leavePending(object); err != nil {
		return err
	}
	if err := c.Create(ctx, object); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return nil
}

// leavePending makes the PipelineRuns of a TriggerTemplate wait forever, should a Tekton controller be there.
func leavePending(object *unstructured.Unstructured) error {
	if object.GetKind() != "TriggerTemplate" {
		return nil
	}
	templates, _, err := unstructured.NestedSlice(object.Object, "spec", "resourcetemplates")
	if err != nil {
		return err
	}
	for _, t := range templates {
		run, _ := t.(map[string]any)
		if err := unstructured.SetNestedField(run, "PipelineRunPending", "spec", "status"); err != nil {
			return err
		}
	}
	return unstructured.SetNestedSlice(object.Object, templates, "spec", "resourcetemplates")
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
