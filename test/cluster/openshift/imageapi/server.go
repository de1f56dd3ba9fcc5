package imageapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	apirest "k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/util/compatibility"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	etcdPrefix   = "/openshift.io"
	startTimeout = 30 * time.Second
	stopTimeout  = 10 * time.Second
	// How long a right that was given or found is remembered. OpenShift's servers remember both answers for 10 s; tests
	// change roles and expect to see it.
	allowedFor = time.Second
	deniedFor  = 0
)

// Server is a running image API.
type Server struct {
	addr   string
	client *rest.Config
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

// Start serves the API and returns when it is usable through the API server. The context bounds the start only.
func Start(ctx context.Context, o Options) (*Server, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	ctx, cancelStart := context.WithTimeout(ctx, startTimeout)
	defer cancelStart()

	generic, certificate, err := newServer(ctx, o)
	if err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &Server{addr: generic.SecureServingInfo.Listener.Addr().String(), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.err = generic.PrepareRun().RunWithContext(run)
	}()
	if s.client, err = clientcmd.BuildConfigFromFlags("", o.Kubeconfig); err != nil {
		return nil, errors.Join(fmt.Errorf("reading the kubeconfig %q: %w", o.Kubeconfig, err), s.Stop())
	}
	s.client.QPS = -1 // few requests are made, and those with a pace of their own
	if err := register(ctx, s.client, o.Host, s.addr, certificate); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	if err := s.WaitServed(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	go s.keepServed(run)
	return s, nil
}

// Addr is the host:port that the server listens on.
func (s *Server) Addr() string { return s.addr }

// Stop ends the server. It stays registered: its API is unavailable until the next Start, as on a cluster.
func (s *Server) Stop() error {
	s.cancel()
	select {
	case <-s.done:
		return s.err
	case <-time.After(stopTimeout):
		return fmt.Errorf("the image API did not stop within %v", stopTimeout)
	}
}

func newServer(ctx context.Context, o Options) (server *genericapiserver.GenericAPIServer, certificate []byte, err error) {
	scheme, codecs := newScheme()
	config := genericapiserver.NewRecommendedConfig(codecs)
	config.EffectiveVersion = compatibility.DefaultBuildEffectiveVersion()
	config.ShutdownWatchTerminationGracePeriod = 0
	describe(config, scheme)
	certificate, err = serveSecurely(ctx, o, config)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			_ = config.SecureServing.Listener.Close()
		}
	}()
	if err := authorise(o, config); err != nil {
		return nil, nil, err
	}
	etcd := options.NewEtcdOptions(storagebackend.NewDefaultConfig(etcdPrefix, codecs.LegacyCodec(imagev1.GroupVersion)))
	etcd.StorageConfig.Transport.ServerList = []string{o.Etcd}
	if err := etcd.ApplyTo(&config.Config); err != nil {
		return nil, nil, fmt.Errorf("configuring the image API's storage: %w", err)
	}
	server, err = config.Complete().New("image-api", genericapiserver.NewEmptyDelegate())
	if err != nil {
		return nil, nil, fmt.Errorf("making the image API's server: %w", err)
	}
	group, err := storageOf(o, config, scheme, codecs)
	if err != nil {
		return nil, nil, err
	}
	if err := server.InstallAPIGroup(group); err != nil {
		return nil, nil, fmt.Errorf("installing the image API: %w", err)
	}
	return server, certificate, nil
}

func serveSecurely(ctx context.Context, o Options, config *genericapiserver.RecommendedConfig) (certificate []byte, err error) {
	ip, port, err := o.listen()
	if err != nil {
		return nil, err
	}
	secure := options.NewSecureServingOptions().WithLoopback()
	secure.BindAddress, secure.BindPort = ip, port
	secure.ServerCert.CertDirectory = "" // in memory
	secure.Listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("listening for the image API on %q: %w", o.Addr, err)
	}
	secure.BindPort = secure.Listener.Addr().(*net.TCPAddr).Port
	if err := secure.MaybeDefaultWithSelfSignedCerts(serviceHost, []string{o.Host}, []net.IP{ip}); err != nil {
		return nil, errors.Join(fmt.Errorf("making the image API's certificate: %w", err), secure.Listener.Close())
	}
	certificate, _ = secure.ServerCert.GeneratedCert.CurrentCertKeyContent()
	if err := secure.ApplyTo(&config.SecureServing, &config.LoopbackClientConfig); err != nil {
		return nil, errors.Join(fmt.Errorf("configuring the image API's TLS: %w", err), secure.Listener.Close())
	}
	return certificate, nil
}

func administrator(o Options) (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", o.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig %q: %w", o.Kubeconfig, err)
	}
	config.QPS = -1 // one request for each stream that is created
	return kubernetes.NewForConfig(config)
}

// authorise leaves both questions to the API server: who asks is told by its front proxy, what they may by its RBAC.
func authorise(o Options, config *genericapiserver.RecommendedConfig) error {
	authentication := options.NewDelegatingAuthenticationOptions()
	authentication.RemoteKubeConfigFile = o.Kubeconfig
	if err := authentication.ApplyTo(&config.Authentication, config.SecureServing, config.OpenAPIConfig); err != nil {
		return fmt.Errorf("configuring the image API's authentication: %w", err)
	}
	authorization := options.NewDelegatingAuthorizationOptions()
	authorization.RemoteKubeConfigFile = o.Kubeconfig
	authorization.AllowCacheTTL, authorization.DenyCacheTTL = allowedFor, deniedFor
	if err := authorization.ApplyTo(&config.Authorization); err != nil {
		return fmt.Errorf("configuring the image API's authorization: %w", err)
	}
	return nil
}

func storageOf(o Options, config *genericapiserver.RecommendedConfig, scheme *runtime.Scheme, codecs serializer.CodecFactory) (*genericapiserver.APIGroupInfo, error) {
	kube, err := administrator(o)
	if err != nil {
		return nil, err
	}
	streams, status, err := newStreams(scheme, o.Hosts, o.Now, kube, config.RESTOptionsGetter)
	if err != nil {
		return nil, fmt.Errorf("making the storage of imagestreams: %w", err)
	}
	images, err := newImages(scheme, config.RESTOptionsGetter)
	if err != nil {
		return nil, fmt.Errorf("making the storage of images: %w", err)
	}
	removal := *streams.Store
	removal.UpdateStrategy = tagRemovalStrategy{streams.CreateStrategy.(*streamStrategy)}
	group := genericapiserver.NewDefaultAPIGroupInfo(imagev1.GroupName, scheme, runtime.NewParameterCodec(scheme), codecs)
	group.VersionedResourcesStorageMap["v1"] = map[string]apirest.Storage{
		"images":              images,
		"imagestreams":        streams,
		"imagestreams/status": status,
		"imagestreamtags": &streamTags{
			TableConvertor: apirest.NewDefaultTableConvertor(imagev1.Resource("imagestreamtags")),
			streams:        streams.Store, writer: &removal, images: images,
		},
		"imagestreammappings": &mappings{
			streams: streams.Store, status: status, images: images,
			now: func() metav1.Time { return metav1.NewTime(o.Now().Truncate(time.Second)) },
		},
	}
	return &group, nil
}
