// Command controller takes recorded pushes to their verdicts: it fires the
// listener, follows the run and records its outcome. See package
// reconciler/imageverification.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/revet-dev/revet/pkg/app"
	"github.com/revet-dev/revet/pkg/version"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if version.Requested(args) {
		version.Print(os.Stdout, "controller")
		return 0
	}
	o, err := options(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2 // said already
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	controller, err := app.NewController(ctx, o)
	if err == nil {
		err = controller.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "controller:", err)
		return 1
	}
	return 0
}

func options(args []string) (app.ControllerOptions, error) {
	o := app.DefaultControllerOptions()
	o.FromEnvironment(os.Getenv)
	flags := flag.NewFlagSet("controller", flag.ContinueOnError)
	flags.Bool("version", false, "print the version and exit")
	o.AddFlags(flags)
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
		fmt.Fprintln(os.Stderr, "controller:", err)
	}
	return o, err
}
