package imagegate

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/running"
)

const (
	// DefaultCensusInterval is between two lists of all Pods.
	DefaultCensusInterval = time.Minute
	// censusGap is between two lists of Pods at least. It grows with the time that one
	// takes, and with failures.
	censusGap = 5 * time.Second
	// censusTimeout bounds one list of all Pods.
	censusTimeout = 5 * time.Minute
)

// Scope says by which spec a gate judges, and which namespaces it leaves alone.
type Scope struct {
	UID        types.UID
	Generation int64
	gate.Exclusion
}

// Turns tells others that the verdict of something that runs turned.
type Turns interface {
	// SendTurn returns in refused that nobody will ever take the event, and in err why to
	// try again.
	SendTurn(ctx context.Context, t running.Turn) (refused, err error)
}

// ObserverOptions are what an Observer works with.
type ObserverOptions struct {
	// Live lists Pods and workloads, in pages.
	Live client.Reader
	// Cached reads gates, and metadata of namespaces.
	Cached client.Reader
	// Scopes returns the gates that this process leads and has rules for, by name.
	Scopes func() map[string]Scope
	// Judge says what a gate concludes about a digest, given as sha256:hex; false if this
	// process does not lead it any more.
	Judge func(gate, digest string) (gate.Finding, bool)
	// Changed is called when there is something new to report of a gate.
	Changed func(gate string)
	// Turns may be nil: then nobody but Events tells of turns.
	Turns    Turns
	Recorder record.EventRecorder
	Metrics  *RunningMetrics
	Log      *zap.Logger
	Now      func() time.Time
	// Interval is between two lists of all Pods.
	Interval time.Duration
	// Settle is how long policies are in force before every API server knows of them.
	Settle time.Duration
}

func (o ObserverOptions) validate() error {
	switch {
	case o.Live == nil, o.Cached == nil, o.Scopes == nil, o.Judge == nil, o.Changed == nil:
		return errors.New("the observer of gates lacks a reader or a reconciler")
	case o.Recorder == nil, o.Metrics == nil, o.Log == nil, o.Now == nil:
		return errors.New("the observer of gates lacks a recorder, metrics, a log or a clock")
	case o.Interval <= 0, o.Settle <= 0:
		return errors.New("the intervals of the observer of gates are not positive")
	default:
		return nil
	}
}

// Observer finds out what runs behind the gates that this process leads. It writes nothing:
// the reconciler asks it for a report, and writes that.
type Observer struct {
	ObserverOptions
	wakeCensus, wakeGlass, wakeTemplates chan struct{}

	mu    sync.Mutex
	gates map[string]*observed
	glass glassLog
}

var _ Running = (*Observer)(nil)

// observed is what an Observer keeps of one gate.
type observed struct {
	uid types.UID
	// report is what the reconciler gets. Its maps are replaced, never changed.
	report RunningReport
	turns  turnState
	glass  glassState
	guard  guardState
}

// NewObserver returns an Observer that has seen nothing yet.
func NewObserver(o ObserverOptions) (*Observer, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	obs := &Observer{
		ObserverOptions: o, gates: map[string]*observed{}, glass: newGlassLog(),
		wakeCensus: make(chan struct{}, 1), wakeGlass: make(chan struct{}, 1), wakeTemplates: make(chan struct{}, 1),
	}
	return obs, o.Metrics.watch(obs)
}

// wake asks a loop for another round. Asking again before it came costs nothing.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// of returns what is kept of a gate. Whoever asks first, it goes on from what the status says
// was counted and told.
func (o *Observer) of(g *v1alpha1.ImageGate) *observed {
	s := o.gates[g.Name]
	if s == nil || s.uid != g.UID {
		s = &observed{uid: g.UID, glass: o.glass.start(), turns: turnState{before: toldBy(g.Status.Running)}}
		s.glass.adopt(g.Status.BreakGlass)
		o.gates[g.Name] = s
		wake(o.wakeGlass)
	}
	return s
}

// Report returns what was seen last.
func (o *Observer) Report(g *v1alpha1.ImageGate) RunningReport {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.of(g)
	s.glass.adopt(g.Status.BreakGlass)
	r := s.report
	r.Running.ToldAt = s.turns.shown()
	r.BreakGlass, r.TemplatesListed = s.glass.status, s.guard.mark
	return r
}

// Concluded has the Pods listed at once if a digest that runs lost its verdict.
func (o *Observer) Concluded(name, hex string, f gate.Finding) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.gates[name]
	if s == nil {
		return
	}
	now := running.OfFinding(f)
	if before, runs := s.turns.told[hex]; runs && before.standing != now && (now == running.Failed || now == running.Expired) {
		wake(o.wakeCensus)
	}
}

// Recall takes over what the process before this one wrote of a gate.
func (o *Observer) Recall(g *v1alpha1.ImageGate, written *v1alpha1.VerifiedImages) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.of(g).turns.recall(written)
}

// Run looks until the context ends.
func (o *Observer) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	loops.Go(func() { o.runCensus(ctx) })
	loops.Go(func() { o.runGlass(ctx) })
	loops.Go(func() { o.runTemplates(ctx) })
	loops.Wait()
	return nil
}

// runCensus lists the Pods every interval, and sooner if it is asked to. Whatever happens,
// it rests between two lists for as long as one took.
func (o *Observer) runCensus(ctx context.Context) {
	gap, failures := min(censusGap, o.Interval), 0
	for {
		began := time.Now()
		result := o.census(ctx)
		o.sendTurns(ctx)
		took := time.Since(began)
		switch result {
		case nothingLed:
			if !await(ctx, o.wakeCensus, o.Interval) {
				return
			}
		case censusTaken:
			failures = 0
			rest := max(gap, took)
			if !pause(ctx, rest) || !await(ctx, o.wakeCensus, o.Interval-rest) {
				return
			}
		default:
			if !pause(ctx, max(min(gap<<failures, o.Interval), took)) {
				return
			}
			failures = min(failures+1, 10)
		}
	}
}

// pause waits, and reports false if the context ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// await waits for a wake-up, at most for d. It reports false if the context ended.
func await(ctx context.Context, wake chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wake:
	case <-timer.C:
	}
	return ctx.Err() == nil
}

// led returns the gates that this process leads, and forgets others.
func (o *Observer) led() map[string]Scope {
	scopes := o.Scopes()
	o.mu.Lock()
	defer o.mu.Unlock()
	maps.DeleteFunc(o.gates, func(name string, s *observed) bool {
		scope, leads := scopes[name]
		return !leads || (scope.UID != "" && scope.UID != s.uid)
	})
	return scopes
}
