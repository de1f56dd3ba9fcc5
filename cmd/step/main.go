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
		Use:     "step",
		Version: version.String(),
		Short:   "The steps of Revet's pipeline: fetch, validate, publish, publish-documents, signature, verdict",
	}
	results := stepcmd.Results(root)
	commands := []*cobra.Command{
		stepcmd.NewFetch(), stepcmd.NewValidate(), stepcmd.NewPublish(results), //nolint:contextcheck // cobra hands them the context
		stepcmd.NewPublishDocuments(results), stepcmd.NewSignature(results), stepcmd.NewVerdict(results), //nolint:contextcheck // as above
	}
	root.AddCommand(commands...)
	return stepcmd.Execute(ctx, root, results, args, out, errOut)
}
