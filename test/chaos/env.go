//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/test/cluster/fast"
	"github.com/revet-dev/revet/test/rig"
)

// The namespaces of the two ways.
const (
	systemNamespace = "revet-system"
	vetting         = "vetting" // the ImageTrigger, its listener and its runs
	plainNamespace  = "plain"   // the direct EventListener's listener and its runs
)

const setUpPatience = 3 * time.Minute

// env is all that runs for one seed.
type env struct {
	options  Options
	seed     uint64
	programs rig.Programs
	timeline *timeline

	api, bridge, registry string // addresses
	// odd and hooks are those of the odd registry; empty without that fault.
	odd, hooks string
	// answers are where the receivers answer listeners.
	answers []string
	// tenant says that there is a hostile one, and receivers where it reaches them.
	tenant      bool
	receivers   []string
	admin       client.WithWatch
	adminConfig *rest.Config
	pushes      *link
	targets     map[string]*target
	parts       []*part
	links       []*link

	pusher               *pusher
	revetRuns, plainRuns *standIn
	troubles             []TroubleResult
}

// newEnv starts everything and returns once a push gets through both ways.
func newEnv(ctx context.Context, o Options, programs rig.Programs, seed uint64) (*env, error) {
	tl, err := newTimeline(filepath.Join(o.Dir, fmt.Sprintf("seed-%d", seed)))
	if err != nil {
		return nil, err
	}
	w := &env{options: o, seed: seed, programs: programs, timeline: tl, targets: map[string]*target{}}
	ctx, cancel := context.WithTimeout(ctx, setUpPatience)
	defer cancel()
	for _, step := range []func(context.Context) error{w.startCluster, w.install, w.startRevet, w.startPlain, w.awaitTrigger, w.probe, w.startTenant} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, w.end())
		}
	}
	return w, nil
}

// end kills what runs and closes the timeline.
func (w *env) end() error {
	for _, p := range w.parts {
		p.take(syscall.SIGKILL)
	}
	for _, l := range w.links {
		l.close()
	}
	if !w.options.Keep {
		for _, data := range []string{"cluster", "registry"} {
			_ = os.RemoveAll(filepath.Join(w.timeline.dir, data)) // it is a temporary folder's
		}
	}
	return w.timeline.close()
}

func (w *env) startCluster(ctx context.Context) error {
	addresses := []*string{&w.api, &w.bridge, &w.registry}
	var odd bool
	if _, odd, w.tenant = takeOwn(w.options.Faults); odd {
		addresses = append(addresses, &w.odd, &w.hooks)
	}
	for _, address := range addresses {
		var err error
		if *address, err = rig.FreeAddress(ctx); err != nil {
			return err
		}
	}
	crds, err := rig.CRDDirs(ctx, w.options.Root)
	if err != nil {
		return err
	}
	dir := filepath.Join(w.timeline.dir, "cluster")
	if err := w.role("apiserver", role{Name: "cluster", Dir: dir, Address: w.api, Bridge: w.bridge, Registry: w.registry, CRDDirs: crds}); err != nil {
		return err
	}
	if err := w.role("registry", role{Name: "registry", Dir: filepath.Join(w.timeline.dir, "registry"), Address: w.registry, Bridge: w.bridge, Odd: w.odd, Hooks: w.hooks, Seed: w.seed}); err != nil {
		return err
	}
	if w.pushes, err = w.link(ctx, "to the registry", w.registry); err != nil {
		return err
	}
	w.targets["registry"].links = append(w.targets["registry"].links, w.pushes)
	if err := w.await(ctx, "the cluster", func() error { return dialled(ctx, w.bridge) }); err != nil {
		return err
	}
	if w.adminConfig, err = fast.UserConfig(dir, w.api, "chaos", "system:masters"); err != nil {
		return err
	}
	w.admin, err = rig.NewClient(w.adminConfig)
	return err
}

// role starts the harness's own program in a role.
func (w *env) role(name string, r role) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	environment, err := r.environment()
	if err != nil {
		return err
	}
	return w.start(name, rig.Program{Name: name, Path: self, Env: []string{environment}})
}

// start starts a program that a fault's target consists of, with others perhaps.
func (w *env) start(target string, program rig.Program, links ...*link) error {
	p, err := newPart(w.timeline, program)
	if err != nil {
		return err
	}
	w.parts = append(w.parts, p)
	t := w.target(target)
	t.parts, t.links = append(t.parts, p), append(t.links, links...)
	return nil
}

func (w *env) target(name string) *target {
	if w.targets[name] == nil {
		w.targets[name] = &target{}
	}
	return w.targets[name]
}

// link makes a link at a free address.
func (w *env) link(ctx context.Context, name string, backends ...string) (*link, error) {
	address, err := rig.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	return w.linkAt(ctx, name, address, backends...)
}

// linkAt makes a link at an address.
func (w *env) linkAt(ctx context.Context, name, address string, backends ...string) (*link, error) {
	l, err := newLink(ctx, name, address, backends...)
	if err == nil {
		w.links = append(w.links, l)
	}
	return l, err
}

// access writes the kubeconfig of an account whose way to the API server can be cut, alone or with everybody's.
func (w *env) access(ctx context.Context, program, namespace, account string) (kubeconfig string, toAPI *link, err error) {
	if toAPI, err = w.link(ctx, program+" to the API server", w.api); err != nil {
		return "", nil, err
	}
	config, err := fast.UserConfig(filepath.Join(w.timeline.dir, "cluster"), toAPI.address(),
		"system:serviceaccount:"+namespace+":"+account, "system:serviceaccounts", "system:serviceaccounts:"+namespace)
	if err != nil {
		return "", nil, err
	}
	api := w.target("apiserver")
	api.links = append(api.links, toAPI)
	kubeconfig = filepath.Join(w.timeline.dir, program+".kubeconfig")
	return kubeconfig, toAPI, rig.WriteKubeconfig(kubeconfig, config)
}

// startRevet starts three receivers behind a stand-in for their Service, two controllers, the listener's sink and the
// source's adapter.
func (w *env) startRevet(ctx context.Context) error {
	var receivers []string
	for n := range 3 {
		entrance, err := w.startReceiver(ctx, fmt.Sprintf("receiver-%d", n+1))
		if err != nil {
			return err
		}
		receivers = append(receivers, entrance)
	}
	service, err := w.link(ctx, "the stand-in for the receivers' Service", receivers...)
	if err != nil {
		return err
	}
	if len(w.answers) > 0 {
		answers, err := w.link(ctx, "the stand-in for the interceptor's Service", w.answers...)
		if err != nil {
			return err
		}
		if err := rig.AnswerAt(ctx, w.admin, answers.address()); err != nil {
			return err
		}
	}
	if w.hooks != "" {
		if _, err := w.linkAt(ctx, "the registry's way to the receivers", w.hooks, receivers...); err != nil {
			return err
		}
	}
	for n := range 2 {
		if err := w.startController(ctx, fmt.Sprintf("controller-%d", n+1)); err != nil {
			return err
		}
	}
	if err := w.startSink(ctx, "sink", vetting, "scan-and-validate"); err != nil {
		return err
	}
	return w.startAdapter(ctx, "adapter", "imagestreams", service.url())
}

// startPlain starts what the direct EventListener consists of. The same faults are done to it at the same moments.
func (w *env) startPlain(ctx context.Context) error {
	if err := w.startSink(ctx, "plain-sink", plainNamespace, "plain"); err != nil {
		return err
	}
	sink := w.targets["sink"].links
	return w.startAdapter(ctx, "plain-adapter", "images", sink[len(sink)-1].url())
}

func (w *env) startReceiver(ctx context.Context, name string) (entrance string, err error) {
	kubeconfig, toAPI, err := w.access(ctx, name, systemNamespace, "receiver")
	if err != nil {
		return "", err
	}
	address, err := rig.FreeAddress(ctx)
	if err != nil {
		return "", err
	}
	in, err := w.link(ctx, "to "+name, address)
	if err != nil {
		return "", err
	}
	args := []string{"-drain-delay=0s"}
	if rig.HasFlag(ctx, w.programs.Receiver, "interceptor-address") {
		answers, err := rig.FreeAddress(ctx)
		if err != nil {
			return "", err
		}
		w.answers, args = append(w.answers, answers), append(args, "-interceptor-address="+answers)
	}
	w.receivers = append(w.receivers, address)
	return in.address(), w.startRevetProgram(ctx, name, w.programs.Receiver, address, kubeconfig, []*link{toAPI, in}, args...)
}

func (w *env) startController(ctx context.Context, name string, more ...string) error {
	kubeconfig, toAPI, err := w.access(ctx, name, systemNamespace, "controller")
	if err != nil {
		return err
	}
	address, err := rig.FreeAddress(ctx)
	if err != nil {
		return err
	}
	args := append([]string{"-identity=" + name}, more...)
	const sweepInterval = "sweep-interval"
	if rig.HasFlag(ctx, w.programs.Controller, sweepInterval) {
		args = append(args, fmt.Sprintf("-%s=%s", sweepInterval, w.options.SweepInterval))
	} else {
		w.timeline.note("part", "the controller has no flag -%s: it sweeps every five minutes, and is given the time", sweepInterval)
		w.options.Limit = max(w.options.Limit, 7*time.Minute)
	}
	return w.startRevetProgram(ctx, name, w.programs.Controller, address, kubeconfig, []*link{toAPI}, args...)
}

func (w *env) startRevetProgram(ctx context.Context, name, path, address, kubeconfig string, links []*link, args ...string) error {
	health := address
	if args = append(args, "-address="+address); rig.HasFlag(ctx, path, "health-address") {
		var err error
		if health, err = rig.FreeAddress(ctx); err != nil {
			return err
		}
		args = append(args, "-health-address="+health)
	}
	program := rig.Program{
		Name: name, Path: path, Env: []string{"SYSTEM_NAMESPACE=" + systemNamespace, "K_SINK="},
		Args: append(args, "-metrics-address=", "-kubeconfig="+kubeconfig),
	}
	if err := w.start(name, program, links...); err != nil {
		return err
	}
	return w.parts[len(w.parts)-1].await(ctx, "http://"+health+"/readyz")
}

func (w *env) startAdapter(ctx context.Context, name, resource, sink string) error {
	kubeconfig, toAPI, err := w.access(ctx, name, vetting, "source")
	if err != nil {
		return err
	}
	config := `{"namespaces":[""],"allNamespaces":true,"resources":[{"gvr":{"Group":"image.openshift.io","Version":"v1","Resource":"` + resource + `"}}],"mode":"Resource"}`
	return w.start("adapter", rig.Program{Name: name, Path: w.programs.Adapter, Env: []string{
		"KUBECONFIG=" + kubeconfig, "NAMESPACE=" + vetting, "NAME=" + name, "SYSTEM_NAMESPACE=" + systemNamespace,
		"K_SINK=" + sink, "K_SINK_TIMEOUT=30", "K_SOURCE_CONFIG=" + config, "PROFILING_PORT=0",
	}}, toAPI)
}

// startSink serves an EventListener and writes the address of a link to it where Tekton's controller would write its own.
func (w *env) startSink(ctx context.Context, name, namespace, listener string) error {
	kubeconfig, toAPI, err := w.access(ctx, name, namespace, "scan-and-validate-listener")
	if err != nil {
		return err
	}
	address, err := rig.FreeAddress(ctx)
	if err != nil {
		return err
	}
	in, err := w.link(ctx, "to "+name, address)
	if err != nil {
		return err
	}
	program := rig.Program{Name: name, Path: w.programs.Sink, Env: []string{
		"KUBECONFIG=" + kubeconfig, "NAMESPACE=" + namespace, "NAME=" + listener, "SYSTEM_NAMESPACE=" + namespace,
		// As in triggers/700-eventlistener.yaml.
		"KUBE_API_QPS=200", "KUBE_API_BURST=400", "PROFILING_PORT=0",
	}, Args: []string{"-el-name", listener, "-el-namespace", namespace, "-port", address[strings.LastIndex(address, ":")+1:]}}
	if err := w.start("sink", program, toAPI, in); err != nil {
		return err
	}
	if err := w.parts[len(w.parts)-1].await(ctx, "http://"+address+"/live"); err != nil {
		return err
	}
	return w.address(ctx, namespace, listener, in.address())
}

// await polls until the condition gives no error.
func (w *env) await(ctx context.Context, what string, condition func() error) error {
	for {
		err := condition()
		if err == nil {
			return nil
		}
		if !sleep(ctx, 100*time.Millisecond) {
			return fmt.Errorf("waiting for %s: %w; see what the programs printed, in %s", what, err, w.timeline.dir)
		}
	}
}
