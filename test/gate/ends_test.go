package gate

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/test/cluster/fast/crd"
)

// Whatever goes of Revet, and in whatever order, a gate in Deny ends with it, and no process
// of Revet is needed for that.
func TestEveryEndEndsAGate(t *testing.T) {
	for _, test := range []struct {
		name string
		// left is what the garbage collector leaves: "Policy", "Binding", or "" for nothing.
		left string
		end  func(*gated, *testing.T, func())
	}{
		{"the gate", "Binding", func(g *gated, t *testing.T, then func()) {
			g.remove(t, g.gate.DeepCopy())
			then()
			g.removeContent(t)
		}},
		{"the gate, what it knows first", "Binding", func(g *gated, t *testing.T, then func()) {
			g.removeContent(t)
			g.remove(t, g.gate.DeepCopy())
			then()
		}},
		{"Revet's namespace", "Policy", func(g *gated, t *testing.T, then func()) {
			g.removeContent(t)
			g.removeHome(t)
			then()
		}},
		{"the kind of gates", "Binding", func(g *gated, t *testing.T, then func()) {
			g.withoutKind(t, "ImageGate", then)
		}},
		{"both kinds", "Binding", func(g *gated, t *testing.T, then func()) {
			g.withoutKind(t, "VerifiedImages", func() { g.withoutKind(t, "ImageGate", then) })
		}},
		{"everything, the namespace first", "", func(g *gated, t *testing.T, then func()) {
			g.removeContent(t)
			g.removeHome(t)
			g.withoutKind(t, "VerifiedImages", func() { g.withoutKind(t, "ImageGate", then) })
		}},
		{"everything, the namespace last", "", func(g *gated, t *testing.T, then func()) {
			g.withoutKind(t, "ImageGate", func() {
				g.withoutKind(t, "VerifiedImages", func() {
					g.removeHome(t)
					then()
				})
			})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newGated(t, v1alpha1.GateDeny, func(g *v1alpha1.ImageGate, in *gate.Surroundings) {
				exempting(g, in)
				in.SystemNamespace = "system-" + g.Name
				if in.MutatingServed = mutating; mutating {
					in.MutatingVersion = mutatingVersion(t)
				}
			})
			g.makeNamespace(t, g.in.SystemNamespace, nil)
			old := g.oldPod(t)
			g.enforce(t, content()...)
			developer := asDeveloper(t)
			test.end(g, t, func() {
				left := g.collect(t)
				for _, kind := range left {
					if test.left == "" || strings.HasSuffix(kind, "Binding") != (test.left == "Binding") {
						t.Errorf("the garbage collector leaves a %s", kind)
					}
				}
				if len(left) == 0 && test.left != "" {
					t.Error("the garbage collector leaves nothing")
				}
				for _, image := range []string{ref(unknownHex), "nginx:1"} {
					g.await(t, "a Pod starts", func() error { return g.try(t, developer, podOf(image)).err })
				}
				for _, c := range changes {
					p := old.DeepCopy()
					c.change(p)
					g.await(t, c.name+" changes", func() error {
						if a := g.update(t, developer, p); a.err != nil && strings.Contains(a.err.Error(), g.gate.Name) {
							return a.err
						}
						return nil
					})
				}
			})
		})
	}
}

func (g *gated) remove(t *testing.T, o client.Object) {
	t.Helper()
	if err := g.admin.Delete(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// removeContent removes what the gate knows.
func (g *gated) removeContent(t *testing.T) {
	t.Helper()
	err := g.admin.DeleteAllOf(t.Context(), &v1alpha1.VerifiedImages{}, client.InNamespace(g.in.SystemNamespace))
	if err != nil {
		t.Fatal(err)
	}
}

// removeHome removes Revet's namespace, as the controller of namespaces does that follows
// the removal of its content.
func (g *gated) removeHome(t *testing.T) {
	t.Helper()
	home := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: g.in.SystemNamespace}}
	g.remove(t, home)
	if err := g.admin.Get(t.Context(), client.ObjectKeyFromObject(home), home); err != nil {
		t.Fatal(err)
	}
	home.Spec.Finalizers = nil
	if err := g.admin.SubResource("finalize").Update(t.Context(), home); err != nil {
		t.Fatal(err)
	}
	g.await(t, "the end of Revet's namespace", func() error {
		return g.mustBeGone(t.Context(), client.ObjectKeyFromObject(home), &corev1.Namespace{})
	})
}

// mustBeGone is an error if there is an object.
func (g *gated) mustBeGone(ctx context.Context, key client.ObjectKey, o client.Object) error {
	err := g.admin.Get(ctx, key, o)
	switch {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
		return nil
	case err != nil:
		return err
	default:
		return errThere
	}
}

// collect removes policies and bindings all of whose owners are gone, as the garbage
// collector does, which this cluster does not run. It returns the kinds of what is left.
func (g *gated) collect(t *testing.T) []string {
	t.Helper()
	var left []string
	for _, o := range g.allObjects() {
		kind, err := g.admin.GroupVersionKindFor(o)
		if err != nil {
			t.Fatal(err)
		}
		live := &metav1.PartialObjectMetadata{}
		live.SetGroupVersionKind(kind)
		if err := g.admin.Get(t.Context(), client.ObjectKeyFromObject(o), live); err != nil {
			t.Fatal(err)
		}
		if len(live.OwnerReferences) == 0 || slices.ContainsFunc(live.OwnerReferences, func(r metav1.OwnerReference) bool {
			return g.exists(t, r)
		}) {
			left = append(left, kind.Kind)
			continue
		}
		g.remove(t, live)
	}
	return left
}

// exists reports whether an owner is there.
func (g *gated) exists(t *testing.T, r metav1.OwnerReference) bool {
	t.Helper()
	owner := &unstructured.Unstructured{}
	owner.SetAPIVersion(r.APIVersion)
	owner.SetKind(r.Kind)
	err := g.admin.Get(t.Context(), client.ObjectKey{Name: r.Name}, owner)
	if err != nil && !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err) {
		t.Fatal(err)
	}
	return err == nil && owner.GetUID() == r.UID
}

// allObjects are the gate's policies and bindings.
func (g *gated) allObjects() []client.Object {
	var all []client.Object
	for _, p := range g.objects.Policies {
		all = append(all, p)
	}
	for _, b := range g.objects.Bindings {
		all = append(all, b)
	}
	for _, p := range g.objects.Pins {
		all = append(all, p)
	}
	return all
}

// withoutKind does something while the API server does not serve one of Revet's kinds.
func (g *gated) withoutKind(t *testing.T, kind string, do func()) {
	t.Helper()
	all, err := crd.Load(filepath.FromSlash("../../config"))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(c *apiextensionsv1.CustomResourceDefinition) bool { return c.Spec.Names.Kind == kind })
	if err := apiextensionsv1.AddToScheme(gateScheme); err != nil {
		t.Fatal(err)
	}
	g.remove(t, all[i].DeepCopy())
	g.await(t, "the end of the kind", func() error {
		return g.mustBeGone(t.Context(), client.ObjectKeyFromObject(all[i]), &apiextensionsv1.CustomResourceDefinition{})
	})
	defer func() {
		if err := shared.InstallCRDs(context.Background(), all[i]); err != nil {
			t.Fatal(err)
		}
	}()
	do()
}
