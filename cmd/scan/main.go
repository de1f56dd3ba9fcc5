package main

import (
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/pipeline/stepcmd"
	"github.com/revet-dev/revet/pkg/version"
)

func main() { os.Exit(stepcmd.Main(run)) }

// run executes one command line and returns its exit status.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	root := &cobra.Command{
		Use:     "scan",
		Version: version.String(),
		Short:   "The steps of Revet's pipeline that look for packages and their vulnerabilities, their database, and all steps in one command: check",
	}
	results := stepcmd.Results(root)
	root.AddCommand(newSBOM(), newVulnerabilities(), newDatabase(), newCheck()) //nolint:contextcheck // cobra passes them the context
	return stepcmd.Execute(ctx, root, results, args, out, errOut)
}
