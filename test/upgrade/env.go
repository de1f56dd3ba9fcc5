//go:build linux

package upgrade

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/test/cluster/fast"
	"github.com/revet-dev/revet/test/gobuild"
	"github.com/revet-dev/revet/test/rig"
)

const (
	systemNamespace = "revet-system"
	// startPatience and poll are for programs and phases on a busy machine.
	startPatience = time.Minute
	poll          = 100 * time.Millisecond
)

// Env is a real API server with the manifests of one version of Revet, and that version's programs.
type Env struct {
	Cluster *fast.Cluster
	Admin   client.WithWatch

	dir      string
	receiver string // URL
	running  []*rig.Process
}

// NewEnv builds the programs of the version in root and starts an API server with its manifests. It
// puts the given content into etcd before it installs anything of that version.
func NewEnv(ctx context.Context, root, dir string, content []Pair) (e *Env, err error) {
	product := gobuild.Source{Root: root}
	if err := product.Into(ctx, dir, "./cmd/receiver", "./cmd/controller", "./cmd/kubectl-revet"); err != nil {
		return nil, err
	}
	dirs, err := rig.CRDDirs(ctx, root)
	if err != nil {
		return nil, err
	}
	crds, err := rig.CRDs(dirs...)
	if err != nil {
		return nil, err
	}
	e = &Env{dir: dir}
	if e.Cluster, err = fast.Start(ctx, fast.Options{OpenShift: true}); err != nil {
		return nil, err
	}
	started := e   // which the return of an error sets to nil
	defer func() { //nolint:contextcheck // what stops has to outlive ctx
		if err != nil {
			err = errors.Join(err, started.Stop())
		}
	}()
	if err := Load(ctx, e.Cluster.Etcd(), content); err != nil {
		return nil, err
	}
	if err := e.Cluster.InstallCRDs(ctx, crds...); err != nil {
		return nil, err
	}
	if e.Admin, err = rig.NewClient(e.Cluster.RESTConfig()); err != nil {
		return nil, err
	}
	for _, pattern := range rig.RevetManifests {
		if err := rig.Apply(ctx, e.Admin, "", filepath.Join(root, "config", pattern)); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// StartPrograms starts one receiver and one controller under their own accounts.
func (e *Env) StartPrograms(ctx context.Context) error {
	for _, name := range []string{"receiver", "controller"} {
		address, err := e.start(ctx, name)
		if err != nil {
			return err
		}
		if name == "receiver" {
			e.receiver = "http://" + address
		}
	}
	return nil
}

func (e *Env) start(ctx context.Context, name string) (address string, err error) {
	config, err := e.Cluster.UserConfig("system:serviceaccount:"+systemNamespace+":"+name,
		"system:serviceaccounts", "system:serviceaccounts:"+systemNamespace)
	if err != nil {
		return "", err
	}
	kubeconfig := filepath.Join(e.dir, name+".kubeconfig")
	if err := rig.WriteKubeconfig(kubeconfig, config); err != nil {
		return "", err
	}
	if address, err = rig.FreeAddress(ctx); err != nil {
		return "", err
	}
	program := rig.Program{
		Name: name, Path: filepath.Join(e.dir, name), Env: []string{"SYSTEM_NAMESPACE=" + systemNamespace, "POD_NAMESPACE=" + systemNamespace},
		Args: []string{"-metrics-address=", "-kubeconfig=" + kubeconfig},
	}
	health := address
	switch name {
	case "controller":
		program.Args = append(program.Args, "-identity="+name, "-sweep-interval=2s")
	default:
		if health, err = rig.FreeAddress(ctx); err != nil {
			return "", err
		}
		program.Args = append(program.Args, "-address="+address, "-interceptor-address=")
	}
	program.Args = append(program.Args, "-health-address="+health)
	process, err := program.Start()
	if err != nil {
		return "", err
	}
	e.running = append(e.running, process)
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	return address, process.Await(ctx, "http://"+health+"/readyz")
}

// Kill ends the programs as kill -9 does.
func (e *Env) Kill() {
	for _, p := range e.running {
		_ = p.Cmd.Process.Kill() // fails only if it has ended
		<-p.Ended()
	}
	e.running = nil
}

// Logs is the end of what the running programs printed.
func (e *Env) Logs() string {
	var all []string
	for _, p := range e.running {
		all = append(all, p.Tail())
	}
	return strings.Join(all, "\n")
}

// Stop ends everything.
func (e *Env) Stop() error {
	e.Kill()
	return e.Cluster.Stop()
}

// Kubectl runs kubectl-revet as the cluster's administrator.
func (e *Env) Kubectl(ctx context.Context, args ...string) (output string, err error) {
	c := exec.CommandContext(ctx, filepath.Join(e.dir, "kubectl-revet"), args...)
	c.Env = append(os.Environ(), "KUBECONFIG="+e.Cluster.Kubeconfig())
	out, err := c.CombinedOutput()
	return string(out), err
}
