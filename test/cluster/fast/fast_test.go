package fast_test

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/revet-dev/revet/test/cluster/fast"
)

// eventually polls until the condition gives no error.
func eventually(t *testing.T, what string, condition func() error) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: not within 30 s: %v", what, err)
		case <-tick.C:
		}
	}
}

func admin(t *testing.T) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(shared.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// newNamespace makes a namespace for one test.
func newNamespace(t *testing.T) string {
	t.Helper()
	namespace, err := admin(t).CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

func TestASecondClusterInTheProcessIsRefused(t *testing.T) {
	second, err := fast.Start(t.Context(), fast.Options{})
	if err == nil {
		t.Errorf("a second cluster started")
		_ = second.Stop()
	}
}

func TestTheKubeconfigReachesTheClusterAsAdministrator(t *testing.T) {
	config, err := clientcmd.BuildConfigFromFlags("", shared.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Secrets("kube-system").List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("listing secrets: %v", err)
	}
}

func TestAPodNeedsNoServiceAccountToExist(t *testing.T) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "one"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "example.test/c"}}},
	}
	if _, err := admin(t).CoreV1().Pods(newNamespace(t)).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
}

// Rights in the image API are those of RBAC, given and taken without delay.
func TestAUserMayWatchStreamsOnceARoleSaysSo(t *testing.T) {
	namespace := newNamespace(t)
	config, err := shared.UserConfig("jane", "developers")
	if err != nil {
		t.Fatal(err)
	}
	jane, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	list := func() error {
		_, err := jane.Resource(streamResource).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
		return err
	}
	if err := list(); !apierrors.IsForbidden(err) {
		t.Fatalf("listing streams without a role: %v, want it to be forbidden", err)
	}
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "streams"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"image.openshift.io"}, Resources: []string{"imagestreams"}, Verbs: []string{"get", "list", "watch"}}},
	}
	if _, err := admin(t).RbacV1().Roles(namespace).Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "streams"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "streams"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "developers"}},
	}
	if _, err := admin(t).RbacV1().RoleBindings(namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "listing streams with a role", list)
}

func TestInstalledDefinitionsCanBeUsedAtOnce(t *testing.T) {
	preserve := true
	crd := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "things.fast.example.test"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "fast.example.test", Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "things", Singular: "thing", Kind: "Thing", ListKind: "ThingList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", XPreserveUnknownFields: &preserve,
				}},
			}},
		},
	}
	for range 2 { // installing again updates
		if err := shared.InstallCRDs(t.Context(), crd); err != nil {
			t.Fatal(err)
		}
	}
	client, err := dynamic.NewForConfig(shared.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	things := schema.GroupVersionResource{Group: "fast.example.test", Version: "v1", Resource: "things"}
	if _, err := client.Resource(things).List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("listing things: %v", err)
	}
}

// While the API server is down a push fails, and says why; what it stored comes to light when the API server is back.
func TestTheAPIServerCanBeDownForAWhile(t *testing.T) {
	namespace := newNamespace(t)
	push(t, namespace+"/app:before")
	if err := shared.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	img, digest := newImage(t)
	down := make(chan error, 1)
	go func() { down <- write(context.Background(), namespace+"/app:meanwhile", img) }()

	select {
	case err := <-down:
		if err == nil || !strings.Contains(err.Error(), "is the API server up?") {
			t.Errorf("a push while the API server was down ended with %v, want an error that asks for the API server", err)
		}
	case <-time.After(time.Minute):
		t.Error("a push while the API server was down did not end within a minute")
	}
	if err := shared.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the image pushed meanwhile", func() error { return hasHead(t, namespace, "app", "meanwhile", digest) })
	if _, err := admin(t).CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{}); err != nil {
		t.Errorf("what was written before is gone: %v", err)
	}
	push(t, namespace+"/app:after")
}
