package gate

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/revet-dev/revet/test/cluster/fast"
)

// shared is the cluster of this package's tests.
var shared *fast.Cluster

// mutating is true while the cluster serves MutatingAdmissionPolicies.
var mutating bool

// auditLog is where the cluster's API server writes what it audits, before it answers.
var auditLog string

// pinning matches the tests that are about an API server that pins tags.
const pinning = "^TestPins"

func TestMain(m *testing.M) {
	flag.Parse()
	code := 0
	for _, mutating = range []bool{true, false} {
		if !mutating {
			if err := leaveOut(pinning); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		code = max(code, run(m))
	}
	os.Exit(code)
}

// leaveOut adds a pattern of names to those that -skip leaves out.
func leaveOut(pattern string) error {
	skip := flag.Lookup("test.skip").Value
	if given := skip.String(); given != "" {
		pattern = "(" + given + ")|(" + pattern + ")"
	}
	return skip.Set(pattern)
}

func run(m *testing.M) int {
	fmt.Printf("with MutatingAdmissionPolicies: %v\n", mutating)
	dir, err := os.MkdirTemp("", "revet-gate-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	auditLog = filepath.Join(dir, "audit.log")
	policy := filepath.Join(dir, "audit.yaml")
	const metadata = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"
	if err := os.WriteFile(policy, []byte(metadata), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	shared, err = fast.Start(context.Background(), fast.Options{
		CRDDirs: []string{filepath.FromSlash("../../config")}, MutatingPolicies: mutating,
		Flags: []string{"--audit-policy-file=" + policy, "--audit-log-path=" + auditLog, "--audit-log-mode=blocking-strict"},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := shared.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
