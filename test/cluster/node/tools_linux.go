package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// tools are the programs of a cluster.
type tools struct {
	cluster string // this command
	kube    string
	pause   string
	gvisor  string // directory of runsc and its shim
	router  string // kube-router; empty if not asked for
	cni     string // directory of the network plug-ins
	// versions of what runs, for people.
	versions map[string]string
}

// stripped leaves out what only debuggers need, a third of a binary.
const stripped = "-s -w"

// buildTools builds what the cache lacks.
func buildTools(ctx context.Context, o Options, progress *console) (tools, error) {
	module := filepath.Join(o.Root, "test")
	goVersion, err := goVersion(ctx, module)
	if err != nil {
		return tools{}, err
	}
	goMod, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return tools{}, fmt.Errorf("read the test module's go.mod: %w", err)
	}
	b := builder{cache: filepath.Join(o.Cache, "bin"), say: progress.say, toolchain: goVersion + " " + runtime.GOARCH}
	t := tools{cni: pluginDir(), versions: map[string]string{"go": goVersion}}
	if t.kube, err = b.kube(ctx, module, goMod, t.versions); err != nil {
		return t, err
	}
	if t.gvisor, err = b.gvisor(ctx, filepath.Join(module, "gvisor"), t.versions); err != nil {
		return t, err
	}
	if t.pause, err = b.pause(ctx, module); err != nil {
		return t, err
	}
	if o.Policies {
		if t.router, err = b.router(ctx, filepath.Join(module, "netpol"), t.versions); err != nil {
			return t, err
		}
	}
	t.cluster = o.Executable
	if t.cluster == "" {
		t.cluster = filepath.Join(b.cache, "cluster-"+o.id(), "cluster")
		err = b.compile(ctx, "the cluster command", compilation{dir: module, pkg: "./cmd/cluster", out: t.cluster})
	}
	return t, err
}

func (b builder) kube(ctx context.Context, module string, goMod []byte, versions map[string]string) (string, error) {
	for name, path := range map[string]string{
		"kubernetes": "k8s.io/kubernetes", "etcd": "go.etcd.io/etcd/server/v3", "coredns": "github.com/coredns/coredns",
	} {
		version, err := versionOf(goMod, path)
		if err != nil {
			return "", err
		}
		versions[name] = version
	}
	modules, err := moduleVersions(goMod, keyed)
	if err != nil {
		return "", err
	}
	source := filepath.Join(module, "cluster", "kube")
	files, err := sources(source)
	if err != nil {
		return "", err
	}
	// Without its version the API server calls itself v0.0.0 and clients
	// misjudge what it can do.
	flags := stripped + " -X k8s.io/component-base/version.gitVersion=" + versions["kubernetes"]
	what := fmt.Sprintf("Kubernetes %s, etcd %s and CoreDNS %s (about 10 minutes on 2 cores, once)",
		versions["kubernetes"], versions["etcd"], versions["coredns"])
	key := cacheKey(append(append(modules, files...), flags, b.toolchain)...)
	dir, err := b.once(ctx, "kube-"+key, what, func(dir string) error {
		if err := b.compile(ctx, what, compilation{dir: module, pkg: "./cluster/kube", out: filepath.Join(dir, "kube"), ldflags: flags}); err != nil {
			return err
		}
		return os.Symlink("kube", filepath.Join(dir, "kubectl"))
	})
	return filepath.Join(dir, "kube"), err
}

func (b builder) gvisor(ctx context.Context, module string, versions map[string]string) (string, error) {
	goMod, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("read gVisor's go.mod: %w", err)
	}
	if versions["gvisor"], err = versionOf(goMod, "gvisor.dev/gvisor"); err != nil {
		return "", err
	}
	files, err := sources(module)
	if err != nil {
		return "", err
	}
	what := "gVisor (about 2 minutes on 2 cores, once)"
	key := cacheKey(append(files, string(goMod), stripped, b.toolchain)...)
	return b.once(ctx, "gvisor-"+key, what, func(dir string) error {
		for _, c := range []compilation{
			{dir: module, pkg: "gvisor.dev/gvisor/runsc", out: filepath.Join(dir, "runsc"), ldflags: stripped},
			{dir: module, pkg: "./shim", out: filepath.Join(dir, "containerd-shim-runsc-v1"), ldflags: stripped},
		} {
			if err := b.compile(ctx, what, c); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b builder) router(ctx context.Context, module string, versions map[string]string) (string, error) {
	goMod, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("read kube-router's go.mod: %w", err)
	}
	const path = "github.com/cloudnativelabs/kube-router/v2"
	if versions["kube-router"], err = versionOf(goMod, path); err != nil {
		return "", err
	}
	what := "kube-router (about 2 minutes on 2 cores, once)"
	dir, err := b.once(ctx, "kube-router-"+cacheKey(string(goMod), stripped, b.toolchain), what, func(dir string) error {
		return b.compile(ctx, what, compilation{
			dir: module, pkg: path + "/cmd/kube-router", out: filepath.Join(dir, "kube-router"), ldflags: stripped,
		})
	})
	return filepath.Join(dir, "kube-router"), err
}

func (b builder) pause(ctx context.Context, module string) (string, error) {
	files, err := sources(filepath.Join(module, "cluster", "pause"))
	if err != nil {
		return "", err
	}
	dir, err := b.once(ctx, "pause-"+cacheKey(append(files, b.toolchain)...), "pause", func(dir string) error {
		return b.compile(ctx, "pause", compilation{dir: module, pkg: "./cluster/pause", out: filepath.Join(dir, "pause"), ldflags: stripped})
	})
	return filepath.Join(dir, "pause"), err
}

// goVersion is the version of the toolchain that the module selects.
func goVersion(ctx context.Context, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION")
	cmd.Dir, cmd.Env = module, goEnvironment()
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("there is no go command on the PATH: install Go 1.26 or newer (sudo may hide it: sudo env PATH=\"$PATH\" ...)")
	}
	if err != nil {
		return "", fmt.Errorf("ask for the version of Go: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
