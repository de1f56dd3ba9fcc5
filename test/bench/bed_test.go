//go:build linux

package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/test/cluster/fast"
	"github.com/revet-dev/revet/test/cluster/fast/crd"
	"github.com/revet-dev/revet/test/cluster/upstream"
)

const systemNamespace = "revet-system"

// root is the repository's folder.
const root = "../.."

// bed is what a benchmark runs on: a cluster of its own, with Revet's manifests but for its Pods, and programs.
type bed struct {
	cluster  *fast.Cluster
	admin    client.WithWatch
	programs programs
	dir      string
}

// programs are paths of executables.
type programs struct{ adapter, sink, receiver, controller string }

func newBed(b *testing.B) *bed {
	b.Helper()
	e := &bed{dir: b.TempDir()}
	var err error
	if e.programs, err = buildPrograms(b.Context(), e.dir); err != nil {
		b.Fatal(err)
	}
	dirs, err := crdDirs(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	crds, err := crd.Load(dirs...)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range crds {
		// Tekton's webhook is not here, and the API server would try it for every PipelineRun, again and again.
		c.Spec.Conversion = nil
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
	for _, pattern := range []string{"000-*.yaml", "100-*.yaml", "200-*.yaml", "400-*.yaml", "500-*.yaml"} {
		e.apply(b, "", filepath.Join(root, "config", pattern))
	}
	return e
}

func buildPrograms(ctx context.Context, dir string) (p programs, err error) {
	o := upstream.Options{CacheDir: cacheDir(), Log: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }}
	if p.adapter, err = upstream.EnsureBinary(ctx, o, "knative.dev/eventing/cmd/apiserver_receive_adapter"); err != nil {
		return p, err
	}
	if p.sink, err = upstream.EnsureBinary(ctx, o, "github.com/tektoncd/triggers/cmd/eventlistenersink"); err != nil {
		return p, err
	}
	p.receiver, p.controller = filepath.Join(dir, "receiver"), filepath.Join(dir, "controller")
	// In one build, in the product's own module: what is measured is what is shipped.
	return p, goBuild(ctx, dir, "./cmd/receiver", "./cmd/controller")
}

// cacheDir is the folder that everything in this repository keeps programs in.
func cacheDir() string {
	if dir := os.Getenv("REVET_CACHE"); dir != "" {
		return dir
	}
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "revet")
	}
	return filepath.Join(os.TempDir(), "revet")
}

func newClient(config *rest.Config) (client.WithWatch, error) {
	scheme, err := kube.NewScheme()
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return client.NewWithWatch(config, client.Options{Scheme: scheme})
}

// account returns a kubeconfig of a service account, with the rights that it has.
func (e *bed) account(namespace, name string) (string, error) {
	config, err := e.cluster.UserConfig("system:serviceaccount:"+namespace+":"+name, "system:serviceaccounts", "system:serviceaccounts:"+namespace)
	if err != nil {
		return "", err
	}
	file := filepath.Join(e.dir, namespace+"."+name+".kubeconfig")
	k := clientcmdapi.NewConfig()
	k.Clusters["it"] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	k.AuthInfos["it"] = &clientcmdapi.AuthInfo{ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}
	k.Contexts["it"] = &clientcmdapi.Context{Cluster: "it", AuthInfo: "it"}
	k.CurrentContext = "it"
	return file, clientcmd.WriteToFile(*k, file)
}
