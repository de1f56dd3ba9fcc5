package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/recorder"
	"github.com/revet-dev/revet/pkg/source"
)

// Options bound what a sweep may cost.
type Options struct {
	// Gather is how long a pass waits for further requests to serve with it.
	Gather time.Duration
	// Timeout bounds one pass over all streams, or one trigger's registries.
	Timeout time.Duration
	// ListTimeout bounds one list of a registry: a registry that lists without end must
	// not use up the time of the others.
	ListTimeout time.Duration
	// MaxListed bounds how many names of one list are kept, and MaxNames the bytes of all
	// names that the sweeps of one namespace keep.
	MaxListed int
	MaxNames  int
	// Workers is how many triggers ask registries at once, and WorkersEach how many of one
	// namespace.
	Workers     int
	WorkersEach int
	// Budget is how much time the triggers of a namespace may use with registries in each
	// Window, before those of others go first.
	Budget, Window time.Duration
	// StreamBudget is how much working time the triggers of a namespace may use in one pass
	// over the streams, and MaxPlaces how many streams and new pushes their results may keep,
	// each counted for each trigger, while another namespace has triggers.
	StreamBudget time.Duration
	MaxPlaces    int
	// MaxAge is how long the metrics show what a sweep saw.
	MaxAge time.Duration
	// Concurrency is how many repositories are compared and recorded at once.
	Concurrency int
}

// DefaultOptions returns what suits 10,000 streams.
func DefaultOptions() Options {
	return Options{
		Gather: 100 * time.Millisecond, Timeout: 10 * time.Minute, ListTimeout: 2 * time.Minute,
		MaxListed: 200_000, MaxNames: 16 << 20, MaxAge: time.Hour, Concurrency: 4,
		Workers: 8, WorkersEach: 2, Budget: 10 * time.Minute, Window: 10 * time.Minute,
		StreamBudget: 2 * time.Minute, MaxPlaces: 300_000,
	}
}

func (o Options) validate() error {
	switch {
	case o.Gather < 0:
		return fmt.Errorf("sweep options: Gather is %v; it must not be negative", o.Gather)
	case o.Timeout <= 0:
		return fmt.Errorf("sweep options: Timeout is %v; it must be positive", o.Timeout)
	case o.ListTimeout <= 0:
		return fmt.Errorf("sweep options: ListTimeout is %v; it must be positive", o.ListTimeout)
	case o.MaxListed < 1:
		return fmt.Errorf("sweep options: MaxListed is %d; it must be at least 1", o.MaxListed)
	case o.MaxNames < 1:
		return fmt.Errorf("sweep options: MaxNames is %d; it must be at least 1", o.MaxNames)
	case o.WorkersEach < 1 || o.Workers < o.WorkersEach:
		return fmt.Errorf("sweep options: Workers is %d and WorkersEach %d; they must be positive, and Workers not be less", o.Workers, o.WorkersEach)
	case o.StreamBudget <= 0 || o.MaxPlaces < 1:
		return fmt.Errorf("sweep options: StreamBudget is %v and MaxPlaces %d; they must be positive", o.StreamBudget, o.MaxPlaces)
	case o.Budget <= 0 || o.Window <= 0:
		return fmt.Errorf("sweep options: Budget is %v and Window %v; they must be positive", o.Budget, o.Window)
	case o.MaxAge <= 0:
		return fmt.Errorf("sweep options: MaxAge is %v; it must be positive", o.MaxAge)
	case o.Concurrency < 1:
		return fmt.Errorf("sweep options: Concurrency is %d; it must be at least 1", o.Concurrency)
	}
	return nil
}

// Dependencies are what a Sweeper works with. Without a Registry no registry is swept, and
// each trigger that selects one says so.
type Dependencies struct {
	Cluster  Cluster
	Images   Images
	Registry Registry
	Ledger   Ledger
	Examiner Examiner
	Metrics  *Metrics
	Log      *zap.Logger
	Now      func() time.Time
	// Done is called for each trigger whose sweep has ended.
	Done func(types.NamespacedName)
}

// Sweeper sweeps on request. It is safe for concurrent use.
type Sweeper struct {
	Dependencies
	options  Options
	began    time.Time
	recorder *recorder.Recorder
	access   *access
	streams  *queue
	remote   *registryQueue
	names    *names

	mu     sync.Mutex
	states map[types.UID]*state
}

// state holds one trigger's sweeps.
type state struct {
	namespace  string
	generation int64
	// waiting counts the parts that have not ended yet.
	waiting int
	current Result
	latest  *Result
}

// New returns a Sweeper that does nothing before Run.
func New(d Dependencies, o Options) (*Sweeper, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if d.Cluster == nil || d.Images == nil || d.Ledger == nil || d.Examiner == nil || d.Metrics == nil || d.Log == nil || d.Now == nil || d.Done == nil {
		return nil, errors.New("sweep: a dependency other than Registry is missing")
	}
	d.Metrics.showFor(o.MaxAge, d.Now)
	return &Sweeper{
		Dependencies: d,
		options:      o,
		began:        d.Now(),
		recorder:     recorder.New(recorder.Dependencies{Ledger: d.Ledger, Metrics: d.Metrics.Metrics, Log: d.Log, Now: d.Now}),
		access:       newAccess(d.Cluster, d.Now),
		streams:      newQueue(),
		remote: newRegistryQueue(queueLimits{
			workers: o.Workers, each: o.WorkersEach, budget: o.Budget, window: o.Window,
		}, d.Now),
		names:  newNames(o.MaxNames),
		states: map[types.UID]*state{},
	}, nil
}

// Run serves requests until the context ends.
func (s *Sweeper) Run(ctx context.Context) {
	var loops sync.WaitGroup
	loops.Go(func() { s.workStreams(ctx) })
	for range s.options.Workers {
		loops.Go(func() {
			for j := s.remote.take(ctx); j != nil; j = s.remote.take(ctx) {
				s.askRegistries(ctx, j)
				s.remote.done(j)
			}
		})
	}
	loops.Wait()
}

// workStreams serves all requests that wait together. Of pushes that only a registry can tell
// about, those who ask registries go on.
func (s *Sweeper) workStreams(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.streams.wake:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.options.Gather):
		}
		for _, t := range s.sweepStreams(ctx, s.streams.take()) {
			if len(t.doubtful.pushes) > 0 {
				s.remote.put(t, partStreams)
				continue
			}
			s.finish(ctx, partStreams, t)
		}
	}
}

// askRegistries does what a trigger's sweep needs registries for.
func (s *Sweeper) askRegistries(ctx context.Context, j *job) {
	t := j.target
	asking, cancel := ctx, context.CancelFunc(func() {})
	if j.limit > 0 {
		asking, cancel = context.WithTimeout(ctx, j.limit)
	}
	defer cancel()
	why := fmt.Sprintf("the sweeps of namespace %q took more than %s of the time that there is for registries", t.trigger.Namespace, s.options.Budget)
	switch {
	case j.part == partStreams && !j.putOff.IsZero():
		for _, p := range t.doubtful.pushes {
			t.tally.show(placeOf(p), notRead(1))
		}
		t.tally.putOff(why, j.putOff)
	case j.part == partStreams:
		s.resolveDoubts(asking, t)
	case !j.putOff.IsZero():
		t = t.begin(s.Now())
		t.tally.putOff(why, j.putOff)
	default:
		t = s.sweepRegistries(asking, t)
	}
	s.finish(ctx, j.part, t)
}

// Request asks for a sweep of the trigger as it is now, and returns at once. It does not
// change the trigger, which may come from a cache.
func (s *Sweeper) Request(trigger *v1alpha1.ImageTrigger) {
	var streams, remote bool
	t, err := newTarget(trigger)
	if err == nil {
		streams, _ = t.selector.SelectsStreams()
		remote = len(t.selector.Hosts()) > 0
	}
	s.mu.Lock()
	st := s.states[trigger.UID]
	if st != nil && st.waiting > 0 && st.generation == trigger.Generation {
		s.mu.Unlock()
		return // one is under way
	}
	if st == nil {
		st = &state{namespace: trigger.Namespace}
		s.states[trigger.UID] = st
	}
	if t != nil {
		t.respecified = st.latest != nil && st.latest.Generation != trigger.Generation
	}
	st.generation, st.waiting = trigger.Generation, 0
	for _, part := range []bool{streams, remote} {
		if part {
			st.waiting++
		}
	}
	st.current = Result{Generation: trigger.Generation, StartedAt: s.Now()}
	switch key := (types.NamespacedName{Namespace: trigger.Namespace, Name: trigger.Name}); {
	case err != nil:
		s.Metrics.unknown(trigger.UID, key, SelectorInvalid)
	case st.latest == nil || st.latest.Generation != trigger.Generation:
		s.Metrics.unknown(trigger.UID, key, NotSwept)
	}
	s.mu.Unlock()
	if streams {
		s.streams.put(t)
	}
	if remote {
		s.remote.put(t, partRegistries)
	}
}

// Once sweeps triggers and returns the result of each, in their order. It needs neither Run
// nor Request, and Latest does not show its results.
func (s *Sweeper) Once(ctx context.Context, triggers ...*v1alpha1.ImageTrigger) []Result {
	results := make([]Result, len(triggers))
	var streams []*target
	var of []int
	for i, trigger := range triggers {
		results[i] = Result{Generation: trigger.Generation, StartedAt: s.Now()}
		t, err := newTarget(trigger)
		if err != nil {
			bad := tally{account: source.AccountOf(trigger)}
			bad.fail(SelectorInvalid, err, false)
			results[i].add(bad.result())
			continue
		}
		if selects, _ := t.selector.SelectsStreams(); selects {
			streams, of = append(streams, t), append(of, i)
		}
		if len(t.selector.Hosts()) > 0 {
			results[i].add(s.sweepRegistries(ctx, t).tally.result())
		}
	}
	if len(streams) > 0 {
		for n, t := range s.sweepStreams(ctx, streams) {
			s.resolveDoubts(ctx, t)
			results[of[n]].add(t.tally.result())
		}
	}
	for i := range results {
		results[i].FinishedAt = s.Now()
	}
	return results
}

// Latest returns the result of the trigger's latest sweep, and whether another one is under
// way.
func (s *Sweeper) Latest(uid types.UID) (latest *Result, underWay bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.states[uid]
	if st == nil {
		return nil, false
	}
	return st.latest, st.waiting > 0
}

// Forget drops the sweeps of a trigger that is gone, or that another process leads.
func (s *Sweeper) Forget(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.states, uid)
	s.Metrics.forget(uid)
}

// finish adds the outcome of one part to the trigger's result.
func (s *Sweeper) finish(ctx context.Context, part string, t *target) {
	now := s.Now()
	r := t.tally.result()
	s.Metrics.swept(ctx, part, r.Reason, now.Sub(t.started))
	if r.Reason != "" {
		s.Log.Warn("a sweep did not see everything", zap.String("trigger", t.trigger.Name), zap.String("namespace", t.trigger.Namespace),
			zap.String("reason", r.Reason), zap.String("message", r.Message))
	}
	s.mu.Lock()
	st := s.states[t.trigger.UID]
	if st == nil || st.generation != t.trigger.Generation || st.waiting == 0 {
		s.mu.Unlock()
		return // of a spec that is no more
	}
	st.current.add(r)
	st.current.FinishedAt = now
	st.waiting--
	done := st.waiting == 0
	key := types.NamespacedName{Namespace: t.trigger.Namespace, Name: t.trigger.Name}
	if done {
		result := st.current
		result.Baselines = slices.Clone(result.Baselines)
		if result.Retry && st.latest != nil && st.latest.Retry {
			result.Retries = st.latest.Retries + 1
		}
		st.latest = &result
		s.Metrics.report(t.trigger.UID, key, result)
	}
	s.mu.Unlock()
	if done {
		s.Done(key)
	}
}
