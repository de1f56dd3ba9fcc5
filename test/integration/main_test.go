package integration

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/kube"
)

// systemNamespace is the one that config/ installs to.
const systemNamespace = "revet-system"

func TestMain(m *testing.M) {
	if os.Getenv(clusterVariable) == "" {
		os.Exit(run(m))
	}
	if err := serveCluster(context.Background(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(m *testing.M) (code int) {
	var err error
	if programsDir, err = os.MkdirTemp("", "revet-integration-"); err == nil {
		defer func() { _ = os.RemoveAll(programsDir) }()
		flag.Parse()
		err = flag.Set("test.parallel", strconv.Itoa(clusters))
	}
	if err == nil {
		shared, err = startCluster()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	freeClusters <- shared
	for range clusters - 1 {
		freeClusters <- nil
	}
	code = m.Run()
	for range clusters {
		c := <-freeClusters
		if c == nil {
			continue
		}
		if err := c.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// account is how a service account reaches the API server.
func account(t testing.TB, namespace, name string) *rest.Config {
	t.Helper()
	config, err := clusterOf(t).UserConfig("system:serviceaccount:"+namespace+":"+name, "system:serviceaccounts", "system:serviceaccounts:"+namespace)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// admin reads and writes as the cluster's administrator.
func admin(t testing.TB) client.Client {
	t.Helper()
	return clusterOf(t).admin
}

// clientOf reads and writes as somebody: Revet's kinds, and rights.
func clientOf(t testing.TB, config *rest.Config) client.Client {
	t.Helper()
	c, err := newClient(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newClient(config *rest.Config) (client.Client, error) {
	scheme, err := kube.NewScheme()
	if err != nil {
		return nil, err
	}
	for _, add := range []func(*runtime.Scheme) error{rbacv1.AddToScheme, appsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return client.New(config, client.Options{Scheme: scheme})
}

// newNamespace makes a namespace for one test. Its triggers and entries go when the test
// ends, or the controllers of later tests would work on them.
func newNamespace(t testing.TB) string {
	t.Helper()
	c := admin(t)
	namespace := corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := c.Create(t.Context(), &namespace); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, kind := range []client.Object{&v1alpha1.ImageTrigger{}, &v1alpha1.ImageVerification{}} {
			if err := c.DeleteAllOf(context.WithoutCancel(t.Context()), kind, client.InNamespace(namespace.Name)); err != nil {
				t.Error(err)
			}
		}
	})
	return namespace.Name
}

// eventually polls until the condition gives no error.
func eventually(t testing.TB, what string, condition func() error) {
	t.Helper()
	within(t, 30*time.Second, what, condition)
}

// The times between two polls. A look costs the API server a request, and some cost it all
// that the command line reads: what is not there soon is looked for less often.
const firstPoll, slowestPoll = 10 * time.Millisecond, 100 * time.Millisecond

// within polls for a time until the condition gives no error.
func within(t testing.TB, limit time.Duration, what string, condition func() error) {
	t.Helper()
	deadline := time.After(limit)
	for poll := firstPoll; ; poll = min(poll*3/2, slowestPoll) {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: not within %s: %v", what, limit, err)
		case <-time.After(poll):
		}
	}
}
