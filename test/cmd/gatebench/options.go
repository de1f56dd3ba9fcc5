//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/revet-dev/revet/test/cluster/node"
)

// part is what can be measured by itself.
type part string

const (
	partCreate  part = "create"
	partLatency part = "latency"
	partGrowth  part = "growth"
)

// options are what a run measures, and with how much.
type options struct {
	parts    map[part]bool
	root     string
	mutating bool
	// fsync makes etcd sync to the disk.
	fsync bool

	// sizes are the numbers of verified digests.
	sizes   []int
	rounds  int
	creates int

	// base is how many verified digests there are before, samples how many verdicts are measured while nothing else
	// happens.
	base, samples int
	// rate is how many verdicts a second there are for how long, and every failEvery-th fails.
	rate      float64
	length    time.Duration
	failEvery int
	// tags is how many tags the pushes go round; 0 gives each its own.
	tags int
	// poll is the time between an answer and the next question while idle, and loadPoll under load.
	poll, loadPoll time.Duration
	// gated is false to measure the same load without a gate, for comparison.
	gated bool
	// controller are further flags of the controller.
	controller []string
}

func parse(args []string) (options, error) {
	o := options{parts: map[part]bool{}}
	flags := flag.NewFlagSet("gatebench", flag.ContinueOnError)
	parts := flags.String("parts", "create,latency,growth", "what to measure")
	sizes := flags.String("sizes", "1000,10000,150000", "create: numbers of verified digests")
	controller := flags.String("controller", "", "further flags of the controller, such as --gate-write-rate=1048576")
	flags.BoolVar(&o.mutating, "mutating", true, "the API server obeys MutatingAdmissionPolicies, so that gates pin tags")
	flags.BoolVar(&o.fsync, "fsync", true, "etcd syncs what it writes to the disk, as it does outside tests")
	flags.IntVar(&o.rounds, "rounds", 5, "create: rounds")
	flags.IntVar(&o.creates, "creates", 1000, "create: Pods in each measurement")
	flags.IntVar(&o.base, "base", 1000, "latency, growth: verified digests before the first measurement")
	flags.IntVar(&o.samples, "samples", 100, "latency: passes and failures to measure while idle")
	flags.Float64Var(&o.rate, "rate", 20, "latency, growth: verdicts a second under load")
	flags.DurationVar(&o.length, "for", 10*time.Minute, "latency, growth: how long the load lasts")
	flags.IntVar(&o.failEvery, "fail-every", 10, "latency, growth: which of the verdicts under load fails a digest that passed; 0 for none")
	flags.IntVar(&o.tags, "tags", 0, "latency, growth: tags that the pushes go round; 0 gives each push a tag of its own")
	flags.BoolVar(&o.gated, "gate", true, "growth: there is a gate; without one the same load shows what of the growth is not its doing")
	flags.DurationVar(&o.poll, "poll", 2*time.Millisecond, "latency: time between an answer and the next question while idle")
	flags.DurationVar(&o.loadPoll, "load-poll", 10*time.Millisecond, "latency: the same under load")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.controller = strings.Fields(*controller)
	for _, name := range strings.Split(*parts, ",") {
		switch p := part(strings.TrimSpace(name)); p {
		case partCreate, partLatency, partGrowth:
			o.parts[p] = true
		default:
			return o, fmt.Errorf("-parts has %q, which is none of create, latency and growth", name)
		}
	}
	for _, field := range strings.Split(*sizes, ",") {
		size, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || size < 1 {
			return o, fmt.Errorf("-sizes has %q, which is no number of digests", field)
		}
		o.sizes = append(o.sizes, size)
	}
	if o.rounds < 1 || o.creates < 1 || o.base < 1 || o.samples < 1 || o.rate <= 0 || o.length <= 0 || o.failEvery < 0 || o.tags < 0 {
		return o, errors.New("numbers and times have to be positive")
	}
	if !o.gated && (o.parts[partLatency] || o.parts[partCreate]) {
		return o, errors.New("-gate=false goes with -parts growth alone: there is nothing else to measure")
	}
	if o.poll <= 0 || o.loadPoll <= 0 {
		return o, errors.New("-poll and -load-poll have to be positive")
	}
	directory, err := os.Getwd()
	if err != nil {
		return o, err
	}
	o.root, err = node.FindRoot(directory)
	return o, err
}
