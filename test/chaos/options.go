package chaos

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// Options of a run.
type Options struct {
	// Root is the repository's folder.
	Root string
	// Dir receives a folder for each seed, with the timeline and what the programs print.
	Dir string
	// Out receives progress and the table.
	Out    io.Writer
	Seeds  []uint64
	Shape  Shape
	Faults string
	// Play is what happens: see the constants.
	Play Play
	// SweepInterval is given to the controllers, if their program has the flag.
	SweepInterval time.Duration
	// Limit is how long after the last fault everything has to be final.
	Limit time.Duration
	// Quiet is how long nothing more may happen after that: a sweep, and the time after which a request is sent again.
	Quiet time.Duration
	// Cases are those of [Trouble]: "all", or some.
	Cases string
	// For is how long each of them stays broken, if not 0.
	For time.Duration
	// Keep leaves the data of etcd and registry.
	Keep bool
}

// DefaultOptions are those of "make chaos".
func DefaultOptions() Options {
	return Options{
		Seeds: []uint64{1}, Shape: Shape{Pushes: 1000, Streams: 20, Tags: 10, Rate: 10}, Faults: "all", Play: Random,
		SweepInterval: 15 * time.Second, Limit: 120 * time.Second, Quiet: 20 * time.Second,
	}
}

func (o Options) validate() error {
	switch {
	case o.Root == "" || o.Dir == "":
		return errors.New("chaos: Root or Dir is empty: name the repository's folder and one for timelines")
	case o.Out == nil:
		return errors.New("chaos: Out is nil: say where progress goes to")
	case len(o.Seeds) == 0:
		return errors.New("chaos: there is no seed")
	case o.Shape.Pushes < 1 || o.Shape.Streams < namespaces || o.Shape.Tags < 1 || o.Shape.Rate <= 0:
		return fmt.Errorf("chaos: %+v: there has to be a push, a tag, a rate, and at least %d streams", o.Shape, namespaces)
	}
	switch o.Play {
	case Random, AdapterDown, Burst, LeaderStopped, Trouble, Gate:
	default:
		return fmt.Errorf("chaos: no play is called %q; there are %q", o.Play, []Play{Random, AdapterDown, Burst, LeaderStopped, Trouble, Gate})
	}
	if _, err := parseCases(o.Cases); err != nil {
		return err
	}
	_, _, err := ParseFaults(o.Faults)
	return err
}

// How long things stay broken by default.
const (
	listenerBroken = 2 * time.Minute
	otherBroken    = 30 * time.Second
)

// brokenFor is how long a case lasts.
func (o Options) brokenFor(name string) time.Duration {
	switch {
	case o.For > 0:
		return o.For
	case name == Listener:
		return listenerBroken
	default:
		return otherBroken
	}
}

// Play is what happens between the first push and the account.
type Play string

// The plays.
const (
	// Random makes the pushes and faults of the seed.
	Random Play = "random"
	// AdapterDown takes the adapters down while 50 pushes happen over 3 tags, 10 of them on one tag.
	AdapterDown Play = "adapter-down"
	// Burst writes all pushes at once, as objects: the registry would be what is measured. There are no faults.
	Burst Play = "burst"
	// LeaderStopped stops the leading controller for a minute while the seed's pushes happen, and lets it go on.
	LeaderStopped Play = "leader-stopped"
	// Trouble breaks and mends the EventListener, its rights, its template, its binding and the RuntimeClass, one after
	// another, and makes that many pushes to each. See the cases.
	Trouble Play = "trouble"
	// Gate turns as many verdicts as there would be pushes, behind a gate in mode Deny, while the controllers and the API
	// server are killed. Nothing is pushed.
	Gate Play = "gate"
)
