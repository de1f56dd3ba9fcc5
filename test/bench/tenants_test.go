//go:build linux && bench

package bench

import (
	"context"
	"fmt"
	"strings"
	"testing"

	imagev1 "github.com/openshift/api/image/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// tenants are namespaces, each with a stream, a trigger of it, and what its runs need. One sink serves all.
type tenants struct {
	namespaces []string
	trigger    *v1alpha1.ImageTrigger // that of the first
	pushes     int
}

// pushed returns the number of the next push.
func (t *tenants) pushed() int {
	t.pushes++
	return t.pushes
}

func (e *bed) newTenants(b *testing.B) *tenants {
	b.Helper()
	namespace := e.newNamespace(b)
	e.listener(b, namespace)
	newRepository(b, e.admin, namespace)
	return &tenants{namespaces: []string{namespace}, trigger: e.trigger(b, namespace)}
}

// tenantKinds are what a tenant consists of, besides its namespace.
var tenantKinds = []schema.GroupVersionKind{
	corev1.SchemeGroupVersion.WithKind("ServiceAccount"),
	rbacv1.SchemeGroupVersion.WithKind("Role"), rbacv1.SchemeGroupVersion.WithKind("RoleBinding"),
	triggersv1beta1.SchemeGroupVersion.WithKind("TriggerTemplate"), triggersv1beta1.SchemeGroupVersion.WithKind("TriggerBinding"),
	triggersv1beta1.SchemeGroupVersion.WithKind("EventListener"),
	imagev1.GroupVersion.WithKind("ImageStream"), v1alpha1.GroupVersion.WithKind("ImageTrigger"),
}

// grow makes copies of the first tenant until there are so many.
func (e *bed) grow(b *testing.B, t *tenants, number int) {
	b.Helper()
	first := t.namespaces[0]
	namespace := &unstructured.Unstructured{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := e.admin.Get(b.Context(), client.ObjectKey{Name: first}, namespace); err != nil {
		b.Fatal(err)
	}
	objects := []unstructured.Unstructured{*namespace}
	for _, kind := range tenantKinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		if err := e.admin.List(b.Context(), list, client.InNamespace(first)); err != nil {
			b.Fatal(err)
		}
		objects = append(objects, list.Items...)
	}
	have := len(t.namespaces)
	for n := have; n < number; n++ {
		t.namespaces = append(t.namespaces, fmt.Sprintf("%s-%04d", first, n))
	}
	etcd := e.storage(b)
	for i := range objects {
		o := &objects[i]
		key, _ := stored(b, etcd, o)
		o.SetResourceVersion("")
		if kind := o.GetKind(); kind == "ImageTrigger" || kind == "ImageStream" {
			delete(o.Object, "status")
		}
		value, err := o.MarshalJSON()
		if err != nil {
			b.Fatal(err)
		}
		inParallel(b, number-have, func(ctx context.Context, n int) error {
			to := t.namespaces[have+n]
			copied := strings.ReplaceAll(string(value), first, to)
			copied = strings.ReplaceAll(copied, string(o.GetUID()), string(uuid.NewUUID()))
			_, err := etcd.Put(ctx, strings.ReplaceAll(key, first, to), copied)
			return err
		})
	}
}

// repository is the stream of tenant number n.
func (e *bed) repository(b *testing.B, t *tenants, n int) *repository {
	b.Helper()
	r := &repository{client: e.admin, stream: &imagev1.ImageStream{}}
	if err := e.admin.Get(b.Context(), client.ObjectKey{Namespace: t.namespaces[n], Name: "app"}, r.stream); err != nil {
		b.Fatal(err)
	}
	return r
}

// watched reports whether the controller has checked and swept each tenant's trigger, and found it ready.
func (e *bed) watched(b *testing.B, t *tenants) error {
	b.Helper()
	var all v1alpha1.ImageTriggerList
	if err := e.admin.List(b.Context(), &all); err != nil {
		return err
	}
	ready := 0
	for i := range all.Items {
		if one := &all.Items[i]; one.IsReady() && one.Status.LastSweep != nil && one.Status.LastSweep.Repositories == 1 {
			ready++
		}
	}
	if ready < len(t.namespaces) {
		return fmt.Errorf("%d of %d triggers are ready and swept", ready, len(t.namespaces))
	}
	return nil
}
