package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// The exit statuses.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// usageError is a wrong use of the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// statusError is an error whose exit status a command sets itself.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// environment is what commands get from outside.
type environment struct {
	streams genericiooptions.IOStreams
	now     func() time.Time
	// connect returns the cluster that the flags name.
	connect func(*clusterFlags) (cluster, error)
	// unique returns what tells two requests of one second apart.
	unique func() string
}

// Run runs one command line and returns the exit status.
func Run(ctx context.Context, args []string, streams genericiooptions.IOStreams) int {
	return run(ctx, args, environment{streams: streams, now: time.Now, connect: connect, unique: randomSuffix})
}

func run(ctx context.Context, args []string, env environment) int {
	root := newRoot(env) //nolint:contextcheck // each command takes its context from cobra, which has it from here
	root.SetArgs(args)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	// An error may quote what was read, which may be anything.
	fmt.Fprintf(env.streams.ErrOut, "error: %s\n", printableLines(err.Error()))
	var usage *usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(env.streams.ErrOut, "See '%s --help'.\n", command.CommandPath())
		return exitUsage
	}
	var own *statusError
	if errors.As(err, &own) {
		return own.status
	}
	return exitError
}

func newRoot(env environment) *cobra.Command {
	root := &cobra.Command{
		Use:   "kubectl-revet",
		Short: "Look at what Revet saw pushed, and at what became of it",
		Long: `Look at what Revet saw pushed, and at what became of it.

Revet records every push that an ImageTrigger admits in a ledger of
ImageVerifications, and has each verified by a pipeline. These commands read
the ledger. Three of them change something: replay asks for another run,
compare-sandbox makes runs of its own, and fill-database fills the database that
runs compare packages with.`,
		Example: `  # What was pushed here, and did it pass?
  kubectl revet get

  # The whole story of one image
  kubectl revet explain demo/app:latest

  # Once more
  kubectl revet replay demo/app:latest

  # Why does nothing happen?
  kubectl revet doctor

  # Did any push slip through?
  kubectl revet coverage --verify

  # Runs end in Error, as no vulnerability database is there
  kubectl revet fill-database registry.example.com/revet/database:current

  # What does the sandbox cost?
  kubectl revet compare-sandbox demo/app:latest

  # Which pushes do these recorded objects show?
  kubectl get imagestreams -A -o json | kubectl revet pushes -`,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl revet"},
		SilenceErrors: true,
		SilenceUsage:  true,
		// Without this, cobra answers an unknown command with the help and status 0.
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("there is no command %q; there are get, explain, replay, coverage, doctor, compare-sandbox, fill-database, pushes and completion", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(env.streams.In)
	root.SetOut(env.streams.Out)
	root.SetErr(env.streams.ErrOut)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.AddCommand(newGet(env), newExplain(env), newReplay(env), newCoverage(env), newDoctor(env), newCompareSandbox(env), newFillDatabase(env), newPushes(env), newCompletion())
	root.CompletionOptions.DisableDefaultCmd = true
	return root
}

// atMostOne and the like are argument counts whose violation is a usage error.
func atMostOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usagef("at most 1 %s can be given, not %d", what, len(args))
		}
		return nil
	}
}

func exactlyOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("exactly one %s must be given, not %d", what, len(args))
		}
		return nil
	}
}
