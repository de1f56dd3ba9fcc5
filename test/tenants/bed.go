//go:build linux

package tenants

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/test/cluster/fast"
	"github.com/revet-dev/revet/test/rig"
)

const (
	systemNamespace = "revet-system"
	startPatience   = 60 * time.Second
	poll            = 50 * time.Millisecond
)

// bed is what one case is measured on.
type bed struct {
	options  Options
	dir      string
	programs rig.Programs
	cluster  *fast.Cluster
	admin    client.WithWatch
	stops    []func()
	notes    []string

	receiver, controller *rig.Process
	// receiverAddress stays the same when the receiver is started again.
	receiverAddress string
	// answers is where the receiver answers listeners; empty for programs that do not.
	answers string
	// endless is the address of a registry that lists without end, in a case with one.
	endless string
}

// newBed starts a cluster with Revet's manifests, and no programs.
func newBed(ctx context.Context, o Options, programs rig.Programs) (_ *bed, err error) {
	b := &bed{options: o, programs: programs}
	defer func() { //nolint:contextcheck // what stops has to outlive ctx, whose end is why it stops
		if err != nil {
			err = errors.Join(err, b.stop())
		}
	}()
	if b.dir, err = os.MkdirTemp(o.Dir, "case-"); err != nil {
		return b, err
	}
	dirs, err := rig.CRDDirs(ctx, o.Root)
	if err != nil {
		return b, err
	}
	dirs[0] = filepath.Join(o.Tree, "config") // the kinds of Tekton are the same for both
	crds, err := rig.CRDs(dirs...)
	if err != nil {
		return b, err
	}
	if b.cluster, err = fast.Start(ctx, fast.Options{Dir: filepath.Join(b.dir, "cluster"), OpenShift: true, CRDs: crds}); err != nil {
		return b, err
	}
	if b.admin, err = rig.NewClient(b.cluster.RESTConfig()); err != nil {
		return b, err
	}
	for _, pattern := range rig.RevetManifests {
		if err := rig.Apply(ctx, b.admin, "", filepath.Join(o.Tree, "config", pattern)); err != nil {
			return b, err
		}
	}
	class := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: runtimeClass}, Handler: runtimeClass}
	return b, b.create(ctx, class, rig.Interceptor(b.cluster.RESTConfig().CAData))
}

// stop ends all that runs and removes the data.
func (b *bed) stop() error {
	for n := range b.stops {
		b.stops[len(b.stops)-1-n]()
	}
	var err error
	if b.cluster != nil {
		err = b.cluster.Stop()
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

// later does something when the case is over.
func (b *bed) later(stop func()) { b.stops = append(b.stops, stop) }

func (b *bed) create(ctx context.Context, objects ...client.Object) error {
	for _, o := range objects {
		if err := b.admin.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating %T %s: %w", o, o.GetName(), err)
		}
	}
	return nil
}

// account writes the kubeconfig of a service account.
func (b *bed) account(namespace, name string) (string, error) {
	user, all := "system:serviceaccount:"+namespace+":"+name, "system:serviceaccounts"
	config, err := b.cluster.UserConfig(user, all, all+":"+namespace)
	if err != nil {
		return "", err
	}
	file := filepath.Join(b.dir, namespace+"."+name+".kubeconfig")
	return file, rig.WriteKubeconfig(file, config)
}

// start starts a program that ends with the case.
func (b *bed) start(ctx context.Context, program rig.Program, url string) (*rig.Process, error) {
	p, err := program.Start()
	if err != nil {
		return nil, err
	}
	b.later(p.Stop)
	if url == "" {
		return p, nil
	}
	ctx, cancel := context.WithTimeout(ctx, b.options.Patience+startPatience)
	defer cancel()
	return p, p.Await(ctx, url)
}

// startRevet starts receiver and controller.
func (b *bed) startRevet(ctx context.Context, sweepInterval time.Duration) (err error) {
	if b.receiverAddress, err = rig.FreeAddress(ctx); err != nil {
		return err
	}
	if rig.HasFlag(ctx, b.programs.Receiver, "interceptor-address") {
		if b.answers, err = rig.FreeAddress(ctx); err != nil {
			return err
		}
	}
	if b.receiver, err = b.startReceiver(ctx); err != nil {
		return err
	}
	if err := b.answerListeners(ctx); err != nil {
		return err
	}
	return b.startController(ctx, sweepInterval)
}

func (b *bed) startReceiver(ctx context.Context) (*rig.Process, error) {
	args := []string{"-drain-delay=0s"}
	if b.answers != "" {
		args = append(args, "-interceptor-address="+b.answers)
	}
	return b.revet(ctx, "receiver", b.programs.Receiver, b.receiverAddress, args...)
}

// answerListeners has listeners, where there are any, ask the receiver whether a request is Revet's.
func (b *bed) answerListeners(ctx context.Context) error {
	if b.answers == "" {
		return nil
	}
	return client.IgnoreNotFound(rig.AnswerAt(ctx, b.admin, b.answers))
}

func (b *bed) startController(ctx context.Context, sweepInterval time.Duration) error {
	address, err := rig.FreeAddress(ctx)
	if err != nil {
		return err
	}
	b.controller, err = b.revet(ctx, "controller", b.programs.Controller, address,
		"-identity=tenants", fmt.Sprintf("-sweep-interval=%s", sweepInterval))
	return err
}

// restartReceiver returns how long the receiver takes to be ready.
func (b *bed) restartReceiver(ctx context.Context) (took time.Duration, err error) {
	b.receiver.Stop()
	began := time.Now()
	b.receiver, err = b.startReceiver(ctx)
	return time.Since(began), err
}

func (b *bed) revet(ctx context.Context, name, path, address string, args ...string) (*rig.Process, error) {
	kubeconfig, err := b.account(systemNamespace, name)
	if err != nil {
		return nil, err
	}
	health := address // of programs from before probes had a port of their own
	args = append(args, "-address="+address, "-metrics-address=", "-kubeconfig="+kubeconfig)
	if rig.HasFlag(ctx, path, "health-address") {
		if health, err = rig.FreeAddress(ctx); err != nil {
			return nil, err
		}
		args = append(args, "-health-address="+health)
	}
	return b.start(ctx, rig.Program{
		Name: name, Path: path, Env: []string{"SYSTEM_NAMESPACE=" + systemNamespace, "K_SINK="}, Args: args,
	}, "http://"+health+"/readyz")
}

// startAdapter sends the changes of a namespace's streams to the receiver.
func (b *bed) startAdapter(ctx context.Context, namespace string) error {
	config := `{"namespaces":["` + namespace + `"],"mode":"Resource",` +
		`"resources":[{"gvr":{"Group":"image.openshift.io","Version":"v1","Resource":"imagestreams"}}]}`
	_, err := b.start(ctx, rig.Program{Name: "the adapter of " + namespace, Path: b.programs.Adapter, Env: []string{
		"KUBECONFIG=" + b.cluster.Kubeconfig(), "NAMESPACE=" + namespace, "NAME=revet", "SYSTEM_NAMESPACE=" + systemNamespace,
		"K_SINK=http://" + b.receiverAddress, "K_SINK_TIMEOUT=30", "K_SOURCE_CONFIG=" + config, "PROFILING_PORT=0",
	}}, "")
	return err
}

// startListener applies the EventListener of triggers/ in a namespace, serves it, and writes its
// address where Tekton's controller would.
func (b *bed) startListener(ctx context.Context, namespace string) error {
	for _, pattern := range []string{"500-*.yaml", "600-*.yaml", "700-*.yaml"} {
		if err := rig.Apply(ctx, b.admin, namespace, filepath.Join(b.options.Tree, "triggers", pattern)); err != nil {
			return err
		}
	}
	account, err := b.account(namespace, "scan-and-validate-listener")
	if err != nil {
		return err
	}
	address, err := rig.FreeAddress(ctx)
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if _, err := b.start(ctx, rig.Program{Name: "the sink of " + namespace, Path: b.programs.Sink, Env: []string{
		"KUBECONFIG=" + account, "NAMESPACE=" + namespace, "NAME=" + listener, "SYSTEM_NAMESPACE=" + namespace,
		"KUBE_API_QPS=200", "KUBE_API_BURST=400", "PROFILING_PORT=0", // as in triggers/700-eventlistener.yaml
	}, Args: []string{"-el-name", listener, "-el-namespace", namespace, "-port", port}}, "http://"+address+"/live"); err != nil {
		return err
	}
	var object triggersv1beta1.EventListener
	if err := b.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: listener}, &object); err != nil {
		return err
	}
	object.Status.SetAddress(address)
	if err := b.admin.Status().Update(ctx, &object); err != nil {
		return err
	}
	return b.answerListeners(ctx)
}

// tail is the end of what Revet's programs printed, for a message.
func (b *bed) tail() string {
	var all []string
	for name, p := range map[string]*rig.Process{"receiver": b.receiver, "controller": b.controller} {
		if p != nil {
			all = append(all, "the end of what the "+name+" printed:\n"+p.Tail())
		}
	}
	return strings.Join(all, "\n")
}
