package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/pipeline/command"
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
		Use:   "grype",
		Short: "The step of Revet's pipeline that looks for vulnerabilities, with Grype: vulnerabilities",
	}
	results := command.Results(root)
	root.AddCommand(newVulnerabilities()) //nolint:contextcheck // cobra hands them the context
	return command.Execute(ctx, root, results, args, out, errOut)
}
