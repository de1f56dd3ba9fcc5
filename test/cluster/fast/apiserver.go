package fast

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	apioptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

const (
	serviceIPs     = "10.96.0.0/16"
	firstServiceIP = "10.96.0.1"
	frontProxyUser = "front-proxy"
	readyPoll      = 50 * time.Millisecond
	stopTimeout    = 30 * time.Second
	// drainTimeout is how long clients that do not let go are waited for; the API server itself would wait for a minute.
	drainTimeout = time.Second
)

// apiServer is a running API server.
type apiServer struct {
	cancel   context.CancelFunc
	listener *closingListener
	done     chan struct{}
	err      error
}

// startAPIServer starts an API server on the listener, which it takes over.
func startAPIServer(ctx context.Context, listener net.Listener, flags []string) (*apiServer, error) {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &apiServer{cancel: cancel, listener: &closingListener{Listener: listener}, done: make(chan struct{})}
	prepared, err := prepare(run, s.listener, flags)
	if err != nil {
		cancel()
		return nil, errors.Join(fmt.Errorf("configuring the API server: %w", err), listener.Close())
	}
	go func() {
		defer close(s.done)
		s.err = prepared(run)
	}()
	return s, nil
}

// prepare does what kube-apiserver's command does; the command itself can be made only once in a process.
func prepare(ctx context.Context, listener net.Listener, flags []string) (func(context.Context) error, error) {
	o := apioptions.NewServerRunOptions()
	set := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, named := range o.Flags().FlagSets {
		set.AddFlagSet(named)
	}
	if err := set.Parse(flags); err != nil {
		return nil, err
	}
	o.SecureServing.Listener = listener
	o.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port
	if err := o.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, err
	}
	completed, err := o.Complete(ctx)
	if err != nil {
		return nil, err
	}
	if err := utilerrors.NewAggregate(completed.Validate()); err != nil {
		return nil, err
	}
	config, err := app.NewConfig(completed)
	if err != nil {
		return nil, err
	}
	whole, err := config.Complete()
	if err != nil {
		return nil, err
	}
	chain, err := app.CreateServerChain(whole)
	if err != nil {
		return nil, err
	}
	prepared, err := chain.PrepareRun()
	if err != nil {
		return nil, err
	}
	return prepared.Run, nil
}

func (s *apiServer) stop() error {
	s.cancel()
	select {
	case <-s.done:
		return s.err
	case <-time.After(drainTimeout):
		s.listener.closeAll()
	}
	select {
	case <-s.done:
		return s.err
	case <-time.After(stopTimeout):
		return fmt.Errorf("the API server did not stop within %v", stopTimeout)
	}
}

// waitReady waits for the API server's own word and for the namespace that everybody expects.
func (s *apiServer) waitReady(ctx context.Context, admin *rest.Config) error {
	config := rest.CopyConfig(admin)
	config.QPS = -1 // the loop has its own pace
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		last := ready(ctx, client)
		if last == nil {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("the API server ended while it was starting: %w", errors.Join(s.err, last))
		case <-ctx.Done():
			return fmt.Errorf("the API server is not ready: %w", last)
		case <-tick.C:
		}
	}
}

func ready(ctx context.Context, client kubernetes.Interface) error {
	if err := client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error(); err != nil {
		return err
	}
	_, err := client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceDefault, metav1.GetOptions{})
	return err
}

func serverFlags(p *pki, etcd string, o Options) []string {
	flags := []string{
		"--etcd-servers=" + etcd,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
		"--tls-cert-file=" + p.file("apiserver.crt"),
		"--tls-private-key-file=" + p.file("apiserver.key"),
		"--client-ca-file=" + p.file("ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + p.file("service-accounts.key"),
		"--service-account-signing-key-file=" + p.file("service-accounts.key"),
		"--service-cluster-ip-range=" + serviceIPs,
		"--authorization-mode=Node,RBAC",
		"--allow-privileged=true",
		"--profiling=false",
		// Aggregated APIs need these.
		"--requestheader-client-ca-file=" + p.file("front-proxy-ca.crt"),
		"--requestheader-allowed-names=" + frontProxyUser,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + p.file("front-proxy.crt"),
		"--proxy-client-key-file=" + p.file("front-proxy.key"),
	}
	if !o.ServiceAccountAdmission {
		flags = append(flags, "--disable-admission-plugins=ServiceAccount")
	}
	return append(append(flags, mutatingPolicies(o.MutatingPolicies)...), o.Flags...)
}

// mutatingPolicies says so either way: what an earlier API server of the process switched on would stay on.
func mutatingPolicies(on bool) []string {
	flags := []string{"--feature-gates=MutatingAdmissionPolicy=" + strconv.FormatBool(on)}
	if on {
		flags = append(flags, "--runtime-config=admissionregistration.k8s.io/v1beta1=true")
	}
	return flags
}
