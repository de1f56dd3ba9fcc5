package app

import (
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	imagev1 "github.com/openshift/api/image/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/kube"
)

// restConfig returns how to reach the API server.
func (c Common) restConfig() (*rest.Config, error) {
	if c.Config != nil {
		return rest.CopyConfig(c.Config), nil
	}
	if c.Kubeconfig != "" {
		config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
		if err != nil {
			return nil, fmt.Errorf("reading the kubeconfig %q: %w", c.Kubeconfig, err)
		}
		return config, nil
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, fmt.Errorf("not running in a Pod with a service account, and --kubeconfig is not set: %w", err)
	}
	return config, nil
}

// receiverMapper names the resources that the receiver uses, so that it needs no discovery.
// It can start while an aggregated API is down, and before it is known whether the
// cluster has OpenShift's image API.
func receiverMapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	for kind, scope := range map[string]meta.RESTScope{"ImageTrigger": meta.RESTScopeNamespace, "ImageVerification": meta.RESTScopeNamespace} {
		m.Add(v1alpha1.GroupVersion.WithKind(kind), scope)
	}
	addImageKinds(m)
	for kind, scope := range map[string]meta.RESTScope{
		"Namespace": meta.RESTScopeRoot, "ConfigMap": meta.RESTScopeNamespace,
		"Secret": meta.RESTScopeNamespace, "ServiceAccount": meta.RESTScopeNamespace,
	} {
		m.Add(corev1.SchemeGroupVersion.WithKind(kind), scope)
	}
	m.Add(authorizationv1.SchemeGroupVersion.WithKind("SubjectAccessReview"), meta.RESTScopeRoot)
	m.Add(authenticationv1.SchemeGroupVersion.WithKind("TokenReview"), meta.RESTScopeRoot)
	return m
}

// imageMapper names the resources of OpenShift's image API.
func imageMapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	addImageKinds(m)
	return m
}

func addImageKinds(m *meta.DefaultRESTMapper) {
	for kind, scope := range map[string]meta.RESTScope{"ImageStream": meta.RESTScopeNamespace, "Image": meta.RESTScopeRoot} {
		m.Add(imagev1.GroupVersion.WithKind(kind), scope)
	}
}

// apiAccess is a configured way to the API server.
type apiAccess struct {
	config *rest.Config
	http   *http.Client
	scheme *runtime.Scheme
}

func newAPIAccess(config *rest.Config, scheme *runtime.Scheme, userAgent string) (*apiAccess, error) {
	config.UserAgent = userAgent
	// Requests are bounded by the requests under way here, and by the API
	// server's priority and fairness; the client's own default of 5 a second
	// would be the bottleneck.
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	config.Wrap(kube.LimitPages)
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("reaching the API server at %q: %w", config.Host, err)
	}
	return &apiAccess{config: config, http: client, scheme: scheme}, nil
}

// stripMetadata is a transform that drops what nobody reads.
func stripMetadata(obj any) (any, error) {
	if o, err := meta.Accessor(obj); err == nil {
		o.SetManagedFields(nil)
		o.SetAnnotations(nil)
	}
	return obj, nil
}
