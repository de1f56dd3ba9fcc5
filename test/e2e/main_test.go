//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/revet-dev/revet/test/cluster/node"
	"github.com/revet-dev/revet/test/cluster/registry"
	"github.com/revet-dev/revet/test/cluster/upstream"
	"github.com/revet-dev/revet/test/stack"
)

// cluster is what the tests share. A namespace of its own keeps each test apart.
var cluster *stack.Stack

// crane is the command that images are pushed with, built from its module.
var crane string

// scan is the scanner's program, built from the checkout; it fills databases.
var scan string

// database is the vulnerability database that namespaces use, as the cluster reaches it.
var database string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 55*time.Minute)
	defer cancel()
	remove, err := buildCrane(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer remove()
	down, err := setUp(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	if err := fillDatabase(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", errors.Join(err, down()))
		return 1
	}
	code := m.Run()
	if err := down(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: taking the cluster down:", err)
		return 1
	}
	return code
}

func buildCrane(ctx context.Context) (remove func(), err error) {
	dir, err := os.MkdirTemp("", "revet-e2e-crane-")
	if err != nil {
		return nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	crane = filepath.Join(dir, "crane")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", crane, "github.com/google/go-containerregistry/cmd/crane").CombinedOutput()
	if err != nil {
		remove()
		return nil, fmt.Errorf("building crane: %w\n%s", err, out)
	}
	return remove, nil
}

// setUp brings the cluster up, with Knative's Broker, Tekton and Revet.
func setUp(ctx context.Context) (down func() error, err error) {
	directory, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	root, err := node.FindRoot(directory)
	if err != nil {
		return nil, err
	}
	cache, err := node.CacheDir(os.Getenv)
	if err != nil {
		return nil, err
	}
	tokenFile, err := writeToken()
	if err != nil {
		return nil, err
	}
	options := node.Options{
		Root: root, Cache: cache, Name: "e2e", Policies: true, Out: os.Stderr,
		Notify: []node.Endpoint{{Name: "revet", URL: "http://receiver.revet-system.svc.cluster.local/registries/local", TokenFile: tokenFile}},
	}
	dir, err := node.StateDir(options)
	if err != nil {
		return nil, err
	}
	// What an earlier run pushed would be found, and verified, again.
	for _, namespace := range namespaces {
		if err := registry.Forget(dir+".registry", namespace); err != nil {
			return nil, err
		}
	}
	info, err := node.Up(ctx, options)
	if err != nil {
		return nil, err
	}
	down = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return errors.Join(node.Down(ctx, options), os.Remove(tokenFile))
	}
	cluster = &stack.Stack{Root: root, Cache: cache, Info: info, Profile: upstream.Full, Out: os.Stderr}
	if err := cluster.Install(ctx); err != nil {
		return nil, errors.Join(err, down())
	}
	return down, nil
}

// fillDatabase builds the scanner and fills the database of all namespaces.
func fillDatabase(ctx context.Context) error {
	var err error
	if scan, err = cluster.BuildScan(ctx); err != nil {
		return err
	}
	database, err = mirror(ctx, "revet", "e2e-database")
	return err
}

// namespaces are those of all tests.
var namespaces = []string{"e2e-direct", "e2e-broker", "e2e-events", "e2e-plain", "e2e-build", "e2e-compare", "e2e-gate", attestedNamespace, thirdParties, imagesNamespace, pipelinesNamespace, teamNamespace, apartNamespace}

// webhookToken authenticates the registry at the receiver. It is made for one run.
var webhookToken = fmt.Sprintf("e2e-%d-%d", os.Getpid(), time.Now().UnixNano())

func writeToken() (string, error) {
	f, err := os.CreateTemp("", "revet-e2e-token-")
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(webhookToken)
	return f.Name(), errors.Join(err, f.Close())
}
