//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/gobuild"
	"github.com/revet-dev/revet/test/rig"
)

// gatePlay is one seed of the play gate.
type gatePlay struct {
	*env
	script *gateScript
	book   *gateBook
	clock  *leadClock
	prober *prober
	result *GateResult

	mu sync.Mutex // of result.Kills and LeaderKills
}

// buildGate builds the one program that the play needs.
func buildGate(ctx context.Context, o Options) (rig.Programs, error) {
	dir := filepath.Join(o.Dir, programsDir)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return rig.Programs{}, err
	}
	programs := rig.Programs{Controller: filepath.Join(dir, "controller")}
	return programs, gobuild.Source{Root: o.Root}.Into(ctx, dir, "./cmd/controller")
}

// runGate runs one seed.
func runGate(ctx context.Context, o Options, programs rig.Programs, seed uint64) (r Result, err error) {
	began := time.Now()
	p, err := newGatePlay(ctx, o, programs, seed)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	_, _ = fmt.Fprintf(o.Out, "seed %d: the gate is in force after %s; the timeline is %s/timeline.txt\n",
		seed, time.Since(began).Round(time.Second), p.timeline.dir)
	r = Result{Seed: seed, Dir: p.timeline.dir, Gate: p.result}
	running, stop := context.WithCancel(ctx)
	var followers sync.WaitGroup
	defer followers.Wait()
	defer stop()
	followers.Go(func() { p.followLease(running) })
	followers.Go(func() { p.runClock(running) })
	p.timeline.begin()
	began = time.Now()
	rest := p.tryOn(running)
	defer rest()
	r.Faults, err = p.play(running, began)
	r.Took = time.Since(began)
	if err != nil {
		return r, err
	}
	p.result.Led, p.result.Takeovers = p.clock.now().led, p.clock.takeovers()
	p.timeline.note("calm", "the last verdict is written and the last fault is over")
	err = p.settle(running)
	rest()
	r.Settle, r.Settled = p.result.Settle, p.result.Settled
	if err != nil || !r.Settled {
		return r, err
	}
	return r, p.confirm(running)
}

// probers is how many try Pods at once.
const probers = 3

// tryOn tries Pods until the returned function is called, or the context ends.
func (p *gatePlay) tryOn(ctx context.Context) (rest func()) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	for n := range probers {
		all.Go(func() { p.prober.run(ctx, source(p.seed, gateSource+1+uint64(n))) }) //nolint:gosec // it is small
	}
	return func() {
		cancel()
		all.Wait()
	}
}

// play turns verdicts and does faults at the same time.
func (p *gatePlay) play(ctx context.Context, began time.Time) (faults int, err error) {
	only, none, err := ParseFaults(p.options.Faults)
	if err != nil {
		return 0, err
	}
	ledger, err := p.ledger(ctx, began)
	if err != nil {
		return 0, err
	}
	faulty, calm := context.WithCancel(ctx)
	defer calm()
	var others sync.WaitGroup
	if !none {
		others.Go(func() { faults = p.inflict(faulty, gateFaultsOf(p.seed, only), p.noteFault) })
	}
	others.Go(func() { p.progressOfGate(faulty) })
	err = ledger.all(ctx, p.script)
	calm()
	others.Wait()
	return faults, err
}

// noteFault counts the kills.
func (p *gatePlay) noteFault(f Fault) {
	leads := p.clock.leader() == f.Target
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.Action != Kill {
		return
	}
	p.result.Kills[f.Target]++
	if leads {
		p.result.LeaderKills++
		p.timeline.note("fault", "%s leads", f.Target)
	}
}

func (p *gatePlay) progressOfGate(ctx context.Context) {
	for began := time.Now(); sleep(ctx, 10*time.Second); {
		t := p.prober.tries
		t.mu.Lock()
		_, _ = fmt.Fprintf(p.options.Out, "seed %d: %3.0f s; tries: %d, answered: %d, admitted: %d, wrongly: %d, too late: %d\n",
			p.seed, time.Since(began).Seconds(), t.All, t.Answered, t.Admitted, len(t.Wrong), len(t.Late))
		t.mu.Unlock()
	}
}

// followLease keeps the clock informed.
func (p *gatePlay) followLease(ctx context.Context) {
	follow(ctx, p.admin, &coordinationv1.LeaseList{}, systemNamespace, func(o client.Object) {
		l := o.(*coordinationv1.Lease)
		s := l.Spec
		if !strings.Contains(l.Name, "imagegate") || s.HolderIdentity == nil || s.RenewTime == nil || s.LeaseDurationSeconds == nil {
			return
		}
		length := time.Duration(*s.LeaseDurationSeconds) * time.Second
		held := heldBy{*s.HolderIdentity, s.RenewTime.Time, length}
		if p.clock.saw(held) {
			p.timeline.note("lease", "%s holds %s", held.holder, l.Name)
		}
	})
}

const clockTick = 100 * time.Millisecond

func (p *gatePlay) runClock(ctx context.Context) {
	for sleep(ctx, clockTick) {
		p.clock.tick(time.Now())
	}
}

// upSince says since when a controller runs.
func (p *gatePlay) upSince(name string) (time.Time, bool) {
	t := p.targets[name]
	if t == nil {
		return time.Time{}, false
	}
	return t.parts[0].upSince()
}

// settle waits until map and ledger are equal, for as long as is allowed.
func (p *gatePlay) settle(ctx context.Context) error {
	for began := time.Now(); ; {
		s, err := p.look(ctx)
		if err == nil {
			p.result.Differences, err = p.compare(s)
		}
		if err != nil {
			p.timeline.note("account", "not yet: %v", err)
		}
		p.result.Settle = time.Since(began)
		if err == nil && len(p.result.Differences) == 0 {
			p.result.Settled = true
			p.timeline.note("account", "settled after %s", p.result.Settle)
			return nil
		}
		if p.result.Settle > p.options.Limit {
			if err != nil {
				p.result.Differences = []string{err.Error()}
			}
			return nil
		}
		if !sleep(ctx, settlePoll) {
			return ctx.Err()
		}
	}
}

// confirm waits whether map and ledger stay equal, and tries everything.
func (p *gatePlay) confirm(ctx context.Context) error {
	if !sleep(ctx, p.options.Quiet) {
		return ctx.Err()
	}
	s, err := p.look(ctx)
	if err != nil {
		return fmt.Errorf("taking the account: %w", err)
	}
	if p.result.Differences, err = p.compare(s); err != nil {
		return err
	}
	p.result.Shards = s.gate.Status.Shards
	p.result.Refused, err = p.prober.final(ctx, s)
	return err
}

// compare says where map, ledger and what was written differ.
func (p *gatePlay) compare(s *gateState) ([]string, error) {
	all, err := s.differences(p.script.running)
	if err != nil {
		return nil, err
	}
	return append(all, s.ledgerFaults(p.book.outcomes())...), nil
}

// look reads what there is.
func (p *gatePlay) look(ctx context.Context) (*gateState, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	s := &gateState{gate: &v1alpha1.ImageGate{}, triggers: map[string]string{}, at: time.Now()}
	if err := p.admin.Get(ctx, client.ObjectKey{Name: gateName}, s.gate); err != nil {
		return nil, err
	}
	if err := enforced(s.gate); err != nil {
		return nil, err
	}
	var triggers v1alpha1.ImageTriggerList
	var entries v1alpha1.ImageVerificationList
	var images v1alpha1.VerifiedImagesList
	for _, list := range []client.ObjectList{&triggers, &entries, &images} {
		if err := p.admin.List(ctx, list); err != nil {
			return nil, err
		}
	}
	for i := range triggers.Items {
		s.triggers[triggers.Items[i].Name] = string(triggers.Items[i].UID)
	}
	s.entries, s.images = entries.Items, images.Items
	return s, nil
}
