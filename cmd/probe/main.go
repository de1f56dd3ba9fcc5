package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run executes one command line and returns its exit status.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	root := &cobra.Command{
		Use:           "probe",
		Version:       version.String(),
		Short:         "Look at a node from a Pod",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	root.AddCommand(newWatch(), newRemoveImages()) //nolint:contextcheck // cobra hands them the context
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(errOut, "probe:", err)
		return 1
	}
	return 0
}
