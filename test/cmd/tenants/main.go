//go:build linux

// Command tenants measures what one tenant costs the others. See package tenants.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/revet-dev/revet/test/cluster/node"
	"github.com/revet-dev/revet/test/tenants"
)

func main() {
	if code, isRole := tenants.Role(); isRole {
		os.Exit(code)
	}
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := options(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tenants:", err)
		return 2
	}
	kept, err := tenants.Run(ctx, o)
	if err := errors.Join(err, os.RemoveAll(o.Dir)); err != nil {
		fmt.Fprintln(os.Stderr, "tenants:", err)
		return 1
	}
	if !kept {
		return 1
	}
	return 0
}

func options(args []string) (tenants.Options, error) {
	o := tenants.DefaultOptions()
	o.Out = os.Stdout
	flags := flag.NewFlagSet("tenants", flag.ContinueOnError)
	flags.StringVar(&o.Tree, "tree", "", "checkout whose programs and manifests are measured; default is this one")
	flags.IntVar(&o.Pushes, "pushes", o.Pushes, "how many pushes are measured alone, and as many under attack")
	flags.IntVar(&o.Scale, "scale", o.Scale, "what the sizes of the attacks are divided by")
	flags.DurationVar(&o.Patience, "patience", o.Patience, "how long a push may take to have its run")
	cases := flags.String("cases", "", "names of cases, such as D1,D3-triggers; D3 means all of its kind; default is all")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.Cases = strings.FieldsFunc(*cases, func(r rune) bool { return r == ',' || r == ' ' })
	directory, err := os.Getwd()
	if err != nil {
		return o, err
	}
	if o.Root, err = node.FindRoot(directory); err != nil {
		return o, err
	}
	if o.Tree == "" {
		o.Tree = o.Root
	}
	o.Dir, err = os.MkdirTemp("", "revet-tenants-")
	return o, err
}
