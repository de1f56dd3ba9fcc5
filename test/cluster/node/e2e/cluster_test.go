//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/revet-dev/revet/test/cluster/node"
)

const (
	upTimeout = 25 * time.Minute // with an empty cache of binaries
	poll      = 50 * time.Millisecond
	// goneTimeout bounds how long a killed cluster may take to be gone.
	goneTimeout = 20 * time.Second
	clusterName = "node-e2e"
)

// lines writes progress to the test's log.
type lines struct{ t *testing.T }

func (l lines) Write(p []byte) (int, error) {
	l.t.Helper()
	l.t.Logf("%s", p)
	return len(p), nil
}

// command is the cluster command, built once for all tests.
var command string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "revet-node-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	command = filepath.Join(dir, "cluster")
	if err := build(command, "../../../cmd/cluster"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func build(out, pkg string) error {
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath -buildvcs=false")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", pkg, err, output)
	}
	return nil
}

// options are those of the tests' own cluster.
func options(t *testing.T) node.Options {
	t.Helper()
	directory, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	root, err := node.FindRoot(directory)
	if err != nil {
		t.Fatal(err)
	}
	cache, err := node.CacheDir(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	return node.Options{Root: root, Cache: cache, Name: clusterName, FreshRegistry: true, Executable: command, Out: lines{t}, RegistryPort: 5051, APIPort: 6543}
}

// up starts the cluster and takes it down at the end of the test.
func up(t *testing.T, o node.Options) *node.Info {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), upTimeout)
	defer cancel()
	t.Cleanup(func() { down(t, o) })
	info, err := node.Up(ctx, o)
	if err != nil {
		t.Fatalf("up: %v", err)
	}
	return info
}

func down(t *testing.T, o node.Options) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := node.Down(ctx, o); err != nil {
		t.Errorf("down: %v", err)
	}
}

func client(t *testing.T, info *node.Info) kubernetes.Interface {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", info.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pushProbe builds the probe and pushes it as a client on the host would.
func pushProbe(t *testing.T, info *node.Info, repository string) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "probe")
	if err := build(binary, "./probe"); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	image, err := node.ProgramImage("/probe", program)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(info.RegistryHost+"/"+repository, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image, remote.WithContext(t.Context())); err != nil {
		t.Fatalf("push %q: %v", ref, err)
	}
}

// eventually asks until there is no error, or fails the test with the last.
func eventually(t *testing.T, timeout time.Duration, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(timeout)
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %v", timeout, err)
		}
		<-tick.C
	}
}
