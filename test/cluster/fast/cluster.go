package fast

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/client-go/rest"

	"github.com/revet-dev/revet/test/cluster/fast/crd"
	"github.com/revet-dev/revet/test/cluster/openshift"
	"github.com/revet-dev/revet/test/cluster/registry"
)

// startTimeout is many times what a start takes; a machine may be busy.
const startTimeout = 2 * time.Minute

// running guards the process-wide state of the API server.
var running atomic.Bool

// Cluster is a running cluster of the fast tier.
type Cluster struct {
	options   Options
	dir       string
	log       *tail
	pki       *pki
	store     *store
	address   string
	flags     []string
	server    *apiServer
	admin     *rest.Config
	openshift *openshift.Emulation
	registry  *registry.Registry
	stopped   bool
}

// Start starts a cluster and returns when it can be used. The context bounds the start only.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if !running.CompareAndSwap(false, true) {
		return nil, errors.New("fast: a cluster runs in this process already: stop it first, or share it")
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	c := &Cluster{options: o, log: &tail{passOn: o.Output}}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(c.log.explain(fmt.Errorf("starting the fast cluster: %w", err)), c.Stop()) //nolint:contextcheck // it drains after the context that ended it
	}
	return c, nil
}

// collectAt is how much the heap grows before it is collected, in percent, unless this
// process chose something else. By default a sixth of the time goes into that.
const collectAt, byDefault = 200, 100

func (c *Cluster) start(ctx context.Context) error {
	if chosen := debug.SetGCPercent(collectAt); chosen != byDefault {
		debug.SetGCPercent(chosen)
	}
	if err := redirect(c.log); err != nil {
		return err
	}
	var err error
	if c.dir = c.options.Dir; c.dir == "" {
		if c.dir, err = os.MkdirTemp("", "revet-fast-"); err != nil {
			return fmt.Errorf("creating the cluster's directory: %w", err)
		}
	}
	if c.pki, err = newPKI(filepath.Join(c.dir, "pki")); err != nil {
		return err
	}
	if c.options.Etcd != "" {
		c.store = &store{url: c.options.Etcd}
	} else if c.store, err = startEtcd(ctx, c.dir, false, c.log); err != nil {
		return err
	}
	addr := c.options.Addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listening for the API server: %w", err)
	}
	c.address = listener.Addr().String()
	c.flags = serverFlags(c.pki, c.store.url, c.options)
	c.admin = clientConfig(c.address, c.pki.ca.pem(), c.pki.adminCert, c.pki.adminSecret)
	if err := writeKubeconfig(c.Kubeconfig(), c.admin); err != nil {
		return errors.Join(err, listener.Close())
	}
	if c.server, err = startAPIServer(ctx, listener, c.flags); err != nil {
		return err
	}
	if err := c.server.waitReady(ctx, c.admin); err != nil {
		return err
	}
	return c.addOns(ctx)
}

// addOns starts and installs what the options ask for.
func (c *Cluster) addOns(ctx context.Context) error {
	crds, err := crd.Load(c.options.CRDDirs...)
	if err != nil {
		return err
	}
	if err := c.InstallCRDs(ctx, append(crds, c.options.CRDs...)...); err != nil {
		return err
	}
	switch {
	case c.options.Registry != nil:
		return c.startRegistry(ctx, *c.options.Registry)
	case c.options.OpenShift:
		return c.startOpenShift(ctx, openshift.Options{})
	default:
		return nil
	}
}

func (c *Cluster) startOpenShift(ctx context.Context, o openshift.Options) error {
	o.Kubeconfig, o.Etcd, o.Log = c.Kubeconfig(), c.store.url, c.options.Log
	var err error
	c.openshift, err = openshift.Start(ctx, o)
	return err
}

func (c *Cluster) startRegistry(ctx context.Context, o RegistryOptions) error {
	if o.Dir == "" {
		o.Dir = filepath.Join(c.dir, "registry")
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	// The streams name the registry, so its port has to be known before either starts.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Addr)
	if err != nil {
		return fmt.Errorf("listening for the registry: %w", err)
	}
	if err := c.startOpenShift(ctx, openshift.Options{Public: listener.Addr().String(), PushTimeout: o.PushTimeout}); err != nil {
		return errors.Join(err, listener.Close())
	}
	c.registry, err = registry.Start(ctx, registry.Options{
		Dir: o.Dir, Listener: listener, Endpoints: o.Endpoints, OnPush: c.openshift.Pushed, Front: c.openshift.Front,
	})
	if err != nil {
		return err
	}
	return c.openshift.Bridge(ctx, c.registry.URL())
}

// RESTConfig is the cluster administrator's, a copy that the caller may change.
func (c *Cluster) RESTConfig() *rest.Config { return rest.CopyConfig(c.admin) }

// UserConfig is that of a user with a name and groups, who may do what RBAC says.
func (c *Cluster) UserConfig(name string, groups ...string) (*rest.Config, error) {
	return c.pki.userConfig(c.address, name, groups)
}

// UserConfig is that of a user of a cluster that runs on a directory, in another process perhaps.
func UserConfig(dir, addr, name string, groups ...string) (*rest.Config, error) {
	p, err := loadPKI(filepath.Join(dir, "pki"))
	if err != nil {
		return nil, err
	}
	return p.userConfig(addr, name, groups)
}

func (p *pki) userConfig(addr, name string, groups []string) (*rest.Config, error) {
	certificate, key, err := p.ca.client(name, groups)
	if err != nil {
		return nil, err
	}
	return clientConfig(addr, p.ca.pem(), certificate, key), nil
}

// Kubeconfig is the path of the administrator's kubeconfig.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.dir, "kubeconfig") }

// Etcd is the client URL of the cluster's etcd.
func (c *Cluster) Etcd() string { return c.store.url }

// Registry is the cluster's registry, or nil if the options asked for none.
func (c *Cluster) Registry() *registry.Registry { return c.registry }

// OpenShift is the cluster's emulation of OpenShift's image API, or nil if the options asked for none.
func (c *Cluster) OpenShift() *openshift.Emulation { return c.openshift }

// InstallCRDs installs custom resource definitions and returns when their resources can be used.
func (c *Cluster) InstallCRDs(ctx context.Context, crds ...*apiextensionsv1.CustomResourceDefinition) error {
	return crd.Install(ctx, c.admin, crds...)
}

// Restart stops the API server and starts it again; etcd, registry and image API keep running. Between the two nobody
// listens on the address.
func (c *Cluster) Restart(ctx context.Context) error {
	if err := c.StopAPIServer(); err != nil {
		return err
	}
	return c.StartAPIServer(ctx)
}

// StopAPIServer takes the API server down, until [Cluster.StartAPIServer].
func (c *Cluster) StopAPIServer() error {
	server := c.server
	c.server = nil
	if server == nil {
		return errors.New("fast: the API server is stopped already")
	}
	if err := server.stop(); err != nil {
		return c.log.explain(fmt.Errorf("stopping the API server: %w", err))
	}
	return nil
}

// StartAPIServer starts the API server again, on the same address and data.
func (c *Cluster) StartAPIServer(ctx context.Context) error {
	if c.server != nil {
		return errors.New("fast: the API server is running already")
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.address)
	if err != nil {
		return fmt.Errorf("listening again for the API server: %w", err)
	}
	if c.server, err = startAPIServer(ctx, listener, c.flags); err != nil {
		return c.log.explain(err)
	}
	if err := c.server.waitReady(ctx, c.admin); err != nil {
		return c.log.explain(err)
	}
	if c.openshift == nil {
		return nil
	}
	return c.openshift.WaitServed(ctx)
}

// Stop ends everything and removes the cluster's files, unless the options named their directory. It may be called more
// than once.
func (c *Cluster) Stop() error {
	if c.stopped {
		return nil
	}
	c.stopped = true
	defer running.Store(false)
	var errs []error
	if c.registry != nil {
		errs = append(errs, c.registry.Stop())
	}
	if c.openshift != nil {
		errs = append(errs, c.openshift.Stop())
	}
	if c.server != nil {
		errs = append(errs, c.server.stop())
	}
	if c.store != nil {
		c.store.stop()
	}
	if c.options.Dir == "" && c.dir != "" {
		errs = append(errs, os.RemoveAll(c.dir))
	}
	return errors.Join(errs...)
}
