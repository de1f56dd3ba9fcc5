package integration

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// aggregate gives the roles view and edit what aggregates to them, as Kubernetes' controller
// does, which does not run here: Kubernetes' own rules, Tekton's and Revet's.
func aggregate(t *testing.T) {
	t.Helper()
	dirs, err := kindDirs()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if filepath.Base(dir) == "300-crds" {
			dir = filepath.Dir(dir)
		}
		if !strings.Contains(dir, "tektoncd") {
			continue
		}
		if err := install(t.Context(), clusterOf(t).RESTConfig(), dir, "clusterrole-aggregate-*.yaml"); err != nil {
			t.Fatal(err)
		}
	}
	var all rbacv1.ClusterRoleList
	if err := admin(t).List(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	// What aggregates to view is part of edit by the label of system:aggregate-to-view.
	for _, name := range []string{"view", "edit"} {
		var role rbacv1.ClusterRole
		if err := admin(t).Get(t.Context(), client.ObjectKey{Name: name}, &role); err != nil {
			t.Fatal(err)
		}
		role.Rules = nil
		for _, part := range all.Items {
			if aggregates(t, &role, part.Labels) || name == "edit" && part.Labels["rbac.authorization.k8s.io/aggregate-to-view"] == "true" {
				role.Rules = append(role.Rules, part.Rules...)
			}
		}
		if len(role.Rules) < 10 {
			t.Fatalf("%s has %d rules", name, len(role.Rules))
		}
		if err := admin(t).Update(t.Context(), &role); err != nil {
			t.Fatal(err)
		}
	}
}

func aggregates(t *testing.T, role *rbacv1.ClusterRole, has map[string]string) bool {
	t.Helper()
	for i := range role.AggregationRule.ClusterRoleSelectors {
		s, err := metav1.LabelSelectorAsSelector(&role.AggregationRule.ClusterRoleSelectors[i])
		if err != nil {
			t.Fatal(err)
		}
		if s.Matches(labels.Set(has)) {
			return true
		}
	}
	return false
}

// actor is somebody who tries things.
type actor struct {
	t      *testing.T
	config *rest.Config
	client.Client
}

func actorOf(t *testing.T, config *rest.Config) actor {
	t.Helper()
	return actor{t, config, clientOf(t, config)}
}

// person is a user with cluster roles in a namespace.
func person(t *testing.T, namespace, user string, roles ...string) actor {
	t.Helper()
	userWith(t, namespace, user, roles...)
	config, err := clusterOf(t).UserConfig(user, "system:authenticated")
	if err != nil {
		t.Fatal(err)
	}
	return actorOf(t, config)
}

// parse reads an object as a user writes it.
func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatal(err)
	}
	return o
}

// named names an object by "group/version Kind namespace name"; a namespace of - is none.
func named(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	var apiVersion, kind, namespace, object string
	if _, err := fmt.Fscan(strings.NewReader(name), &apiVersion, &kind, &namespace, &object); err != nil {
		t.Fatalf("%q: %v", name, err)
	}
	o := &unstructured.Unstructured{}
	o.SetAPIVersion(apiVersion)
	o.SetKind(kind)
	o.SetName(object)
	if namespace != "-" {
		o.SetNamespace(namespace)
	}
	return o
}

// attempt is one thing that somebody tries.
type attempt func(actor) error

func creating(text string) attempt {
	return func(a actor) error { return a.Create(a.t.Context(), parse(a.t, text)) }
}

func patching(name, patch string) attempt {
	return func(a actor) error {
		return a.Patch(a.t.Context(), named(a.t, name), client.RawPatch("application/merge-patch+json", []byte(patch)))
	}
}

func patchingStatus(name, patch string) attempt {
	return func(a actor) error {
		return a.Status().Patch(a.t.Context(), named(a.t, name), client.RawPatch("application/merge-patch+json", []byte(patch)))
	}
}

func deleting(name string) attempt {
	return func(a actor) error { return a.Delete(a.t.Context(), named(a.t, name)) }
}

func reading(name string) attempt {
	return func(a actor) error {
		o := named(a.t, name)
		return a.Get(a.t.Context(), client.ObjectKeyFromObject(o), o)
	}
}

// listing lists the kind of a name in its namespace, or everywhere for a namespace of -.
func listing(name string) attempt {
	return func(a actor) error {
		o := named(a.t, name+" all")
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(o.GroupVersionKind())
		return a.List(a.t.Context(), list, client.InNamespace(o.GetNamespace()))
	}
}

// asking sends a request by its path, for what no client has a function for.
func asking(verb, path string) attempt {
	return func(a actor) error {
		c, err := kubernetes.NewForConfig(a.config)
		if err != nil {
			return err
		}
		stream, err := c.Discovery().RESTClient().Verb(verb).AbsPath(path).Stream(a.t.Context())
		if err == nil {
			_, err = io.Copy(io.Discard, stream)
			_ = stream.Close()
		}
		return err
	}
}

// updating changes an entry as it is now, so that what is refused is otherwise good.
func updating(key client.ObjectKey, change func(*v1alpha1.ImageVerification), o ...client.UpdateOption) attempt {
	return func(a actor) error {
		var e v1alpha1.ImageVerification
		if err := a.Get(a.t.Context(), key, &e); err != nil {
			return err
		}
		change(&e)
		return a.Update(a.t.Context(), &e, o...)
	}
}

// updatingDry is updating, of which nothing is stored.
func updatingDry(key client.ObjectKey, change func(*v1alpha1.ImageVerification)) attempt {
	return updating(key, change, client.DryRunAll)
}

// as tries something in the name of somebody else.
func as(user string, do attempt) attempt {
	return func(a actor) error {
		config := rest.CopyConfig(a.config)
		config.Impersonate = rest.ImpersonationConfig{UserName: user}
		return do(actorOf(a.t, config))
	}
}

// refused is how the API server words that RBAC gives no right. Resource is resource.group,
// and a namespace of "" is the whole cluster.
func refused(verb, resource, namespace string) string {
	name, group, _ := strings.Cut(resource, ".")
	where := "at the cluster scope"
	if namespace != "" {
		where = fmt.Sprintf("in the namespace %q", namespace)
	}
	return fmt.Sprintf("cannot %s resource %q in API group %q %s", verb, name, group, where)
}
