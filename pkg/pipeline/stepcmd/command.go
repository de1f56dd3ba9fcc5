package stepcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/verdict"
)

// Main runs a program's command line until a signal ends it, and returns its exit status.
func Main(run func(ctx context.Context, args []string, out, errOut io.Writer) int) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}

// Results declares the flag --results on root, and returns a pointer to its value.
func Results(root *cobra.Command) *string {
	var results string
	root.PersistentFlags().StringVar(&results, "results", "",
		"directory for results, in Tekton "+verdict.DefaultResults+"; a failing step writes its reason to the file \"error\" there")
	return &results
}

// Execute runs one command line and returns its exit status.
func Execute(ctx context.Context, root *cobra.Command, results *string, args []string, out, errOut io.Writer) int {
	root.PersistentFlags().String(selfFlag, "", "image of this step, as the Task names it; it is a part of the policy digest")
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	// Errors with their own exit status were already printed.
	var own interface{ ExitStatus() int }
	if errors.As(err, &own) {
		return own.ExitStatus()
	}
	fmt.Fprintf(errOut, "%s: %s\n", command.CommandPath(), result.Line(err.Error()))
	if *results != "" {
		if err := verdict.WriteError(*results, err); err != nil {
			fmt.Fprintf(errOut, "%s: %v\n", command.CommandPath(), err)
		}
	}
	if status, err := strconv.Atoi(command.Annotations[ErrorStatus]); err == nil {
		return status
	}
	return 1
}

// ErrorStatus annotates a command whose errors exit with a status other than 1.
const ErrorStatus = "revet.dev/error-status"

// Require makes flags of cmd required.
func Require(cmd *cobra.Command, names ...string) *cobra.Command {
	for _, name := range names {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is not declared
		}
	}
	return cmd
}

// Connection holds the flags that configure how to talk to registries.
type Connection struct {
	// Timeout bounds the whole command.
	Timeout    time.Duration
	registries string
	insecure   []string
	stall      time.Duration
}

// Flags declares the flags of c. timeout is the default of --timeout.
func (c *Connection) Flags(f *pflag.FlagSet, timeout time.Duration) {
	f.StringVar(&c.registries, "registries", "", "directory with the file \"insecure\" and *.crt files; may be missing")
	f.StringSliceVar(&c.insecure, "insecure-registry", nil, "host[:port] to talk to without TLS; may be repeated")
	f.DurationVar(&c.Timeout, "timeout", timeout, "time limit for the whole command")
	f.DurationVar(&c.stall, "stall-timeout", time.Minute, "how long the registry may send nothing")
}

// Options returns the options that the flags set.
func (c *Connection) Options() (fetch.Options, error) {
	if c.Timeout <= 0 || c.stall <= 0 {
		return fetch.Options{}, fmt.Errorf("--timeout and --stall-timeout must be positive")
	}
	trust, err := fetch.LoadTrust(c.registries, c.insecure)
	if err != nil {
		return fetch.Options{}, err
	}
	return fetch.Options{Trust: trust, Keychain: authn.DefaultKeychain, Stall: c.stall}, nil
}
