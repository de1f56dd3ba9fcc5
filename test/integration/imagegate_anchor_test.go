package integration

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	pkggate "github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/test/cluster/fast/crd"
)

// Property: the kind that policies look up owns the bindings, and Revet's namespace owns the
// kind, also after somebody took that away. While the kind is gone nothing is refused, and
// once it is back the gate is in force again.
func TestWhatEndsAGateOwnsItsBindings(t *testing.T) {
	ownCluster(t)
	s := newGateSetup(t)
	startController(t, "gates")
	unknown := digestOf(t.Name())
	s.gate()
	s.enforced()
	s.refuses(unknown)
	s.anchored()

	kind := s.kind()
	if err := s.admin.Patch(t.Context(), kind, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"ownerReferences":null}}`))); err != nil {
		t.Fatal(err)
	}
	g, err := s.read()
	if err != nil {
		t.Fatal(err)
	}
	g.Spec.MaxAge.Duration = 100 * time.Hour // so that the controller looks again
	if err := s.admin.Update(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	s.anchored()

	if err := s.admin.Delete(t.Context(), s.kind()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing is refused while the kind is gone", func() error { return s.start(at(unknown)) })
	s.awaits(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonWriteFailed)
	eventually(t, "the kind is gone", func() error {
		err := s.admin.Get(t.Context(), client.ObjectKey{Name: pkggate.VerifiedImagesKind}, definition())
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there: %w", err)
	})
	all, err := crd.Load(filepath.Join(repository, "config"))
	if err == nil {
		err = crd.Install(t.Context(), clusterOf(t).RESTConfig(), all...)
	}
	if err != nil {
		t.Fatal(err)
	}
	within(t, time.Minute, "the gate is in force again", func() error {
		if err := s.start(at(unknown)); !apierrors.IsForbidden(err) {
			return fmt.Errorf("the Pod is answered with %w", err)
		}
		return nil
	})
	s.anchored()
}

func definition() *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	return o
}

func (s *gateSetup) kind() *metav1.PartialObjectMetadata {
	s.t.Helper()
	o := definition()
	if err := s.admin.Get(s.t.Context(), client.ObjectKey{Name: pkggate.VerifiedImagesKind}, o); err != nil {
		s.t.Fatal(err)
	}
	return o
}

// anchored waits until the kind owns all bindings of the gate, and the namespace the kind.
func (s *gateSetup) anchored() {
	s.t.Helper()
	home := &corev1.Namespace{}
	if err := s.admin.Get(s.t.Context(), client.ObjectKey{Name: systemNamespace}, home); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "what ends a gate owns its bindings", func() error {
		kind := s.kind()
		if !slices.ContainsFunc(kind.OwnerReferences, func(r metav1.OwnerReference) bool { return r.UID == home.UID }) {
			return fmt.Errorf("the kind is owned by %v", kind.OwnerReferences)
		}
		var bindings admissionv1.ValidatingAdmissionPolicyBindingList
		if err := s.admin.List(s.t.Context(), &bindings, client.MatchingLabels{v1alpha1.GateLabel: s.name}); err != nil || len(bindings.Items) == 0 {
			return fmt.Errorf("%d bindings: %w", len(bindings.Items), err)
		}
		for _, b := range bindings.Items {
			if len(b.OwnerReferences) != 1 || b.OwnerReferences[0].UID != kind.UID {
				return fmt.Errorf("%s is owned by %v", b.Name, b.OwnerReferences)
			}
		}
		return nil
	})
}
