package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/test/cluster/fast"
	"github.com/revet-dev/revet/test/rig"
)

// clusterVariable makes this program the process of a cluster. It holds the folders
// with the kinds to install.
const clusterVariable = "REVET_INTEGRATION_CLUSTER"

// The orders that the process of a cluster follows, one a line. It answers each with a
// JSON string, which is empty unless it failed.
const (
	orderStop  = "stop the API server"
	orderStart = "start the API server"
)

// repository is the checkout's folder.
const repository = "../.."

// collectAt is how much the heap of a cluster grows before it is collected, in percent.
const collectAt = 400

// kindDirs returns the folders that hold the kinds of Revet and Tekton.
var kindDirs = sync.OnceValues(func() ([]string, error) { return rig.CRDDirs(context.Background(), repository) })

// serveCluster runs a cluster until the input ends, and so no longer than the process
// that started it.
func serveCluster(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	debug.SetGCPercent(collectAt) // by default a sixth of the time goes into collecting a small heap
	dirs := filepath.SplitList(os.Getenv(clusterVariable))
	c, err := fast.Start(ctx, fast.Options{CRDDirs: dirs, Registry: &fast.RegistryOptions{}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }() //nolint:contextcheck // it stops when the process ends
	err = install(ctx, c.RESTConfig(), filepath.Join(repository, "config"), rig.RevetManifests...)
	if err == nil {
		err = policyInForce(ctx, c.RESTConfig())
	}
	if err != nil {
		return err
	}
	answers := json.NewEncoder(out)
	at := place{
		Dir: filepath.Dir(c.Kubeconfig()), Server: strings.TrimPrefix(c.RESTConfig().Host, "https://"), RegistryAddr: c.Registry().Addr(),
	}
	if err := answers.Encode(at); err != nil {
		return err
	}
	orders := bufio.NewScanner(in)
	for orders.Scan() {
		failure := ""
		if err := follow(ctx, c, orders.Text()); err != nil {
			failure = err.Error()
		}
		if err := answers.Encode(failure); err != nil {
			return err
		}
	}
	return orders.Err()
}

func follow(ctx context.Context, c *fast.Cluster, order string) error {
	switch order {
	case orderStop:
		return c.StopAPIServer()
	case orderStart:
		return c.StartAPIServer(ctx)
	default:
		return fmt.Errorf("no order is called %q", order)
	}
}

// policyInForce waits until the API server refuses what the ledger's policy forbids: it
// reads policies some time after they were created.
func policyInForce(ctx context.Context, of *rest.Config) error {
	c, err := newClient(of)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := c.Create(ctx, entryOf(metav1.NamespaceDefault, "forbidden"), client.DryRunAll)
		if apierrors.IsForbidden(err) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the ledger's policy is not in force: an entry was created with %w", errors.Join(err, ctx.Err()))
		case <-tick.C:
		}
	}
}

// install creates the objects of Revet's own manifests, Pods and what is about
// them excepted.
func install(ctx context.Context, to *rest.Config, dir string, patterns ...string) error {
	c, err := client.New(to, client.Options{})
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
