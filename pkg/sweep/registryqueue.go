package sweep

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// registryQueue holds what waits to ask registries, by the namespace of its trigger. The
// namespace with the least at work goes first, and of those with as little the one that waited
// longest for its round; within a namespace the oldest. So a registry that is slow or lists
// without end holds up the namespace whose triggers select it. It is safe for concurrent use.
//
// A namespace that used up its budget of time gets only what others leave: it goes last, and
// not beyond half of the workers. Then what waits there is put off, which the caller tells. So
// that some namespaces, each within its budget, do not take all workers, a quarter of these is for
// namespaces whose latest sweep was quick.
type registryQueue struct {
	now func() time.Time
	queueLimits

	mu      sync.Mutex
	changed *sync.Cond
	spaces  map[string]*queueSpace
	// quick are the namespaces whose latest sweep was quick, and when that was.
	quick  map[string]time.Time
	atWork int
	rounds int
}

const (
	// quickWithin is how long a sweep takes at most that is quick, and quickLimit how long it
	// may take after one that was, in a place that is for what is quick.
	quickWithin = 30 * time.Second
	quickLimit  = time.Minute
	// maxQuick bounds how many namespaces are kept that are, of about 100 bytes.
	maxQuick = 8192
)

// queueLimits bound what asks registries.
type queueLimits struct {
	// workers bounds what is at work, and each what is of one namespace.
	workers, each int
	// budget is how much time a namespace may use in each window.
	budget, window time.Duration
}

// queueSpace is a namespace's part of the queue.
type queueSpace struct {
	name    string
	waiting []*job
	atWork  int
	round   int
	// spent is the time that was used since the window began.
	began time.Time
	spent time.Duration
}

// job is one part of a trigger's sweep, as far as it asks registries.
type job struct {
	target *target
	part   string
	// putOff is when the trigger may be swept again, if its namespace used up its budget;
	// else zero.
	putOff time.Time
	// limit bounds the job, if it is not 0: it took a place that is for what is quick.
	limit time.Duration

	space *queueSpace
	began time.Time
}

func newRegistryQueue(limits queueLimits, now func() time.Time) *registryQueue {
	q := &registryQueue{now: now, queueLimits: limits, spaces: map[string]*queueSpace{}, quick: map[string]time.Time{}}
	q.changed = sync.NewCond(&q.mu)
	return q
}

// put adds a part of a trigger's sweep, in place of one that waits.
func (q *registryQueue) put(t *target, part string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.spaces[t.trigger.Namespace]
	if s == nil {
		s = &queueSpace{name: t.trigger.Namespace}
		q.spaces[s.name] = s
	}
	if len(s.waiting) == 0 {
		s.round = q.nextRound()
	}
	i := slices.IndexFunc(s.waiting, func(j *job) bool { return j.part == part && j.target.trigger.UID == t.trigger.UID })
	if i < 0 {
		s.waiting = append(s.waiting, &job{space: s})
		i = len(s.waiting) - 1
	}
	s.waiting[i].target, s.waiting[i].part = t, part
	q.changed.Signal()
}

// take waits for what is next. It returns nil once the context has ended. The caller calls done
// for each job, also for one that is put off.
func (q *registryQueue) take(ctx context.Context) *job {
	defer context.AfterFunc(ctx, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.changed.Broadcast()
	})()
	q.mu.Lock()
	defer q.mu.Unlock()
	for ctx.Err() == nil {
		if s := q.next(); s != nil {
			return q.begin(s)
		}
		q.changed.Wait()
	}
	return nil
}

// next returns the namespace whose round it is, or nil if nothing may begin.
func (q *registryQueue) next() *queueSpace {
	var best *queueSpace
	for _, s := range q.spaces {
		q.roll(s)
		switch {
		case len(s.waiting) == 0 && s.atWork == 0 && s.spent == 0:
			delete(q.spaces, s.name)
		case len(s.waiting) == 0 || s.atWork >= q.each || !q.hasRoom(s):
		case best == nil || q.before(s, best):
			best = s
		}
	}
	return best
}

// hasRoom reports whether workers are left for a namespace.
func (q *registryQueue) hasRoom(s *queueSpace) bool {
	_, quick := q.quick[s.name]
	return quick || q.hasOpen()
}

// hasOpen reports whether workers are left for everybody. The last quarter of them is for
// namespaces whose latest sweep was quick.
func (q *registryQueue) hasOpen() bool { return q.workers-q.atWork > q.workers/4 }

// ended remembers whether a namespace's sweep was quick.
func (q *registryQueue) ended(name string, took time.Duration) {
	delete(q.quick, name)
	if took > quickWithin {
		return
	}
	now := q.now()
	if len(q.quick) >= maxQuick {
		maps.DeleteFunc(q.quick, func(_ string, at time.Time) bool { return now.Sub(at) > q.window || now.Before(at) })
	}
	if len(q.quick) < maxQuick {
		q.quick[name] = now
	}
}

func (q *registryQueue) before(s, other *queueSpace) bool {
	switch {
	case q.over(s) != q.over(other):
		return q.over(other)
	case s.atWork != other.atWork:
		return s.atWork < other.atWork
	default:
		return s.round < other.round
	}
}

func (q *registryQueue) begin(s *queueSpace) *job {
	j := s.waiting[0]
	s.waiting = slices.Delete(s.waiting, 0, 1)
	s.round = q.nextRound()
	if !q.hasOpen() {
		j.limit = quickLimit
	}
	s.atWork++
	q.atWork++
	j.began = q.now()
	if q.over(s) && q.atWork > max(q.workers/2, q.each) {
		j.putOff = s.began.Add(q.window)
	}
	return j
}

// done ends a job, and counts its time.
func (q *registryQueue) done(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.roll(j.space)
	took := max(q.now().Sub(j.began), 0)
	j.space.spent += took
	if j.putOff.IsZero() {
		q.ended(j.space.name, took)
	}
	j.space.atWork--
	q.atWork--
	q.changed.Broadcast()
}

// over reports whether a namespace used up its budget.
func (q *registryQueue) over(s *queueSpace) bool { return s.spent >= q.budget }

// roll begins a new window once the old one is over. What a job used that began before counts
// where it ends.
func (q *registryQueue) roll(s *queueSpace) {
	if now := q.now(); now.Sub(s.began) >= q.window || now.Before(s.began) {
		s.began, s.spent = now, 0
	}
}

func (q *registryQueue) nextRound() int {
	q.rounds++
	return q.rounds
}
