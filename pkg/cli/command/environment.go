package command

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// The exit statuses.
const (
	ExitOK    = 0
	ExitError = 1
	ExitUsage = 2
)

// UsageError is a wrong use of the command line.
type UsageError struct{ err error }

func (e *UsageError) Error() string { return e.err.Error() }

func (e *UsageError) Unwrap() error { return e.err }

// Usagef returns a UsageError.
func Usagef(format string, args ...any) error {
	return &UsageError{fmt.Errorf(format, args...)}
}

// StatusError is an error with an exit status of its own.
type StatusError struct {
	Status int
	Err    error
}

func (e *StatusError) Error() string { return e.Err.Error() }

func (e *StatusError) Unwrap() error { return e.Err }

// Environment is what commands get from outside.
type Environment struct {
	Streams genericiooptions.IOStreams
	Now     func() time.Time
	// Connect returns the cluster that the flags name.
	Connect func(*ClusterFlags) (Cluster, error)
	// Unique returns what tells two requests of one second apart.
	Unique func() string
}

// NewRoot returns the command that all others are subcommands of.
func NewRoot(env Environment) *cobra.Command {
	root := &cobra.Command{
		Use:           "kubectl-revet",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl revet"},
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(env.Streams.In)
	root.SetOut(env.Streams.Out)
	root.SetErr(env.Streams.ErrOut)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &UsageError{err} })
	root.CompletionOptions.DisableDefaultCmd = true
	return root
}

// Execute runs a command line and returns the exit status.
func Execute(ctx context.Context, env Environment, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return ExitOK
	}
	// An error may quote what a stranger wrote.
	fmt.Fprintf(env.Streams.ErrOut, "error: %s\n", PrintableLines(err.Error()))
	var usage *UsageError
	if errors.As(err, &usage) {
		fmt.Fprintf(env.Streams.ErrOut, "See '%s --help'.\n", command.CommandPath())
		return ExitUsage
	}
	var own *StatusError
	if errors.As(err, &own) {
		return own.Status
	}
	return ExitError
}

// RandomSuffix returns six characters.
func RandomSuffix() string { return strings.ToLower(rand.Text()[:6]) }
