package commandtest

import (
	"testing"

	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
)

// ClusterOf answers with these entries, from the namespace demo unless -n says
// otherwise. Its RuntimeClass kata is gVisor.
func ClusterOf(entries ...v1alpha1.ImageVerification) func(*command.ClusterFlags) (command.Cluster, error) {
	return func(f *command.ClusterFlags) (command.Cluster, error) {
		scheme := runtime.NewScheme()
		for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, nodev1.AddToScheme} {
			if err := add(scheme); err != nil {
				return command.Cluster{}, err
			}
		}
		b := fake.NewClientBuilder().WithScheme(scheme).WithObjects(&nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "kata"}, Handler: "runsc"})
		for i := range entries {
			b = b.WithObjects(entries[i].DeepCopy())
		}
		namespace := "demo"
		if *f.Config.Namespace != "" {
			namespace = *f.Config.Namespace
		}
		return command.Cluster{Reader: b.Build(), Namespace: namespace}, nil
	}
}

// Writable is a cluster that can be written to, whose user is jane.
func Writable(t *testing.T, hooks interceptor.Funcs, objects ...client.Object) (client.Client, func(*command.ClusterFlags) (command.Cluster, error)) {
	t.Helper()
	scheme, err := command.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(hooks).
		WithIndex(&v1alpha1.ImageVerification{}, "spec.digest", digest).
		WithIndex(&v1alpha1.ImageVerification{}, "spec.image.claimedRevision", revision(specFacts)).
		WithIndex(&v1alpha1.ImageVerification{}, "status.image.claimedRevision", revision(statusFacts)).Build()
	return c, func(f *command.ClusterFlags) (command.Cluster, error) {
		namespace := "demo"
		if *f.Config.Namespace != "" {
			namespace = *f.Config.Namespace
		}
		return command.Cluster{Reader: c, Writer: c, Namespace: namespace, User: "jane"}, nil
	}
}

// digest is the field that the API server selects ImageVerifications by.
func digest(o client.Object) []string {
	e, ok := o.(*v1alpha1.ImageVerification)
	if !ok {
		return nil
	}
	return []string{e.Spec.Digest}
}

// revision is a field that the API server selects ImageVerifications by, too.
func revision(of func(*v1alpha1.ImageVerification) *v1alpha1.ImageFacts) client.IndexerFunc {
	return func(o client.Object) []string {
		if e, ok := o.(*v1alpha1.ImageVerification); ok && of(e) != nil {
			return []string{of(e).ClaimedRevision}
		}
		return nil
	}
}

func specFacts(e *v1alpha1.ImageVerification) *v1alpha1.ImageFacts   { return e.Spec.Image }
func statusFacts(e *v1alpha1.ImageVerification) *v1alpha1.ImageFacts { return e.Status.Image }
