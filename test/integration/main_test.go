package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/test/cluster/fast"
)

// systemNamespace is the one that config/ installs to.
const systemNamespace = "revet-system"

var shared *fast.Cluster

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	config := filepath.FromSlash("../../config")
	var err error
	shared, err = fast.Start(context.Background(), fast.Options{CRDDirs: []string{config}, Registry: &fast.RegistryOptions{}})
	if err == nil {
		defer func() {
			if err := shared.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}()
		err = install(context.Background(), config, "000-*.yaml", "100-*.yaml", "200-*.yaml", "400-*.yaml", "500-*.yaml")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// install creates the objects of Revet's own manifests, Pods and what is about
// them excepted.
func install(ctx context.Context, dir string, patterns ...string) error {
	c, err := client.New(shared.RESTConfig(), client.Options{})
	if err != nil {
		return err
	}
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(files) == 0 {
			return fmt.Errorf("nothing matches %s in %s: %w", pattern, dir, errors.Join(err, os.ErrNotExist))
		}
		for _, file := range files {
			if err := installFile(ctx, c, file); err != nil {
				return fmt.Errorf("installing %s: %w", file, err)
			}
		}
	}
	return nil
}

func installFile(ctx context.Context, c client.Client, file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	for {
		var object unstructured.Unstructured
		if err := documents.Decode(&object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if len(object.Object) == 0 {
			continue
		}
		if err := c.Create(ctx, &object); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
}

// account is how a service account reaches the API server.
func account(t testing.TB, namespace, name string) *rest.Config {
	t.Helper()
	config, err := shared.UserConfig("system:serviceaccount:"+namespace+":"+name, "system:serviceaccounts", "system:serviceaccounts:"+namespace)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// admin reads and writes as the cluster's administrator.
func admin(t testing.TB) client.Client {
	t.Helper()
	return clientOf(t, shared.RESTConfig())
}

// clientOf reads and writes as somebody: Revet's kinds, and rights.
func clientOf(t testing.TB, config *rest.Config) client.Client {
	t.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	if err := rbacv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newNamespace makes a namespace for one test.
func newNamespace(t testing.TB) string {
	t.Helper()
	namespace := corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := admin(t).Create(t.Context(), &namespace); err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

// eventually polls until the condition gives no error.
func eventually(t testing.TB, what string, condition func() error) {
	t.Helper()
	within(t, 30*time.Second, what, condition)
}

// within polls for a time until the condition gives no error.
func within(t testing.TB, limit time.Duration, what string, condition func() error) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: not within %s: %v", what, limit, err)
		case <-tick.C:
		}
	}
}
