package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/revet-dev/revet/pkg/version"
)

// options is what a program is configured with. It reads the environment first, and
// the command line overrides it.
type options interface {
	FromEnvironment(getenv func(string) string)
	AddFlags(*flag.FlagSet)
}

// RunReceiver is the command receiver. It returns the exit status.
func RunReceiver(args []string) int {
	o := DefaultReceiverOptions()
	return run("receiver", &o, args, func(ctx context.Context) error {
		r, err := NewReceiver(ctx, o)
		if err != nil {
			return err
		}
		return r.Run(ctx)
	})
}

// RunController is the command controller. It returns the exit status.
func RunController(args []string) int {
	o := DefaultControllerOptions()
	return run("controller", &o, args, func(ctx context.Context) error {
		c, err := NewController(ctx, o)
		if err != nil {
			return err
		}
		return c.Run(ctx)
	})
}

// RunAttestor is the command attestor. It returns the exit status.
func RunAttestor(args []string) int {
	o := DefaultAttestorOptions()
	return run("attestor", &o, args, func(ctx context.Context) error {
		a, err := NewAttestor(ctx, o)
		if err != nil {
			return err
		}
		return a.Run(ctx)
	})
}

// run reads the options and works until a signal ends it. It returns 2 if the command
// line is wrong and 1 if the program failed.
func run(name string, o options, args []string, work func(context.Context) error) int {
	if version.Requested(args) {
		version.Print(os.Stdout, name)
		return 0
	}
	err := readOptions(name, o, args, os.Getenv, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2 // readOptions printed why
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := work(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// readOptions reads the environment and the command line, and prints what is wrong
// with the latter.
func readOptions(name string, o options, args []string, getenv func(string) string, stderr io.Writer) error {
	o.FromEnvironment(getenv)
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Bool("version", false, "print the version and exit")
	o.AddFlags(flags)
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
	}
	return err
}
