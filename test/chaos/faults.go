package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Action is what a fault does to its target.
type Action string

// The actions of faults.
const (
	Kill    Action = "kill"    // kill -9, and a start after the fault's length
	Pause   Action = "pause"   // kill -STOP, and -CONT after the fault's length
	Restart Action = "restart" // SIGTERM, kill -9 if that is not enough, and a start at once
	Refuse  Action = "refuse"  // its connections are closed, and none is taken, for the fault's length
	Stall   Action = "stall"   // nothing gets through its connections for the fault's length
)

// Fault is one fault of a script.
type Fault struct {
	At     time.Duration
	Length time.Duration
	Target string
	Action Action
}

func (f Fault) String() string {
	return fmt.Sprintf("%s %s for %s", f.Action, f.Target, f.Length.Round(10*time.Millisecond))
}

// weights of targets and actions. A target that has several processes, one for each way, has the fault in all at once.
var (
	targetWeights = []weighted{
		{"adapter", 4}, {"sink", 4}, {"receiver-1", 2}, {"receiver-2", 2}, {"receiver-3", 2},
		{"controller-1", 3}, {"controller-2", 3}, {"registry", 2}, {"apiserver", 3},
	}
	actionWeights = []weighted{{string(Kill), 4}, {string(Pause), 3}, {string(Restart), 2}, {string(Refuse), 2}, {string(Stall), 3}}
)

type weighted struct {
	name   string
	weight int
}

// allowed returns the weights that a list of names leaves. A list that names none of these leaves all of them.
func allowed(all []weighted, only []string) []weighted {
	left := slices.DeleteFunc(slices.Clone(all), func(w weighted) bool { return !slices.Contains(only, w.name) })
	if len(left) == 0 {
		return all
	}
	return left
}

// RegistryOdd is a fault of its own kind: for the whole run, Revet sees the registry behind a front
// that answers HEAD with 405, names wrong Content-Types, serves short pages and cuts answers off, a
// different one each second. A second ImageTrigger verifies that registry by its notifications. The
// name alone in a list means no other fault; "all" does not include it.
const RegistryOdd = "registry-odd"

// HostileTenant is a fault of its own kind too: for the whole run, a namespace that is no part of
// the account has hundreds of triggers that select everybody's streams with accounts that do not
// exist, runs that never end, one digest under ever more tags, forged events, and connections that
// it holds. The name alone, or beside [RegistryOdd], means no other fault; "all" does not include it.
const HostileTenant = "tenant"

// takeOwn takes [RegistryOdd] and [HostileTenant] out of a list.
func takeOwn(list string) (rest string, odd, tenant bool) {
	var others []string
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		switch name {
		case RegistryOdd:
			odd = true
		case HostileTenant:
			tenant = true
		default:
			others = append(others, name)
		}
	}
	if (odd || tenant) && len(others) == 0 {
		return "none", odd, tenant
	}
	return strings.Join(others, " "), odd, tenant
}

// ParseFaults reads a list of targets and actions, "all" or "none", and [RegistryOdd] and [HostileTenant] beside them.
func ParseFaults(list string) (only []string, none bool, err error) {
	list, _, _ = takeOwn(list)
	if list == "all" || list == "" {
		return nil, false, nil
	}
	if list == "none" {
		return nil, true, nil
	}
	known := slices.Concat(targetWeights, actionWeights)
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		if !slices.ContainsFunc(known, func(w weighted) bool { return w.name == name }) {
			return nil, false, fmt.Errorf("%q is neither a target nor an action; say all, none, %s, %s, or some of %v", name, RegistryOdd, HostileTenant, known)
		}
		only = append(only, name)
	}
	return only, false, nil
}

func (w weighted) String() string { return w.name }

// Times of faults.
const (
	every = time.Second
	// recovery is how long a target is left alone after a fault: it has to come up, and may fail again right then.
	recovery = 2 * time.Second
	// An API server takes seconds to start, and nothing makes progress before.
	apiRecovery = 15 * time.Second
	// What it holds has to be listed by everybody then, and the registry by the bridge: of more pushes than these, each
	// takes its time, or nothing would ever make progress again.
	apiPushes       = 1000
	apiRecoveryEach = 10 * time.Millisecond
)

// apiRecoveryOf is how long the API server is left alone in a run of so many pushes.
func apiRecoveryOf(pushes int) time.Duration {
	return apiRecovery + time.Duration(max(pushes-apiPushes, 0))*apiRecoveryEach
}

// faults writes the faults of a seed, one each second. What it writes does not depend on how long it is asked.
type faults struct {
	random           *rand.Rand
	targets, actions []weighted
	at, every        time.Duration
	// spread is by how much the time between two faults may be longer than every.
	spread      time.Duration
	busyUntil   map[string]time.Duration
	apiRecovery time.Duration
}

func faultsOf(seed uint64, only []string, pushes int) *faults {
	return &faults{
		apiRecovery: apiRecoveryOf(pushes),
		random:      source(seed, faultSource),
		targets:     allowed(targetWeights, only), actions: allowed(actionWeights, only),
		at: every, every: every, busyUntil: map[string]time.Duration{},
	}
}

// gateTargets are those of the play gate. Between two faults there is time for a controller to lead.
var gateTargets = []weighted{{"controller-1", 3}, {"controller-2", 3}, {"apiserver", 2}}

const (
	gateEvery  = 4 * time.Second
	gateSpread = 16 * time.Second
)

// gateFaultsOf are the faults of the play gate: kills, unless a list names other actions.
func gateFaultsOf(seed uint64, only []string) *faults {
	f := faultsOf(seed, only, 0)
	f.targets, f.at, f.every, f.spread = allowed(gateTargets, only), gateEvery, gateEvery, gateSpread
	if only == nil {
		f.actions = []weighted{{string(Kill), 1}}
	}
	return f
}

// next returns the next fault. A moment at which all targets have one is passed over.
func (f *faults) next() Fault {
	for {
		at := f.at
		f.at += f.every
		if f.spread > 0 {
			f.at += time.Duration(f.random.Int64N(int64(f.spread)))
		}
		free := slices.DeleteFunc(slices.Clone(f.targets), func(w weighted) bool { return at < f.busyUntil[w.name] })
		if len(free) == 0 {
			continue
		}
		fault := Fault{At: at, Target: f.draw(free), Action: Action(f.draw(f.actions))}
		fault.Length = f.length(fault.Action)
		f.busyUntil[fault.Target] = at + fault.Length + recovery
		if fault.Target == "apiserver" {
			f.busyUntil[fault.Target] += f.apiRecovery
		}
		return fault
	}
}

func (f *faults) draw(from []weighted) string { return drawOf(f.random, from) }

func drawOf(random *rand.Rand, from []weighted) string {
	total := 0
	for _, w := range from {
		total += w.weight
	}
	n := random.IntN(total)
	for _, w := range from {
		if n -= w.weight; n < 0 {
			return w.name
		}
	}
	panic("a draw is less than the sum of what it is from")
}

func (f *faults) length(a Action) time.Duration {
	least, most := time.Second, 6*time.Second
	switch a {
	case Kill:
		least, most = 500*time.Millisecond, 3*time.Second
	case Restart:
		return 0
	case Pause, Refuse, Stall:
	}
	return least + time.Duration(f.random.Int64N(int64(most-least)))
}
