// Command receiver takes the events and notifications that say that an image
// was pushed, reads what was, and records it. See package intake.
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
		version.Print(os.Stdout, "receiver")
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
	receiver, err := app.NewReceiver(ctx, o)
	if err == nil {
		err = receiver.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "receiver:", err)
		return 1
	}
	return 0
}

func options(args []string) (app.ReceiverOptions, error) {
	o := app.DefaultReceiverOptions()
	// POD_NAMESPACE and SYSTEM_NAMESPACE are what Kubernetes' downward API and
	// Knative's manifests call the namespace that a Pod is in.
	for _, name := range []string{"POD_NAMESPACE", "SYSTEM_NAMESPACE"} {
		if value := os.Getenv(name); value != "" {
			o.SystemNamespace = value
		}
	}
	flags := flag.NewFlagSet("receiver", flag.ContinueOnError)
	flags.Bool("version", false, "print the version and exit")
	flags.StringVar(&o.Address, "address", o.Address, "host:port for events, health and readiness")
	flags.DurationVar(&o.DrainDelay, "drain-delay", o.DrainDelay, "how long to go on serving after SIGTERM")
	flags.StringVar(&o.MetricsAddress, "metrics-address", o.MetricsAddress, "host:port for Prometheus; empty serves no metrics")
	flags.StringVar(&o.SystemNamespace, "system-namespace", o.SystemNamespace, "Revet's own namespace; default from POD_NAMESPACE or SYSTEM_NAMESPACE")
	flags.StringVar(&o.Kubeconfig, "kubeconfig", o.Kubeconfig, "file to reach the API server with; default is the Pod's account")
	flags.StringVar(&o.LogLevel, "log-level", o.LogLevel, "debug, info, warn or error")
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
		fmt.Fprintln(os.Stderr, "receiver:", err)
	}
	return o, err
}
