package intake

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/selector"
)

// The bounds of what is remembered, in entries of about 200 bytes.
const (
	maxExempt = 16384
	maxTold   = 8192
)

// Dependencies are what an Intake works with.
type Dependencies struct {
	Triggers   *Triggers
	Namespaces Namespaces
	Cluster    Cluster
	Registry   Registry
	Ledger     Ledger
	Metrics    *Metrics
	Log        *zap.Logger
	Now        func() time.Time
	// RegistryTimeout bounds the re-read of one tag.
	RegistryTimeout time.Duration
}

// Intake handles events and notifications. It is safe for concurrent use.
type Intake struct {
	Dependencies
	locks locks
	// exempt remembers what cannot run, so that it costs no request again.
	exempt *memory[exemption]
	// told remembers what was logged and counted.
	told *memory[telling]
}

// exemption is by tag too: what makes a payload an attachment is both.
type exemption struct {
	tag    string
	digest image.Digest
}

// telling identifies a skip or a failure that is logged and counted once.
type telling struct {
	repository push.Repository
	trigger    string
	tag        string
	digest     image.Digest
	reason     string
}

// New returns an Intake.
func New(d Dependencies) *Intake {
	return &Intake{
		Dependencies: d,
		exempt:       newMemory[exemption](maxExempt),
		told:         newMemory[telling](maxTold),
	}
}

// Runnable answers from memory only; what is not known is runnable.
func (i *Intake) Runnable(tag string, d image.Digest) bool {
	return !i.exempt.has(exemption{tag, d})
}

// finding is what one trigger is to be told of one repository.
type finding struct {
	trigger *Trigger
	push.Result
}

// compare detects, in what a repository shows, the pushes that the ledger does
// not cover for one trigger. It uses caches only.
func (i *Intake) compare(t *Trigger, s push.Stream, tags selector.Tags) finding {
	known := ledger.Bounded(i.Ledger.Known(t.ImageTrigger, s.Repository), t.selector.AdmitTime, t.Status.HistoryHorizon)
	return finding{trigger: t, Result: push.Detect(s.Only(tags.Admit), known, i)}
}

// tellSkips counts and logs each skipped item once: a hostile tag stays in its
// stream, and comes with every event of it.
func (i *Intake) tellSkips(ctx context.Context, skips []push.Skip) {
	for _, s := range skips {
		if !i.told.add(telling{repository: s.Repository, tag: s.Tag, digest: s.Digest, reason: string(s.Reason)}) {
			continue
		}
		i.Metrics.skip(ctx, string(s.Reason))
		i.Log.Info("tag skipped", zap.String("reason", string(s.Reason)), zap.String("repository", s.Repository.Name),
			zap.String("tag", image.Cut(s.Tag, 128)), zap.Stringer("digest", s.Digest))
	}
}

// tellTrigger counts each event that a trigger was not told of, and logs the
// reason once for a trigger and repository.
func (i *Intake) tellTrigger(ctx context.Context, t *Trigger, r push.Repository, reason, message string, err error) {
	i.Metrics.skip(ctx, reason)
	if !i.told.add(telling{repository: r, trigger: string(t.UID), reason: reason}) {
		return
	}
	i.Log.Warn(message, zap.String("reason", reason), zap.String("repository", r.Name),
		zap.String("trigger", t.Name), zap.String("namespace", t.Namespace),
		zap.String("serviceAccount", t.account().Name), zap.Error(err))
}

// tally adds up what became of the findings of one repository.
type tally struct {
	kind     string
	recorded int
	denied   int
	failed   error
}

func (c tally) result() Result {
	switch {
	case c.failed != nil:
		r := again(c.kind, c.failed)
		r.Recorded = c.recorded
		return r
	case c.recorded > 0:
		return Result{Status: Done, Reason: Recorded, Kind: c.kind, Recorded: c.recorded}
	case c.denied > 0:
		return done(c.kind, NotVisible)
	default:
		return done(c.kind, NothingRuns)
	}
}

// record writes the pushes that can run. One that fails does not stop the rest.
func (i *Intake) record(ctx context.Context, f finding, runs func(push.Push) (bool, error), source v1alpha1.PushSource, c *tally) {
	for _, p := range f.Pushes {
		ok, err := runs(p)
		if err != nil {
			c.failed = err
			continue
		}
		if !ok {
			i.exempt.add(exemption{p.Tag, p.Digest})
			i.tellSkips(ctx, []push.Skip{{Repository: p.Repository, Tag: p.Tag, Digest: p.Digest, Reason: push.NotRunnable}})
			continue
		}
		i.recordOne(ctx, f.trigger, p, source, c)
	}
}

func (i *Intake) recordOne(ctx context.Context, t *Trigger, p push.Push, source v1alpha1.PushSource, c *tally) {
	now := i.Now()
	result, err := i.Ledger.Record(ctx, t.ImageTrigger, p, source, now)
	if reason := permanent(err); reason != "" {
		i.tellTrigger(ctx, t, p.Repository, reason, "push cannot be recorded", err)
		return
	}
	if err != nil {
		c.failed = err
		return
	}
	if result.Outcome == ledger.Unchanged {
		return // another receiver was first
	}
	c.recorded++
	i.Metrics.push(ctx, source, now.Sub(p.PushedAt))
	i.Log.Info("push recorded",
		zap.String("push", key(p)), zap.Stringer("digest", p.Digest), zap.String("reason", string(p.Reason)),
		zap.String("entry", result.Entry.Name), zap.String("outcome", string(result.Outcome)),
		zap.String("trigger", t.Name), zap.String("namespace", t.Namespace), zap.String("source", string(source)))
}

// key is a push for people: repository:tag@digest time.
func key(p push.Push) string {
	return p.Repository.Name + ":" + p.Tag + "@" + p.Digest.String() + " " + p.PushedAt.UTC().Format(time.RFC3339)
}
