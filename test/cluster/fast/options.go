package fast

import (
	"io"
	"log/slog"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/revet-dev/revet/test/cluster/registry"
)

// Options say what [Start] starts besides etcd and the API server. The zero value is useful.
type Options struct {
	// Dir keeps etcd's data, certificates and the kubeconfig. Default: a temporary directory, removed by Stop. A cluster that
	// is started on the Dir of an earlier one has its objects and its certificates.
	Dir string
	// Addr is the host:port of 127.0.0.1 that the API server listens on. Default: a free port.
	Addr string
	// Etcd is the client URL of an etcd that runs elsewhere, such as one of [StartEtcd] in another process. Default: one in
	// this process, which keeps its data in Dir.
	Etcd string
	// CRDs are installed, and established, before Start returns; so is what CRDDirs hold.
	CRDs []*apiextensionsv1.CustomResourceDefinition
	// CRDDirs are directories whose *.yaml files hold CustomResourceDefinitions; other kinds in them are left alone.
	CRDDirs []string
	// OpenShift installs the custom resources ImageStream and Image.
	OpenShift bool
	// Registry starts an image registry with the bridge to ImageStreams, and implies OpenShift.
	Registry *RegistryOptions
	// ServiceAccountAdmission turns the admission plug-in of that name on; Pods then need an existing ServiceAccount.
	ServiceAccountAdmission bool
	// MutatingPolicies makes the API server serve and obey MutatingAdmissionPolicies, which are off before Kubernetes 1.36.
	MutatingPolicies bool
	// Flags are further flags of kube-apiserver, for example "--feature-gates=...". They come last and so win.
	Flags []string
	// Log receives the bridge's log. Default: discarded.
	Log *slog.Logger
	// Output receives the API server's and etcd's log as it comes. Default: kept for a failure only.
	Output io.Writer
}

// RegistryOptions of the registry that [Start] starts.
type RegistryOptions struct {
	// Dir holds the content. Default: a folder below the cluster's directory.
	Dir string
	// Addr is the host:port to listen on. Default: a free port on 127.0.0.1.
	Addr string
	// Endpoints receive Distribution's notifications.
	Endpoints []registry.Endpoint
	// PushTimeout is how long a push waits for its ImageStream while the API server is down. Default 10 s.
	PushTimeout time.Duration
}
