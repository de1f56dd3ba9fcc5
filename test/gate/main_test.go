package gate

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/revet-dev/revet/test/cluster/fast"
)

// shared is the cluster of this process's tests, once one of them needed it. A process can run
// only one.
var shared *fast.Cluster

// startOnce starts it.
var startOnce = sync.OnceValue(start)

// mutating is true while the cluster serves MutatingAdmissionPolicies.
var mutating bool

// auditLog is where the cluster's API server writes what it audits, before it answers.
var auditLog string

// work holds what the cluster needs besides its own files.
var work string

const (
	// pinning matches the tests that are about an API server that pins tags.
	pinning = "^TestPins"
	// atOnce is how many tests of a cluster run at once. They mostly wait, for an API server
	// that looks at policies once a second.
	atOnce = "6"
)

// beside lets a test run beside others, on a cluster that none of them takes anything away
// from. Every test calls it first, or alone.
func beside(t *testing.T) {
	t.Helper()
	if part.test != "" {
		t.SkipNow() // another process runs it
	}
	t.Parallel()
	needCluster(t)
}

// alone gives a test a cluster to itself, in a process of its own.
func alone(t *testing.T) {
	t.Helper()
	if part.test != t.Name() {
		t.SkipNow()
	}
	needCluster(t)
}

func needCluster(t *testing.T) {
	t.Helper()
	if err := startOnce(); err != nil {
		t.Fatal(err)
	}
}

// TestMain runs all tests twice, at once: with MutatingAdmissionPolicies, and without.
func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if err := flag.Set("test.parallel", atOnce); err != nil {
		return 1, err
	}
	mutating = !part.without
	if !mutating {
		if err := leaveOut(pinning); err != nil {
			return 1, err
		}
	}
	if work, err = os.MkdirTemp("", "revet-gate-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(work)
	finish := func() error { return nil }
	if part == (process{}) {
		finish = startOthers()
	} else {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin) // until the first process ends, in whatever way
			os.Exit(1)
		}()
	}
	code = m.Run()
	if shared != nil {
		err = shared.Stop()
	}
	return code, errors.Join(err, finish())
}

// leaveOut adds a pattern of names to those that -skip leaves out.
func leaveOut(pattern string) error {
	skip := flag.Lookup("test.skip").Value
	if given := skip.String(); given != "" {
		pattern = "(" + given + ")|(" + pattern + ")"
	}
	return skip.Set(pattern)
}

func start() (err error) {
	auditLog = filepath.Join(work, "audit.log")
	policy := filepath.Join(work, "audit.yaml")
	const metadata = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"
	if err := os.WriteFile(policy, []byte(metadata), 0o600); err != nil {
		return err
	}
	shared, err = fast.Start(context.Background(), fast.Options{
		CRDDirs: []string{filepath.FromSlash("../../config")}, MutatingPolicies: mutating,
		Flags: []string{"--audit-policy-file=" + policy, "--audit-log-path=" + auditLog, "--audit-log-mode=blocking-strict"},
	})
	return err
}
