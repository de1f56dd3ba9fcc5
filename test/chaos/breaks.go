//go:build linux

package chaos

import (
	"context"
	"fmt"
	"syscall"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// scanAndValidate is the name of all objects of triggers/ that are broken here, but for the listener's account.
const scanAndValidate = "scan-and-validate"

// breaks breaks what a case is called after. What it returns mends it.
func (w *env) breaks(ctx context.Context, name string) (mend func() error, err error) {
	const triggers, rbac = "triggers.tekton.dev", "rbac.authorization.k8s.io"
	switch name {
	case Listener:
		return w.breakListener(ctx, schema.GroupVersionKind{Group: triggers, Version: "v1beta1", Kind: "EventListener"})
	case Rights:
		return w.deleted(ctx, schema.GroupVersionKind{Group: rbac, Version: "v1", Kind: "RoleBinding"}, client.ObjectKey{Namespace: vetting, Name: scanAndValidate + "-listener"})
	case Class:
		return w.deleted(ctx, schema.GroupVersionKind{Group: "node.k8s.io", Version: "v1", Kind: "RuntimeClass"}, client.ObjectKey{Name: runtimeClass})
	case Template:
		return w.changed(ctx, schema.GroupVersionKind{Group: triggers, Version: "v1beta1", Kind: "TriggerTemplate"}, func(spec map[string]any) error {
			return inFirst(spec, "resourcetemplates", "scan-$(tt.params.run)", "metadata", "name")
		})
	case Binding:
		return w.changed(ctx, schema.GroupVersionKind{Group: triggers, Version: "v1beta1", Kind: "TriggerBinding"}, func(spec map[string]any) error {
			return inFirst(spec, "params", "$(body.runName)", "value")
		})
	default:
		return nil, fmt.Errorf("no case is called %q", name)
	}
}

// breakListener deletes the EventListener. Its sink ends and starts as Tekton's controller would have it: with the
// Deployment that belongs to the object, and which has an address once it is there.
func (w *env) breakListener(ctx context.Context, kind schema.GroupVersionKind) (func() error, error) {
	key := client.ObjectKey{Namespace: vetting, Name: scanAndValidate}
	sink := w.targets["sink"]
	ours, entrance := sink.parts[0], sink.links[1].address() // Revet's way was started first: to the API server, and in
	mend, err := w.deleted(ctx, kind, key)
	if err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() { // it takes its time to end
		defer close(ended)
		ours.take(syscall.SIGTERM)
	}()
	return func() error {
		<-ended
		if err := mend(); err != nil {
			return err
		}
		if err := ours.start(); err != nil {
			return err
		}
		return w.address(ctx, vetting, scanAndValidate, entrance)
	}, nil
}

// deleted deletes an object. What it returns makes it again.
func (w *env) deleted(ctx context.Context, kind schema.GroupVersionKind, key client.ObjectKey) (func() error, error) {
	o, err := w.object(ctx, kind, key)
	if err != nil {
		return nil, err
	}
	if err := w.admin.Delete(ctx, o); err != nil {
		return nil, fmt.Errorf("deleting %s %s: %w", kind.Kind, key.Name, err)
	}
	return func() error {
		again := &unstructured.Unstructured{Object: map[string]any{}}
		for field, value := range o.Object {
			if field != "metadata" && field != "status" {
				again.Object[field] = value
			}
		}
		again.SetNamespace(key.Namespace)
		again.SetName(key.Name)
		return w.admin.Create(ctx, again)
	}, nil
}

// changed changes the spec of one of the objects of triggers/. What it returns makes it what it was.
func (w *env) changed(ctx context.Context, kind schema.GroupVersionKind, change func(spec map[string]any) error) (func() error, error) {
	key := client.ObjectKey{Namespace: vetting, Name: scanAndValidate}
	o, err := w.object(ctx, kind, key)
	if err != nil {
		return nil, err
	}
	spec, _, err := unstructured.NestedMap(o.Object, "spec") // a copy
	if err != nil {
		return nil, err
	}
	before, _, err := unstructured.NestedMap(o.Object, "spec")
	if err == nil {
		err = change(spec)
	}
	if err == nil {
		o.Object["spec"] = spec
		err = w.admin.Update(ctx, o)
	}
	return func() error {
		o, err := w.object(ctx, kind, key)
		if err != nil {
			return err
		}
		o.Object["spec"] = before
		return w.admin.Update(ctx, o)
	}, err
}

func (w *env) object(ctx context.Context, kind schema.GroupVersionKind, key client.ObjectKey) (*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(kind)
	if err := w.admin.Get(ctx, key, o); err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", kind.Kind, key.Name, err)
	}
	return o, nil
}

// inFirst sets a field of the first item of a list.
func inFirst(spec map[string]any, list, value string, path ...string) error {
	items, _ := spec[list].([]any)
	if len(items) == 0 {
		return fmt.Errorf("%s is empty", list)
	}
	item, _ := items[0].(map[string]any)
	return unstructured.SetNestedField(item, value, path...)
}
