package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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

// ClusterFlags are kubectl's flags, with --all-namespaces.
type ClusterFlags struct {
	Config        *genericclioptions.ConfigFlags
	AllNamespaces bool
}

// NewClusterFlags returns the flags with kubectl's defaults.
func NewClusterFlags() *ClusterFlags {
	config := genericclioptions.NewConfigFlags(true)
	config.CacheDir = nil // no command caches, so there is no flag for it
	return &ClusterFlags{Config: config}
}

// Add adds the flags to a command.
func (f *ClusterFlags) Add(c *cobra.Command) {
	f.Config.AddFlags(c.Flags())
	c.Flags().BoolVarP(&f.AllNamespaces, "all-namespaces", "A", false, "look in every namespace")
}

// TableOptions are those that the flags ask for.
func (f *ClusterFlags) TableOptions() TableOption {
	if f.AllNamespaces {
		return AllNamespaces
	}
	return 0
}

// Cluster is the cluster that a command reads.
type Cluster struct {
	client.Reader
	// Writer is for the few commands that change something in the cluster.
	Writer client.Client
	// Logs reads what a Pod printed.
	Logs func(ctx context.Context, namespace, pod string, o *corev1.PodLogOptions) ([]byte, error)
	// Namespace is the one that the flags or the kubeconfig name.
	Namespace string
	// User is the kubeconfig's name for its user, as a part of an id.
	User string
}

// Connect returns a client for the cluster that the flags name. It sends no request.
func Connect(f *ClusterFlags) (Cluster, error) {
	loader := f.Config.ToRawKubeConfigLoader()
	namespace, _, err := loader.Namespace()
	if err != nil {
		return Cluster{}, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config, err := f.Config.ToRESTConfig()
	if err != nil {
		return Cluster{}, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	raw, err := loader.RawConfig()
	if err != nil {
		return Cluster{}, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	// Without any configuration, kubectl's library uses this address.
	if len(raw.Clusters) == 0 && *f.Config.APIServer == "" && config.Host == "http://localhost:8080" {
		return Cluster{}, errors.New("no cluster is configured: set KUBECONFIG, or use --kubeconfig or --server")
	}
	scheme, err := NewScheme()
	if err != nil {
		return Cluster{}, err
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return Cluster{}, fmt.Errorf("connecting to %q: %w", config.Host, err)
	}
	core, err := corev1client.NewForConfig(config)
	if err != nil {
		return Cluster{}, fmt.Errorf("connecting to %q: %w", config.Host, err)
	}
	logs := func(ctx context.Context, namespace, pod string, o *corev1.PodLogOptions) ([]byte, error) {
		return core.Pods(namespace).GetLogs(pod, o).DoRaw(ctx)
	}
	return Cluster{Reader: c, Writer: c, Logs: logs, Namespace: namespace, User: ReadableUser(f.user(raw))}, nil
}

// NewScheme returns a scheme with the controller's types and those that only commands read.
func NewScheme() (*runtime.Scheme, error) {
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
func (f *ClusterFlags) user(raw clientcmdapi.Config) string {
	name := raw.CurrentContext
	if *f.Config.Context != "" {
		name = *f.Config.Context
	}
	user := ""
	if c := raw.Contexts[name]; c != nil {
		user = c.AuthInfo
	}
	return cmp.Or(*f.Config.Impersonate, *f.Config.AuthInfoName, user)
}

// Verifications returns the verifications of a namespace, or of all namespaces for "".
func (c Cluster) Verifications(ctx context.Context, namespace string) ([]v1alpha1.ImageVerification, error) {
	var l v1alpha1.ImageVerificationList
	if err := c.List(ctx, &l, client.InNamespace(namespace)); err != nil {
		return nil, ReadError("listing ImageVerifications", namespace, err)
	}
	return l.Items, nil
}

// ReadError adds the cure to what the API server, or the way to it, answers.
func ReadError(attempt, namespace string, err error) error {
	attempt += " " + Where(namespace)
	switch {
	case meta.IsNoMatchError(err):
		return fmt.Errorf("%s: this cluster does not have Revet's resources; install them with: ko apply -f config/", attempt)
	case apierrors.IsForbidden(err) && namespace == "":
		return fmt.Errorf("%s: %w; use -n to look in one namespace only", attempt, err)
	default:
		return fmt.Errorf("%s: %w", attempt, err)
	}
}

// Where names a namespace in a sentence.
func Where(namespace string) string {
	if namespace == "" {
		return "in all namespaces"
	}
	return fmt.Sprintf("in namespace %q", namespace)
}

// In returns the namespace that a command reads; "" means every namespace.
func (f *ClusterFlags) In(c Cluster) string {
	if f.AllNamespaces {
		return ""
	}
	return c.Namespace
}

// Triggers returns the ImageTriggers of a namespace, by namespace and name.
func (c Cluster) Triggers(ctx context.Context, namespace string) ([]v1alpha1.ImageTrigger, error) {
	var l v1alpha1.ImageTriggerList
	if err := c.List(ctx, &l, client.InNamespace(namespace)); err != nil {
		return nil, ReadError("listing ImageTriggers", namespace, err)
	}
	slices.SortFunc(l.Items, func(a, b v1alpha1.ImageTrigger) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return l.Items, nil
}

// Trigger returns an ImageTrigger, or nil if there is none.
func (c Cluster) Trigger(ctx context.Context, key client.ObjectKey) (*v1alpha1.ImageTrigger, error) {
	var t v1alpha1.ImageTrigger
	err := c.Get(ctx, key, &t)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, ReadError(fmt.Sprintf("reading ImageTrigger %q", key.Name), key.Namespace, err)
	}
	return &t, nil
}

// maxUser leaves room in the 63 characters of a request's id.
const maxUser = 32

// ReadableUser makes a part of an id of the name that a kubeconfig gives a user.
func ReadableUser(name string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		default:
			return '-'
		}
	}, name)
	clean = strings.Trim(clean[max(0, len(clean)-maxUser):], "-.")
	if clean == "" {
		return "somebody"
	}
	return clean
}
