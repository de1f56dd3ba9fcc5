package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/kube"
)

// clusterFlags are kubectl's flags, with --all-namespaces.
type clusterFlags struct {
	config        *genericclioptions.ConfigFlags
	allNamespaces bool
}

func newClusterFlags() *clusterFlags {
	config := genericclioptions.NewConfigFlags(true)
	config.CacheDir = nil // nothing is cached, so there is no flag for it
	return &clusterFlags{config: config}
}

func (f *clusterFlags) add(c *cobra.Command) {
	f.config.AddFlags(c.Flags())
	c.Flags().BoolVarP(&f.allNamespaces, "all-namespaces", "A", false, "look in every namespace")
}

// cluster is where a command reads.
type cluster struct {
	client.Reader
	// writer is for the few commands that ask the cluster for something.
	writer client.Client
	// logs reads what a Pod printed.
	logs func(ctx context.Context, namespace, pod string, o *corev1.PodLogOptions) ([]byte, error)
	// namespace is what the flags or the kubeconfig name.
	namespace string
	// user is what the kubeconfig calls its user, as a part of an id.
	user string
}

// connect makes a client for the cluster that the flags name. It sends nothing.
func connect(f *clusterFlags) (cluster, error) {
	loader := f.config.ToRawKubeConfigLoader()
	namespace, _, err := loader.Namespace()
	if err != nil {
		return cluster{}, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config, err := f.config.ToRESTConfig()
	if err != nil {
		return cluster{}, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	raw, err := loader.RawConfig()
	if err != nil {
		return cluster{}, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	// Without any configuration, kubectl's library takes this address to be meant.
	if len(raw.Clusters) == 0 && *f.config.APIServer == "" && config.Host == "http://localhost:8080" {
		return cluster{}, errors.New("no cluster is configured: set KUBECONFIG, or give --kubeconfig or --server")
	}
	scheme, err := newScheme()
	if err != nil {
		return cluster{}, err
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return cluster{}, fmt.Errorf("connecting to %q: %w", config.Host, err)
	}
	core, err := corev1client.NewForConfig(config)
	if err != nil {
		return cluster{}, fmt.Errorf("connecting to %q: %w", config.Host, err)
	}
	logs := func(ctx context.Context, namespace, pod string, o *corev1.PodLogOptions) ([]byte, error) {
		return core.Pods(namespace).GetLogs(pod, o).DoRaw(ctx)
	}
	return cluster{Reader: c, writer: c, logs: logs, namespace: namespace, user: readableUser(f.user(raw))}, nil
}

// newScheme has what the controller reads, and what only a person looks at.
func newScheme() (*runtime.Scheme, error) {
	scheme, err := kube.NewScheme()
	if err != nil {
		return nil, err
	}
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, admissionv1.AddToScheme, batchv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("building the scheme: %w", err)
		}
	}
	return scheme, nil
}

// user returns the name of the kubeconfig's user that the flags choose.
func (f *clusterFlags) user(raw clientcmdapi.Config) string {
	name := raw.CurrentContext
	if *f.config.Context != "" {
		name = *f.config.Context
	}
	user := ""
	if c := raw.Contexts[name]; c != nil {
		user = c.AuthInfo
	}
	return cmp.Or(*f.config.Impersonate, *f.config.AuthInfoName, user)
}

// list returns the verifications of a namespace; "" is every namespace.
func (c cluster) list(ctx context.Context, namespace string) ([]v1alpha1.ImageVerification, error) {
	var l v1alpha1.ImageVerificationList
	if err := c.List(ctx, &l, client.InNamespace(namespace)); err != nil {
		return nil, readError("listing ImageVerifications", namespace, err)
	}
	return l.Items, nil
}

// readError adds the cure to what the API server, or the way to it, answers.
func readError(attempt, namespace string, err error) error {
	attempt += " " + where(namespace)
	switch {
	case meta.IsNoMatchError(err):
		return fmt.Errorf("%s: this cluster does not have Revet's resources; install them with: ko apply -f config/", attempt)
	case apierrors.IsForbidden(err) && namespace == "":
		return fmt.Errorf("%s: %w; with -n you look into one namespace only", attempt, err)
	default:
		return fmt.Errorf("%s: %w", attempt, err)
	}
}

// where names a namespace in a sentence.
func where(namespace string) string {
	if namespace == "" {
		return "in all namespaces"
	}
	return fmt.Sprintf("in namespace %q", namespace)
}

// in returns the namespace that a command looks into; "" is every namespace.
func (f *clusterFlags) in(c cluster) string {
	if f.allNamespaces {
		return ""
	}
	return c.namespace
}
