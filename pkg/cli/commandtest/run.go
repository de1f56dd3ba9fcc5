package commandtest

import (
	"bytes"
	"context"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/revet-dev/revet/pkg/cli/command"
)

var update = flag.Bool("update", false, "write the golden files")

// Now is when the tests' commands are typed.
var Now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// Golden compares got with a file of testdata.
func Golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := fs.ReadFile(os.DirFS("testdata"), name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); after a wanted change, run the tests of the package with -update:\n%s", file, diff)
	}
}

// Result is what a command line gave.
type Result struct {
	Status      int
	Out, ErrOut string
}

// Connect is how a command reaches its cluster.
type Connect = func(*command.ClusterFlags) (command.Cluster, error)

// Run runs a command line with an input, against a cluster that is not there
// unless connect is given. Its first argument names the command that newCommand makes.
func Run(newCommand func(command.Environment) *cobra.Command, in string, connect Connect, args ...string) Result {
	return RunRoot(func(env command.Environment) *cobra.Command {
		root := command.NewRoot(env)
		root.AddCommand(newCommand(env))
		return root
	}, in, connect, args...)
}

// RunRoot is Run with all the commands that newRoot adds.
func RunRoot(newRoot func(command.Environment) *cobra.Command, in string, connect Connect, args ...string) Result {
	var out, errOut bytes.Buffer
	env := command.Environment{
		Streams: genericiooptions.IOStreams{In: strings.NewReader(in), Out: &out, ErrOut: &errOut},
		Now:     func() time.Time { return Now },
		Connect: connect,
		Unique:  func() string { return "x7k2q9" },
	}
	status := command.Execute(context.Background(), env, newRoot(env), args)
	return Result{Status: status, Out: out.String(), ErrOut: errOut.String()}
}
