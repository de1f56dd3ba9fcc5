package gate

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/test/cluster/fast/crd"
)

// endWithin is how long after a gate's end everything starts again, at the latest.
const endWithin = time.Minute

// What may go of Revet.
const (
	theGate        = "the gate"
	theNamespace   = "Revet's namespace"
	kindOfGates    = "the kind ImageGate"
	kindOfVerified = "the kind VerifiedImages"
)

// Whatever goes of Revet, a gate in Deny ends with it within a minute, by the garbage collector
// alone: no process of Revet runs here.
func TestEveryEndEndsAGate(t *testing.T) {
	alone(t)
	expectEnds(t, []string{theGate}, []string{theNamespace}, []string{kindOfGates}, []string{kindOfVerified})
}

// And in whatever order all of it goes.
func TestEveryOrderEndsAGate(t *testing.T) {
	alone(t)
	expectEnds(t, []string{theNamespace, kindOfGates, kindOfVerified}, // as the files of config/ are ordered
		[]string{kindOfVerified, kindOfGates, theNamespace}, []string{kindOfGates, theNamespace, kindOfVerified, theGate})
}

// expectEnds expects a gate to end each time.
func expectEnds(t *testing.T, ends ...[]string) {
	t.Helper()
	collector := startManager(t)
	for _, gone := range ends {
		t.Run(strings.Join(gone, ", then "), func(t *testing.T) { expectEndOf(t, collector, gone) })
	}
}

func expectEndOf(t *testing.T, collector manager, gone []string) {
	kinds := kindsOfGates(t)
	t.Cleanup(func() { restoreKinds(t, kinds) })
	g := newGated(t, v1alpha1.GateDeny, func(g *v1alpha1.ImageGate, in *gate.Surroundings) {
		exempting(g, in)
		if in.MutatingServed = mutating; mutating {
			in.MutatingVersion = mutatingVersion(t)
		}
	})
	old := g.oldPod(t)
	g.enforce(t, content()...)
	home := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: revetNamespace}}
	g.awaitCollector(t, collector, home)
	for _, what := range gone {
		g.remove(t, map[string]client.Object{
			theGate: g.gate.DeepCopy(), theNamespace: home,
			kindOfGates: kinds["ImageGate"].DeepCopy(), kindOfVerified: kinds["VerifiedImages"].DeepCopy(),
		}[what])
	}
	g.expectEnd(t, old)
	if slices.Contains(gone, theNamespace) {
		g.awaitGone(t, home)
		g.awaitGone(t, kinds["VerifiedImages"].DeepCopy())
	}
}

// expectEnd waits until nothing is refused any more, and holds that it took no longer than it may.
func (g *gated) expectEnd(t *testing.T, old *corev1.Pod) {
	t.Helper()
	ended, developer := time.Now(), asDeveloper(t)
	for _, image := range []string{ref(unknownHex), ref(expiredHex), "nginx:1"} {
		g.await(t, "a Pod of "+image+" starts", func() error { return g.try(t, developer, podOf(image)).err })
	}
	for _, c := range changes {
		p := old.DeepCopy()
		c.change(p)
		g.await(t, c.name+" changes", func() error { return g.notByGate(g.update(t, developer, p)) })
	}
	g.await(t, "a template of break-glass", func() error {
		return g.try(t, developer, named(workloads["Deployment"](templateWith(true, "nginx:1")))).err
	})
	g.await(t, "the namespace leaves", func() error { return labelsTo(t, developer, g.namespace, "", nil).err })
	took := time.Since(ended)
	t.Logf("everything starts %s after the deletion", took.Round(10*time.Millisecond))
	if took > endWithin {
		t.Errorf("that is more than %s", endWithin)
	}
}

// notByGate returns the error of an answer if it is one of the gate's: what it refuses no
// longer the API server may refuse.
func (g *gated) notByGate(a *answer) error {
	if a.err != nil && strings.Contains(a.err.Error(), g.gate.Name) {
		return a.err
	}
	return nil
}

// awaitCollector waits until the garbage collector knows everything that is about to go.
func (g *gated) awaitCollector(t *testing.T, collector manager, home *corev1.Namespace) {
	t.Helper()
	kind := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: gate.VerifiedImagesKind}}
	kind.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	for _, o := range append(g.allObjects(), g.gate.DeepCopy(), home, kind) {
		g.await(t, "the garbage collector knows "+o.GetName(), func() error {
			if err := g.admin.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
				return err
			}
			if !collector.GraphHasUID(o.GetUID()) {
				return errors.New("it does not")
			}
			return nil
		})
	}
}

// remove asks for the end of an object, which may have gone with another.
func (g *gated) remove(t *testing.T, o client.Object) {
	t.Helper()
	if err := g.admin.Delete(t.Context(), o); client.IgnoreNotFound(err) != nil && !meta.IsNoMatchError(err) {
		t.Fatal(err)
	}
}

func (g *gated) awaitGone(t *testing.T, o client.Object) {
	t.Helper()
	g.await(t, fmt.Sprintf("the end of %T %s", o, o.GetName()), func() error {
		err := g.admin.Get(t.Context(), client.ObjectKeyFromObject(o), o)
		switch {
		case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
			return nil
		case err != nil:
			return err
		default:
			return errThere
		}
	})
}

// allObjects are the gate's policies and bindings.
func (g *gated) allObjects() []client.Object {
	var all []client.Object
	for _, p := range g.objects.Policies {
		all = append(all, p.DeepCopy())
	}
	for _, b := range g.objects.Bindings {
		all = append(all, b.DeepCopy())
	}
	for _, p := range g.objects.Pins {
		all = append(all, p.DeepCopy())
	}
	return all
}

// kindsOfGates are the definitions of the kinds that gates are made of.
func kindsOfGates(t *testing.T) map[string]*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	all, err := crd.Load(filepath.FromSlash("../../config"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, c := range all {
		if kind := c.Spec.Names.Kind; kind == "ImageGate" || kind == "VerifiedImages" {
			kinds[kind] = c
		}
	}
	return kinds
}

// restoreKinds brings back what of the kinds is gone, or going.
func restoreKinds(t *testing.T, kinds map[string]*apiextensionsv1.CustomResourceDefinition) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	g := &gated{admin: asAdmin(t)}
	for _, kind := range kinds {
		live := kind.DeepCopy()
		err := g.admin.Get(ctx, client.ObjectKeyFromObject(live), live)
		if client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
		if err == nil && live.DeletionTimestamp == nil {
			continue
		}
		g.await(t, "the end of "+kind.Name, func() error {
			err := g.admin.Get(ctx, client.ObjectKeyFromObject(live), live)
			if err == nil {
				return errThere
			}
			return client.IgnoreNotFound(err)
		})
		if err := shared.InstallCRDs(ctx, kind.DeepCopy()); err != nil {
			t.Fatal(err)
		}
	}
}

// withoutKind does something while the API server does not serve one of Revet's kinds.
func (g *gated) withoutKind(t *testing.T, kind string, do func()) {
	t.Helper()
	kinds := kindsOfGates(t)
	g.remove(t, kinds[kind].DeepCopy())
	g.awaitGone(t, kinds[kind].DeepCopy())
	defer restoreKinds(t, kinds)
	do()
}
