//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/test/cluster/fast"
	"github.com/revet-dev/revet/test/gobuild"
	"github.com/revet-dev/revet/test/rig"
)

const systemNamespace = "revet-system"

// bed is what is measured on: etcd, API server and, later, the controller.
type bed struct {
	*report
	options options
	dir     string

	etcd, apiServer, controller *rig.Process
	etcdURL                     string

	config *rest.Config
	// admin may do everything, and writer what the controller may: the ledger is written by no one else.
	admin, writer client.Client
}

func newBed(ctx context.Context, o options, r *report) (_ *bed, err error) {
	b := &bed{report: r, options: o}
	if b.dir, err = os.MkdirTemp("", "revet-gatebench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.stop())
		}
	}()
	r.say("starting etcd and the API server, each a process of its own")
	if b.etcd, b.etcdURL, err = (role{Name: roleEtcd, Dir: b.dir, Durable: o.fsync}).start(ctx); err != nil {
		return nil, err
	}
	dirs, err := rig.CRDDirs(ctx, o.root)
	if err != nil {
		return nil, err
	}
	server := role{Name: roleAPIServer, Dir: b.clusterDir(), Etcd: b.etcdURL, Mutating: o.mutating, CRDDirs: dirs}
	if err := os.MkdirAll(server.Dir, 0o700); err != nil {
		return nil, err
	}
	if b.apiServer, _, err = server.start(ctx); err != nil {
		return nil, err
	}
	if b.config, err = clientcmd.BuildConfigFromFlags("", filepath.Join(b.clusterDir(), "kubeconfig")); err != nil {
		return nil, err
	}
	b.config.WarningHandler = rest.NoWarnings{} // of policies that may not refuse
	if b.admin, err = rig.NewClient(b.config); err != nil {
		return nil, err
	}
	as, err := b.account(systemNamespace, "controller")
	if err != nil {
		return nil, err
	}
	if b.writer, err = rig.NewClient(as); err != nil {
		return nil, err
	}
	for _, pattern := range rig.RevetManifests {
		if err := rig.Apply(ctx, b.admin, "", filepath.Join(o.root, "config", pattern)); err != nil {
			return nil, err
		}
	}
	r.say("MutatingAdmissionPolicies: %v; etcd syncs to the disk: %v", o.mutating, o.fsync)
	r.say("etcd: quota 2 GiB (its default), compacted by the API server every 5m0s (its default) down to five minutes before, " +
		"not defragmented: its file never shrinks, and what is overwritten is in use for 5 to 10 minutes")
	return b, nil
}

func (b *bed) clusterDir() string { return filepath.Join(b.dir, "cluster") }

// account is how a service account reaches the API server.
func (b *bed) account(namespace, name string) (*rest.Config, error) {
	return fast.UserConfig(b.clusterDir(), strings.TrimPrefix(b.config.Host, "https://"),
		"system:serviceaccount:"+namespace+":"+name, "system:serviceaccounts", "system:serviceaccounts:"+namespace)
}

// startController builds the controller as it is shipped, starts it, and returns once it is ready.
func (b *bed) startController(ctx context.Context) error {
	b.say("building and starting the controller")
	if err := (gobuild.Source{Root: b.options.root}).Into(ctx, b.dir, "./cmd/controller"); err != nil {
		return err
	}
	as, err := b.account(systemNamespace, "controller")
	if err != nil {
		return err
	}
	kubeconfig := filepath.Join(b.dir, "controller.kubeconfig")
	if err := rig.WriteKubeconfig(kubeconfig, as); err != nil {
		return err
	}
	address, err := rig.FreeAddress(ctx)
	if err != nil {
		return err
	}
	metrics, err := rig.FreeAddress(ctx)
	if err != nil {
		return err
	}
	args := []string{"-identity=bench", "-health-address=" + address, "-metrics-address=" + metrics, "-kubeconfig=" + kubeconfig}
	b.controller, err = rig.Program{
		Name: "the controller", Path: filepath.Join(b.dir, "controller"), Args: append(args, b.options.controller...),
		Env: []string{"SYSTEM_NAMESPACE=" + systemNamespace, "K_SINK="},
	}.Start()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	return b.controller.Await(ctx, "http://"+address+"/readyz")
}

// stop ends everything and removes its files.
func (b *bed) stop() error {
	for _, p := range []*rig.Process{b.controller, b.apiServer, b.etcd} {
		if p != nil {
			p.Stop()
		}
	}
	return os.RemoveAll(b.dir) //nolint:gosec // the folder that it made itself
}

// make creates objects, those that are not there yet.
func (b *bed) make(ctx context.Context, objects ...client.Object) error {
	for _, o := range objects {
		if err := b.admin.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating %T %s: %w", o, o.GetName(), err)
		}
	}
	return nil
}

// remove deletes objects, those that are there.
func (b *bed) remove(ctx context.Context, objects ...client.Object) error {
	for _, o := range objects {
		if err := b.admin.Delete(ctx, o); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting %T %s: %w", o, o.GetName(), err)
		}
	}
	return nil
}

func namespaceOf(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{gatedBy: name}}}
}

// gatedBy is the label of gated namespaces. Its value is the namespace's name, and the gate's.
const gatedBy = "bench/gate"

func podOf(namespace, image string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "p-"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image}}},
	}
}

// answer is what the API server says to a Pod in dry-run: admitted or refused, and as which image.
func (b *bed) answer(ctx context.Context, namespace, image string) (admitted bool, as string, err error) {
	pod := podOf(namespace, image)
	err = b.admin.Create(ctx, pod, client.DryRunAll)
	switch {
	case err == nil:
		return true, pod.Spec.Containers[0].Image, nil
	case (apierrors.IsForbidden(err) || apierrors.IsInvalid(err)) && strings.Contains(err.Error(), "'revet-gate-"):
		return false, "", nil
	default:
		return false, "", fmt.Errorf("trying a Pod with %s: %w", image, err)
	}
}
