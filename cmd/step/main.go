package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/pipeline/report"
	"github.com/revet-dev/revet/pkg/pipeline/verdict"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run executes one command line and returns its exit status.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	var results string
	root := &cobra.Command{
		Use:           "step",
		Short:         "The steps of Revet's pipeline: fetch, validate, publish, signature, verdict; and its vulnerability database",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().StringVar(&results, "results", "",
		"directory for results, in Tekton "+verdict.DefaultResults+"; a step that fails writes its reason to the file \"error\" in it")
	root.AddCommand(newFetch(), newValidate(), newPublish(&results), newSignature(&results), newVerdict(&results), newDatabase()) //nolint:contextcheck // cobra hands them the context
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(errOut, "%s: %s\n", command.CommandPath(), report.Line(err.Error()))
	if results != "" {
		if err := verdict.WriteError(results, err); err != nil {
			fmt.Fprintf(errOut, "%s: %v\n", command.CommandPath(), err)
		}
	}
	return 1
}
