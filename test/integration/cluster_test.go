package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/test/cluster/fast"
)

// clusters is how many tests run at once, each with a cluster to itself. Tests mostly
// wait: for leases, for retries, for an API server that starts again.
const clusters = 3

// shared is the cluster of the tests that do not call ownCluster. They run one after
// another, before all that do. Few tests have a reason to be among them.
var shared *cluster

// freeClusters holds the clusters that no test uses. One that is nil has not been started.
var freeClusters = make(chan *cluster, clusters)

// owned maps the name of a test, or of a subtest, to the cluster that it has to itself.
var owned sync.Map

// ownCluster gives the test, or the subtest, a cluster to itself until it ends, and lets it
// run beside other tests. Call it first, so that whatever uses the cluster is cleaned up
// before another test gets it. A test whose subtests call it does not.
func ownCluster(t *testing.T) {
	t.Helper()
	t.Parallel()
	c := <-freeClusters
	if c == nil {
		var err error
		if c, err = startCluster(); err != nil {
			freeClusters <- nil
			t.Fatal(err)
		}
	}
	owned.Store(t.Name(), c)
	t.Cleanup(func() {
		owned.Delete(t.Name())
		freeClusters <- c
	})
}

// clusterOf returns the cluster that a test or subtest runs against: its own, that of the
// test that it is part of, or the shared one.
func clusterOf(t testing.TB) *cluster {
	for name := t.Name(); ; {
		if c, ok := owned.Load(name); ok {
			return c.(*cluster)
		}
		end := strings.LastIndexByte(name, '/')
		if end < 0 {
			return shared
		}
		name = name[:end]
	}
}

// cluster is one of the fast tier, in a process of its own: a process can run only one.
type cluster struct {
	place

	config *rest.Config
	admin  client.Client

	mu       sync.Mutex
	process  *exec.Cmd
	commands io.WriteCloser
	answers  *json.Decoder
}

// place says where a cluster is found. Its process prints it once the cluster is ready.
type place struct{ Dir, Server, RegistryAddr string }

// startCluster starts this program again, as a cluster.
func startCluster() (*cluster, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dirs, err := kindDirs()
	if err != nil {
		return nil, err
	}
	c := &cluster{process: exec.Command(self)} //nolint:noctx // it ends when its input does
	c.process.Env = append(os.Environ(), clusterVariable+"="+strings.Join(dirs, string(filepath.ListSeparator)))
	c.process.Stderr = os.Stderr
	if c.commands, err = c.process.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.process.Start(); err != nil {
		return nil, err
	}
	c.answers = json.NewDecoder(out)
	if err := c.connect(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a cluster: %w", err), c.Stop())
	}
	return c, nil
}

func (c *cluster) connect() (err error) {
	if err := c.answers.Decode(&c.place); err != nil {
		return err
	}
	if c.config, err = c.UserConfig("admin", "system:masters"); err != nil {
		return err
	}
	unlimited := c.RESTConfig()
	unlimited.QPS = -1 // one client for all that tests do and poll
	c.admin, err = newClient(unlimited)
	return err
}

// Stop ends the cluster and its process.
func (c *cluster) Stop() error { return errors.Join(c.commands.Close(), c.process.Wait()) }

// RESTConfig is the cluster administrator's, a copy that the caller may change.
func (c *cluster) RESTConfig() *rest.Config { return rest.CopyConfig(c.config) }

// UserConfig is that of a user with a name and groups, who may do what RBAC says.
func (c *cluster) UserConfig(name string, groups ...string) (*rest.Config, error) {
	return fast.UserConfig(c.Dir, c.Server, name, groups...)
}

// Kubeconfig is the path of the administrator's kubeconfig.
func (c *cluster) Kubeconfig() string { return filepath.Join(c.Dir, "kubeconfig") }

// Registry is the cluster's registry.
func (c *cluster) Registry() registryAt { return registryAt(c.RegistryAddr) }

// registryAt is a registry by its address.
type registryAt string

// Addr is the host and port to push to.
func (r registryAt) Addr() string { return string(r) }

// Restart stops the API server and starts it again.
func (c *cluster) Restart(ctx context.Context) error {
	return errors.Join(c.StopAPIServer(), c.StartAPIServer(ctx))
}

// StopAPIServer takes the API server down, until StartAPIServer.
func (c *cluster) StopAPIServer() error { return c.do(orderStop) }

// StartAPIServer starts the API server again, on the same address and data.
func (c *cluster) StartAPIServer(context.Context) error { return c.do(orderStart) }

// do has the cluster's process follow an order.
func (c *cluster) do(order string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := fmt.Fprintln(c.commands, order); err != nil {
		return fmt.Errorf("ordering the cluster to %s: %w", order, err)
	}
	var failure string
	if err := c.answers.Decode(&failure); err != nil {
		return fmt.Errorf("the cluster was to %s: %w", order, err)
	}
	if failure != "" {
		return fmt.Errorf("the cluster was to %s: %s", order, failure)
	}
	return nil
}
