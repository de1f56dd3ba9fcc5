package intake

import (
	"context"
	"sync"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/recorder"
)

// recordConcurrency is the default of Dependencies.RecordConcurrency.
const recordConcurrency = 8

// tally adds up what became of the findings of one repository. It is safe for concurrent
// use.
type tally struct {
	kind string

	mu       sync.Mutex
	news     bool // something is new to a trigger of a stream
	recorded int
	denied   int
	gone     int
	late     int // put off
	failed   error
}

func (c *tally) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = err
}

func (c *tally) foundNews() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.news = true
}

func (c *tally) deny() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.denied++
}

func (c *tally) putOffOne() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late++
}

// add adds what was counted apart.
func (c *tally) add(other *tally) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recorded += other.recorded
	c.denied += other.denied
	c.gone += other.gone
	c.late += other.late
	if other.failed != nil {
		c.failed = other.failed
	}
}

func (c *tally) result() Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.failed != nil:
		r := again(c.kind, c.failed)
		r.Recorded = c.recorded
		return r
	case c.recorded > 0:
		return Result{Status: Done, Reason: Recorded, Kind: c.kind, Recorded: c.recorded}
	case c.late > 0:
		return Handled(c.kind, PutOff)
	case c.denied > 0:
		return Handled(c.kind, NotVisible)
	default:
		return Handled(c.kind, NothingRuns)
	}
}

// record records the pushes of a finding that can run. One that fails does not stop the
// rest. Pushes of one digest are one entry, so record writes them one after another.
func (i *Intake) record(ctx context.Context, f finding, candidate func(push.Push) recorder.Candidate, c *tally) {
	most := i.RecordConcurrency
	if most == 0 {
		most = recordConcurrency
	}
	groups := byDigest(f.Pushes)
	if most == 1 || len(groups) == 1 {
		for _, p := range f.Pushes {
			i.recordOne(ctx, f.trigger, candidate(p), c)
		}
		return
	}
	var running sync.WaitGroup
	slots := make(chan struct{}, most)
	for _, pushes := range groups {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			defer caught(c.fail)
			for _, p := range pushes {
				i.recordOne(ctx, f.trigger, candidate(p), c)
			}
		})
	}
	running.Wait()
}

// byDigest groups pushes, in the order of each digest's first one.
func byDigest(all []push.Push) [][]push.Push {
	var groups [][]push.Push
	of := map[image.Digest]int{}
	for _, p := range all {
		n, ok := of[p.Digest]
		if !ok {
			n = len(groups)
			of[p.Digest] = n
			groups = append(groups, nil)
		}
		groups[n] = append(groups[n], p)
	}
	return groups
}

func (i *Intake) recordOne(ctx context.Context, t *Trigger, candidate recorder.Candidate, c *tally) {
	p, done := candidate.Push, i.recorder.Record(ctx, candidate)
	switch done.Outcome {
	case recorder.Recorded:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.recorded++
	case recorder.Covered:
	case recorder.Gone:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.gone++
	case recorder.Exempt:
		i.reportSkips(ctx, []push.Skip{{Repository: p.Repository, Tag: p.Tag, Digest: p.Digest, Reason: push.NotRunnable}})
	case recorder.NotRecordable, recorder.Forgotten:
		i.reportTrigger(ctx, t, p.Repository, done.Reason, "push cannot be recorded", done.Err)
	default: // NotRead, NotWritten, or an outcome that is not known
		c.fail(done.Err)
	}
}
