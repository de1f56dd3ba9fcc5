//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/revet-dev/revet/test/gobuild"
	"github.com/revet-dev/revet/test/rig"
)

// Result is what became of one seed.
type Result struct {
	Seed uint64
	// Dir has the timeline and what the programs printed.
	Dir          string
	Faults       int
	Revet, Plain Account
	// Took is the time of the pushes and faults, Settle from the end of the last fault until nothing was under way.
	Took, Settle time.Duration
	// Settled says that Settle was within the limit.
	Settled bool
	// RevetRate and PlainRate are runs a second, from the first push to the last run.
	RevetRate, PlainRate float64
	// Coverage is what "kubectl revet coverage" printed.
	Coverage string
	// Tenant says what the hostile tenant had, if there was one.
	Tenant string
	// Troubles are the cases of that play.
	Troubles []TroubleResult
	// Gate is what became of that play; nil for others.
	Gate *GateResult
}

// Failed says what Revet promises and did not do.
func (r Result) Failed() bool {
	if r.Gate != nil {
		return len(r.Gate.Faults()) > 0
	}
	return len(r.Revet.Faults()) > 0 || !r.Settled || slices.ContainsFunc(r.Troubles, func(t TroubleResult) bool { return len(t.Faults()) > 0 })
}

// Run runs all seeds, one after another, and prints a table. Its error is the harness's own; what Revet did wrong is in
// the results.
func Run(ctx context.Context, o Options) ([]Result, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	build, run, report, table := build, runSeed, report, table
	if o.Play == Gate {
		build, run, report, table = buildGate, runGate, gateReport, gateTable
	}
	programs, err := build(ctx, o)
	if err != nil {
		return nil, err
	}
	var results []Result
	for _, seed := range o.Seeds {
		r, err := run(ctx, o, programs, seed)
		if err != nil {
			return results, fmt.Errorf("seed %d: %w", seed, err)
		}
		results = append(results, r)
		report(o, r)
	}
	table(o.Out, results)
	return results, nil
}

// programsDir is the folder, below that of the options, that Revet's programs are built into.
const programsDir = "bin"

func build(ctx context.Context, o Options) (rig.Programs, error) {
	dir := filepath.Join(o.Dir, programsDir)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return rig.Programs{}, err
	}
	product := gobuild.Source{Root: o.Root}
	if err := product.Into(ctx, dir, "./cmd/kubectl-revet"); err != nil {
		return rig.Programs{}, err
	}
	return rig.Build(ctx, o.Root, dir)
}

func runSeed(ctx context.Context, o Options, programs rig.Programs, seed uint64) (r Result, err error) {
	began := time.Now()
	w, err := newEnv(ctx, o, programs, seed)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, w.end()) }()
	_, _ = fmt.Fprintf(o.Out, "seed %d: both ways are up after %s; the timeline is %s/timeline.txt\n", seed, time.Since(began).Round(time.Second), w.timeline.dir)
	r = Result{Seed: seed, Dir: w.timeline.dir}
	running, stop := context.WithCancel(ctx)
	var followers sync.WaitGroup
	defer followers.Wait()
	defer stop()
	w.follow(running, &followers)

	if w.pusher, err = newPusher(seed, w.pushes.address(), w.timeline); err != nil {
		return r, err
	}
	w.timeline.begin()
	began = time.Now()
	reporting, quiet := context.WithCancel(running)
	go w.progress(reporting)
	r.Faults, err = plays[o.Play](w, running)
	quiet()
	r.Took = time.Since(began)
	if err != nil {
		return r, err
	}
	if err := w.calmOdd(ctx); err != nil {
		return r, err
	}
	w.timeline.note("calm", "all is pushed and the last fault is over")
	if err := w.settle(running, &r); err != nil {
		return r, err
	}
	if r.Troubles, err = w.recount(running); err != nil {
		return r, err
	}
	r.RevetRate, r.PlainRate = w.revetRuns.rate(began), w.plainRuns.rate(began)
	r.Coverage = w.coverage(running)
	r.Tenant, err = w.tenantsPart(running)
	return r, err
}

// rate is runs a second.
func (s *standIn) rate(began time.Time) float64 {
	number, last := s.seen()
	return float64(number) / last.Sub(began).Seconds()
}

// follow starts the stand-ins for Tekton, and what only watches for the timeline.
func (w *env) follow(ctx context.Context, all *sync.WaitGroup) {
	w.revetRuns, w.plainRuns = newStandIn(w, "revet", vetting), newStandIn(w, "plain", plainNamespace)
	notes := &notes{client: w.admin, timeline: w.timeline, known: map[string]string{}}
	all.Go(func() { w.revetRuns.run(ctx) })
	all.Go(func() { w.plainRuns.run(ctx) })
	all.Go(func() { notes.run(ctx) })
}

// disturb does the faults of the seed until the context ends, waits until the last is over, and says how many there were.
func (w *env) disturb(ctx context.Context) (number int) {
	only, none, err := ParseFaults(w.options.Faults)
	if err != nil || none {
		return 0 // an error was found by validate
	}
	return w.inflict(ctx, faultsOf(w.seed, only, w.options.Shape.Pushes), func(Fault) {})
}

// inflict does the faults of a script until the context ends, waits until the last is over, and
// says how many there were. It tells of each before it begins.
func (w *env) inflict(ctx context.Context, script *faults, tell func(Fault)) (number int) {
	began := time.Now()
	var active sync.WaitGroup
	for ; ; number++ {
		f := script.next()
		if !sleep(ctx, time.Until(began.Add(f.At))) {
			active.Wait()
			return number
		}
		active.Go(func() {
			tell(f)
			w.timeline.note("fault", "begins: %s", f)
			if err := w.targets[f.Target].do(f); err != nil {
				w.timeline.note("fault", "%s: %v", f, err)
			}
			w.timeline.note("fault", "is over: %s", f)
		})
	}
}

func (w *env) progress(ctx context.Context) {
	for began := time.Now(); sleep(ctx, 10*time.Second); {
		revet, _ := w.revetRuns.seen()
		plain, _ := w.plainRuns.seen()
		_, _ = fmt.Fprintf(w.options.Out, "seed %d: %3.0f s, %d pushed; runs seen: revet %d, plain %d\n",
			w.seed, time.Since(began).Seconds(), len(w.pusher.acknowledged()), revet, plain)
	}
}

const settlePoll = time.Second

// settle waits until nothing is under way, for as long as is allowed, and then whether it stays so: a run may be doubled late.
func (w *env) settle(ctx context.Context, r *Result) error {
	began := time.Now()
	for {
		looked := time.Now()
		o, err := w.gather(ctx, false)
		if err == nil {
			r.Revet, r.Plain = accountOf(o), plainAccountOf(o)
			r.Settle, r.Settled = looked.Sub(began), r.Revet.Settled()
		} else {
			w.timeline.note("account", "not yet: %v", err)
		}
		if r.Settled {
			break
		}
		if looked.Sub(began) > w.options.Limit {
			r.Settle = looked.Sub(began)
			return err
		}
		if !sleep(ctx, max(settlePoll, 2*time.Since(looked))) {
			return ctx.Err()
		}
	}
	w.timeline.note("account", "settled after %s", r.Settle)
	if !sleep(ctx, w.options.Quiet) {
		return ctx.Err()
	}
	o, err := w.gather(ctx, true)
	if err != nil {
		return fmt.Errorf("taking the account: %w", err)
	}
	r.Revet, r.Plain = accountOf(o), plainAccountOf(o)
	r.Settled = r.Revet.Settled()
	return nil
}
