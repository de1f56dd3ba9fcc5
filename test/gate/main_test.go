package gate

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/revet-dev/revet/test/cluster/fast"
)

// shared is the cluster of this process's tests. A process can run only one.
var shared *fast.Cluster

// mutating is true while the cluster serves MutatingAdmissionPolicies.
var mutating bool

// auditLog is where the cluster's API server writes what it audits, before it answers.
var auditLog string

const (
	// pinning matches the tests that are about an API server that pins tags.
	pinning = "^TestPins"
	// withoutVariable makes this program the round without MutatingAdmissionPolicies.
	withoutVariable = "REVET_GATE_WITHOUT_MUTATING"
	// atOnce is how many tests run at once. They mostly wait, for an API server that looks
	// at policies once a second.
	atOnce = "12"
)

// TestMain runs all tests twice, at once: here with MutatingAdmissionPolicies, and in another
// process without.
func TestMain(m *testing.M) {
	flag.Parse()
	mutating = os.Getenv(withoutVariable) == ""
	code, err := rounds(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func rounds(m *testing.M) (code int, err error) {
	if err := flag.Set("test.parallel", atOnce); err != nil {
		return 1, err
	}
	if !mutating {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin) // until the other process ends, in whatever way
			os.Exit(1)
		}()
		if err := leaveOut(pinning); err != nil {
			return 1, err
		}
		return run(m)
	}
	finish, err := startWithout()
	if err != nil {
		return 1, err
	}
	code, err = run(m)
	return code, errors.Join(err, finish())
}

// startWithout starts the other round, whose output finish prints.
func startWithout() (finish func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	arguments := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(a string) bool {
		// Files that this process writes.
		return strings.HasPrefix(a, "-test.testlogfile") || strings.Contains(a, "profile=")
	})
	other := exec.Command(self, arguments...) //nolint:noctx // it ends when its input does
	other.Env = append(os.Environ(), withoutVariable+"=true")
	var out bytes.Buffer
	other.Stdout, other.Stderr = &out, &out
	input, err := other.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := other.Start(); err != nil {
		return nil, err
	}
	return func() error {
		err := other.Wait()
		_, printed := out.WriteTo(os.Stdout)
		if err != nil {
			err = fmt.Errorf("without MutatingAdmissionPolicies: %w", err)
		}
		return errors.Join(err, printed, ignoreClosed(input.Close()))
	}, nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// leaveOut adds a pattern of names to those that -skip leaves out.
func leaveOut(pattern string) error {
	skip := flag.Lookup("test.skip").Value
	if given := skip.String(); given != "" {
		pattern = "(" + given + ")|(" + pattern + ")"
	}
	return skip.Set(pattern)
}

func run(m *testing.M) (code int, err error) {
	fmt.Printf("with MutatingAdmissionPolicies: %v\n", mutating)
	dir, err := os.MkdirTemp("", "revet-gate-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	auditLog = filepath.Join(dir, "audit.log")
	policy := filepath.Join(dir, "audit.yaml")
	const metadata = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"
	if err := os.WriteFile(policy, []byte(metadata), 0o600); err != nil {
		return 1, err
	}
	shared, err = fast.Start(context.Background(), fast.Options{
		CRDDirs: []string{filepath.FromSlash("../../config")}, MutatingPolicies: mutating,
		Flags: []string{"--audit-policy-file=" + policy, "--audit-log-path=" + auditLog, "--audit-log-mode=blocking-strict"},
	})
	if err != nil {
		return 1, err
	}
	code = m.Run()
	return code, shared.Stop()
}
