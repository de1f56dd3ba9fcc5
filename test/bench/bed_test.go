//go:build linux && bench

package bench

import (
	"path/filepath"
	"runtime/debug"
	"testing"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/test/cluster/fast"
	"github.com/revet-dev/revet/test/rig"
)

const systemNamespace = "revet-system"

// gcPercent keeps the API server's garbage small, which is in this process and keeps 50 KB of an entry.
const gcPercent = 50

// root is the repository's folder.
const root = "../.."

// bed is what a benchmark runs on: a cluster of its own, with Revet's manifests but for its Pods, and programs.
type bed struct {
	cluster  *fast.Cluster
	admin    client.WithWatch
	programs programs
	dir      string
	// sinkQPS is how many requests a second a sink may make; twice as many at once.
	sinkQPS int
}

// sinkQPS is as in triggers/700-eventlistener.yaml. With the default of 5 that is all that a burst measures.
const sinkQPS = 200

// programs are paths of executables.
type programs struct{ adapter, sink, receiver, controller string }

func newBed(b *testing.B) *bed {
	b.Helper()
	debug.SetGCPercent(gcPercent)
	e := &bed{dir: b.TempDir(), sinkQPS: sinkQPS}
	built, err := rig.Build(b.Context(), root, e.dir)
	if err != nil {
		b.Fatal(err)
	}
	e.programs = programs{adapter: built.Adapter, sink: built.Sink, receiver: built.Receiver, controller: built.Controller}
	dirs, err := rig.CRDDirs(b.Context(), root)
	if err != nil {
		b.Fatal(err)
	}
	crds, err := rig.CRDs(dirs...)
	if err != nil {
		b.Fatal(err)
	}
	if e.cluster, err = fast.Start(b.Context(), fast.Options{Dir: filepath.Join(e.dir, "cluster"), OpenShift: true, CRDs: crds}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.cluster.Stop(); err != nil {
			b.Error(err)
		}
	})
	if e.admin, err = newClient(e.cluster.RESTConfig()); err != nil {
		b.Fatal(err)
	}
	for _, pattern := range rig.RevetManifests {
		e.apply(b, "", filepath.Join(root, "config", pattern))
	}
	return e
}

// account returns a kubeconfig of a service account, with the rights that it has.
func (e *bed) account(namespace, name string) (string, error) {
	config, err := e.cluster.UserConfig("system:serviceaccount:"+namespace+":"+name, "system:serviceaccounts", "system:serviceaccounts:"+namespace)
	if err != nil {
		return "", err
	}
	file := filepath.Join(e.dir, namespace+"."+name+".kubeconfig")
	return file, rig.WriteKubeconfig(file, config)
}

func newClient(config *rest.Config) (client.WithWatch, error) { return rig.NewClient(config) }
