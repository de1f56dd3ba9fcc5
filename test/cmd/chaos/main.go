//go:build linux

// Command chaos runs the chaos harness. See package chaos.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/revet-dev/revet/test/chaos"
	"github.com/revet-dev/revet/test/cluster/node"
)

// pushesOfStream is how many pushes a stream has by default, if there are many.
const pushesOfStream = 50

func main() {
	if code, isRole := chaos.Role(); isRole {
		os.Exit(code)
	}
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := options(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return 2
	}
	results, err := chaos.Run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return 1
	}
	for _, r := range results {
		if r.Failed() {
			return 1
		}
	}
	return 0
}

func options(args []string) (chaos.Options, error) {
	o := chaos.DefaultOptions()
	o.Out = os.Stdout
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.IntVar(&o.Shape.Pushes, "pushes", o.Shape.Pushes, "how many pushes, or verdicts of the play gate")
	flags.IntVar(&o.Shape.Streams, "streams", 0, "over how many streams; default is 20, or one for each 50 pushes")
	flags.IntVar(&o.Shape.Tags, "tags", o.Shape.Tags, "and tags of each")
	flags.Float64Var(&o.Shape.Rate, "rate", o.Shape.Rate, "of these a second, in the mean")
	flags.StringVar(&o.Faults, "faults", o.Faults, "all, none, or some targets and actions")
	flags.StringVar(&o.Dir, "dir", "", "folder for timelines and logs; default is a new one among the temporary files")
	flags.DurationVar(&o.SweepInterval, "sweep-interval", o.SweepInterval, "how often Revet sweeps")
	flags.DurationVar(&o.Limit, "limit", o.Limit, "how long after the last fault everything has to be final; a machine that is slower than -rate has a backlog by then")
	flags.BoolVar(&o.Keep, "keep", o.Keep, "keep the data of etcd and registry")
	flags.StringVar(&o.Cases, "cases", "all", "of the play trouble: all, or some of listener, rights, template, binding and class")
	flags.DurationVar(&o.For, "for", 0, "how long each of them stays broken; default is 2m for the listener, 30s for the others")
	flags.Func("play", "random, adapter-down, burst, leader-stopped, trouble or gate; default is random", func(s string) error {
		o.Play = chaos.Play(s)
		return nil
	})
	seeds := flags.String("seeds", "1", "seeds, one run each")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.Shape.Streams == 0 {
		// An ImageStream is written whole with every push, its history too.
		o.Shape.Streams = max(chaos.DefaultOptions().Shape.Streams, o.Shape.Pushes/pushesOfStream)
	}
	var err error
	if o.Seeds, err = parseSeeds(*seeds); err != nil {
		return o, err
	}
	directory, err := os.Getwd()
	if err != nil {
		return o, err
	}
	if o.Root, err = node.FindRoot(directory); err != nil {
		return o, err
	}
	if o.Dir == "" {
		o.Dir, err = os.MkdirTemp("", "revet-chaos-")
	}
	return o, err
}

func parseSeeds(list string) (seeds []uint64, err error) {
	for _, field := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		seed, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("seed %q is no number", field)
		}
		seeds = append(seeds, seed)
	}
	return seeds, nil
}
