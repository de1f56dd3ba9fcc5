package intake

import (
	"context"
	"sync"

	"go.uber.org/zap"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
)

// recordConcurrency is the default of Dependencies.RecordConcurrency.
const recordConcurrency = 8

// tally adds up what became of the findings of one repository. It is safe for
// concurrent use.
type tally struct {
	kind string

	mu       sync.Mutex
	recorded int
	denied   int
	failed   error
}

func (c *tally) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = err
}

func (c *tally) deny() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.denied++
}

func (c *tally) record() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recorded++
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
	case c.denied > 0:
		return Handled(c.kind, NotVisible)
	default:
		return Handled(c.kind, NothingRuns)
	}
}

// reader tells what is known of a push before it is recorded.
type reader func(*Trigger, push.Push) (seen, error)

// seen is what was read of a push. The zero value is nothing, which is recorded.
type seen struct {
	// exempt: its content proves that it cannot run.
	exempt bool
	facts  *v1alpha1.ImageFacts
}

// record writes the pushes that can run. One that fails does not stop the rest.
// Pushes of one digest, which are one entry, are written one after another.
func (i *Intake) record(ctx context.Context, f finding, read reader, source v1alpha1.PushSource, c *tally) {
	most := i.RecordConcurrency
	if most == 0 {
		most = recordConcurrency
	}
	groups := byDigest(f.Pushes)
	if most == 1 || len(groups) == 1 {
		for _, p := range f.Pushes {
			i.recordOne(ctx, f.trigger, p, read, source, c)
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
				i.recordOne(ctx, f.trigger, p, read, source, c)
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

func (i *Intake) recordOne(ctx context.Context, t *Trigger, p push.Push, read reader, source v1alpha1.PushSource, c *tally) {
	seen, err := read(t, p)
	if err != nil {
		c.fail(err)
		return
	}
	if seen.exempt {
		i.tellSkips(ctx, []push.Skip{{Repository: p.Repository, Tag: p.Tag, Digest: p.Digest, Reason: push.NotRunnable}})
		return
	}
	now := i.Now()
	result, err := i.Ledger.RecordImage(ctx, t.ImageTrigger, p, seen.facts, source, now)
	if reason := permanent(err); reason != "" {
		i.tellTrigger(ctx, t, p.Repository, reason, "push cannot be recorded", err)
		return
	}
	if err != nil {
		c.fail(err)
		return
	}
	if result.Outcome == ledger.Unchanged {
		return // another receiver was first
	}
	c.record()
	i.Metrics.push(ctx, source, now.Sub(p.PushedAt))
	i.Log.Info("push recorded",
		zap.String("push", key(p)), zap.Stringer("digest", p.Digest), zap.String("reason", string(p.Reason)),
		zap.String("entry", result.Entry.Name), zap.String("outcome", string(result.Outcome)),
		zap.String("trigger", t.Name), zap.String("namespace", t.Namespace), zap.String("source", string(source)))
}
