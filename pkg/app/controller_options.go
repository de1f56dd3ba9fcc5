package app

import (
	"flag"
	"fmt"
	"time"

	"github.com/revet-dev/revet/pkg/controller/imagegate"
	"github.com/revet-dev/revet/pkg/controller/imagetrigger"
	"github.com/revet-dev/revet/pkg/gate"
)

// ControllerOptions configure the controller.
type ControllerOptions struct {
	Common
	// Identity is this process's name among those that may lead: the Pod's name. A
	// process that restarts under its identity takes its lease back at once.
	Identity string
	// EventSink is K_SINK; empty sends no CDEvents. EventOverrides is K_CE_OVERRIDES.
	EventSink      string
	EventOverrides string
	// Concurrency is how many entries are processed at once.
	Concurrency int
	// MaxConcurrent bounds the runs of all triggers that run at once.
	MaxConcurrent int
	// Reserve is how many of these one namespace leaves to others; less than 0 is a fifth.
	Reserve int
	// LongestRun is how long after its request a run counts for MaxConcurrent.
	LongestRun time.Duration
	// SweepInterval is between two sweeps of a trigger; up to a tenth is added.
	SweepInterval time.Duration
	// GateWriteRate is how many bytes a second are written of what gates admit, on average
	// over five minutes.
	GateWriteRate int64
	// GateSplit is how many digests one object of a gate holds before there are sixteen.
	GateSplit int
	// CensusInterval is between two lists of all Pods, which tell what runs behind gates.
	CensusInterval time.Duration
}

// DefaultControllerOptions returns the defaults.
func DefaultControllerOptions() ControllerOptions {
	return ControllerOptions{
		Common: DefaultCommon(), Concurrency: 16, MaxConcurrent: 200,
		Reserve: aFifth, LongestRun: 2 * time.Hour,
		SweepInterval: imagetrigger.DefaultIntervals().Sweep,
		GateWriteRate: gate.DefaultBudgetRate, GateSplit: gate.DefaultSplit,
		CensusInterval: imagegate.DefaultCensusInterval,
	}
}

// FromEnvironment reads what Kubernetes and Knative put into a Pod's environment.
func (o *ControllerOptions) FromEnvironment(getenv func(string) string) {
	o.Common.FromEnvironment(getenv)
	for name, field := range map[string]*string{
		"POD_NAME":       &o.Identity,
		"K_SINK":         &o.EventSink,
		"K_CE_OVERRIDES": &o.EventOverrides,
	} {
		if value := getenv(name); value != "" {
			*field = value
		}
	}
}

// AddFlags adds the controller's flags.
func (o *ControllerOptions) AddFlags(flags *flag.FlagSet) {
	o.Common.AddFlags(flags)
	flags.StringVar(&o.HealthAddress, "address", o.HealthAddress, "an earlier name of --health-address")
	flags.StringVar(&o.Identity, "identity", o.Identity, "name of this process among those that may lead; default from POD_NAME")
	flags.StringVar(&o.EventSink, "event-sink", o.EventSink, "URL that CDEvents are sent to; default from K_SINK; empty sends none")
	flags.IntVar(&o.Concurrency, "concurrency", o.Concurrency, "how many entries are processed at once")
	flags.IntVar(&o.MaxConcurrent, "max-concurrent", o.MaxConcurrent, "how many runs of all ImageTriggers may run at once; each trigger's spec.maxConcurrent applies too")
	flags.IntVar(&o.Reserve, "reserve", o.Reserve, "how many runs of --max-concurrent no single namespace can take "+
		"while another one has ImageTriggers; -1 is a fifth, and at least one")
	flags.DurationVar(&o.LongestRun, "longest-run", o.LongestRun, "time from its request after which a run counts no longer for "+
		"--max-concurrent; it goes on, and counts for its ImageTrigger; at least 1m")
	flags.DurationVar(&o.SweepInterval, "sweep-interval", o.SweepInterval, "time between two sweeps, which find the pushes that no event brought; at least 1s")
	flags.Int64Var(&o.GateWriteRate, "gate-write-rate", o.GateWriteRate, "bytes a second that are written of what ImageGates admit, on average over five minutes; at least 65536")
	flags.DurationVar(&o.CensusInterval, "gate-census-interval", o.CensusInterval, "time between two lists of all Pods, which tell what runs behind ImageGates; between 1s and 4m")
	flags.IntVar(&o.GateSplit, "gate-split", o.GateSplit, "how many digests one object of an ImageGate holds before they are divided among sixteen; 12000 are 1.1 MB")
}

func (o ControllerOptions) validate() error {
	if o.Identity == "" {
		return fmt.Errorf("identity is empty; set POD_NAME to the Pod's name, or --identity")
	}
	if o.Concurrency < 1 || o.Concurrency > 1000 {
		return fmt.Errorf("concurrency %d is not between 1 and 1000", o.Concurrency)
	}
	if o.SweepInterval < shortestSweepInterval {
		return fmt.Errorf("sweep-interval %s is shorter than %s", o.SweepInterval, shortestSweepInterval)
	}
	if o.MaxConcurrent < 1 || o.MaxConcurrent > 100_000 {
		return fmt.Errorf("max-concurrent %d is not between 1 and 100000", o.MaxConcurrent)
	}
	if o.Reserve < aFifth || o.Reserve >= o.MaxConcurrent {
		return fmt.Errorf("reserve %d is not between %d and %d, which is less than max-concurrent", o.Reserve, aFifth, o.MaxConcurrent-1)
	}
	if o.LongestRun < shortestLongestRun {
		return fmt.Errorf("longest-run %s is shorter than %s", o.LongestRun, shortestLongestRun)
	}
	if o.GateWriteRate < leastGateWriteRate {
		return fmt.Errorf("gate-write-rate %d is less than %d, with which one large object takes longer than a digest may stay that failed", o.GateWriteRate, leastGateWriteRate)
	}
	if o.CensusInterval < time.Second || o.CensusInterval > longestCensusInterval {
		return fmt.Errorf("gate-census-interval %s is not between 1s and %s; after five minutes nobody knows what runs", o.CensusInterval, longestCensusInterval)
	}
	if o.GateSplit < 16 || o.GateSplit > gate.DefaultSplit {
		return fmt.Errorf("gate-split %d is not between 16 and %d", o.GateSplit, gate.DefaultSplit)
	}
	return o.Common.validate()
}

// aFifth is a reserve of a fifth of the bound of all triggers.
const aFifth = -1

// reserve returns how many slots no single namespace can take.
func (o ControllerOptions) reserve() int {
	if o.Reserve == aFifth {
		return max(o.MaxConcurrent/5, 1)
	}
	return o.Reserve
}

// shortestLongestRun is longer than any run takes to get its Pods.
const shortestLongestRun = time.Minute

// longestCensusInterval keeps a list of Pods from being too old before the next is there.
const longestCensusInterval = 4 * time.Minute

// leastGateWriteRate lets an object of 1.1 MB be written every 17 seconds.
const leastGateWriteRate = 64 << 10

// shortestSweepInterval keeps a cluster from being listed without a break.
const shortestSweepInterval = time.Second

const (
	// sinkTimeout bounds one request to a sink; it is far below a lease.
	sinkTimeout = 3 * time.Second
	// sinkDialTimeout bounds making a connection to a sink.
	sinkDialTimeout = time.Second
	// apiDialTimeout bounds connecting to the API server, and is how often an idle
	// connection is probed. Both are client-go's values.
	apiDialTimeout = 30 * time.Second
	// memoryInterval is how often unused memory is returned, which costs some
	// milliseconds of processor time.
	memoryInterval = time.Minute
	memoryFirst    = 10 * time.Second
	// kindRetry is how often the controller checks for a kind that is missing.
	kindRetry = 2 * time.Second
	// firstRetry and slowestRetry bound the time between two failing passes over an
	// entry. A new entry does not wait.
	firstRetry   = 5 * time.Millisecond
	slowestRetry = 30 * time.Second
)
