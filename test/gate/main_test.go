package gate

import (
	"context"
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

func TestMain(m *testing.M) {
	code := 0
	for _, mutating = range []bool{true, false} {
		code = max(code, run(m))
	}
	os.Exit(code)
}

func run(m *testing.M) int {
	fmt.Printf("with MutatingAdmissionPolicies: %v\n", mutating)
	var err error
	shared, err = fast.Start(context.Background(), fast.Options{CRDDirs: []string{filepath.FromSlash("../../config")}, MutatingPolicies: mutating})
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
