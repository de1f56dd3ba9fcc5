package intake

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/selector"
)

// maxTold bounds what is remembered of what was told, in entries of about 200 bytes.
const maxTold = 8192

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
	// RecordConcurrency is how many digests of one stream are recorded at once; 0
	// is 8. A stream that was pushed to many times since its last event must not
	// take many times as long, as its sender waits.
	RecordConcurrency int
}

// Intake handles events and notifications. It is safe for concurrent use.
type Intake struct {
	Dependencies
	locks locks
	// exempt remembers what cannot run, so that it costs no request again.
	exempt *push.Exemptions
	// told remembers what was logged and counted.
	told *memory[telling]
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
		exempt:       push.NewExemptions(),
		told:         newMemory[telling](maxTold),
	}
}

// finding is what one trigger is to be told of one repository.
type finding struct {
	trigger *Trigger
	push.Result
}

// compare detects, in what a repository shows, the pushes that the ledger does
// not cover for one trigger. It uses caches only.
func (i *Intake) compare(t *Trigger, s push.Stream, tags selector.Tags) finding {
	known := ledger.WithinScope(i.Ledger.Known(t.ImageTrigger, s.Repository), t.ImageTrigger, t.selector.AdmitTime)
	return finding{trigger: t, Result: push.Detect(s.Only(tags.Admit), known, i.exempt)}
}

// tellSkips counts and logs each skipped item once: a hostile tag stays in its
// stream, and comes with every event of it.
func (i *Intake) tellSkips(ctx context.Context, skips []push.Skip) {
	for _, s := range skips {
		if !i.told.add(telling{repository: s.Repository, tag: s.Tag, digest: s.Digest, reason: string(s.Reason)}) {
			continue
		}
		i.Metrics.Skip(ctx, string(s.Reason))
		i.Log.Info("tag skipped", zap.String("reason", string(s.Reason)), zap.String("repository", s.Repository.Name),
			zap.String("tag", image.Cut(s.Tag, 128)), zap.Stringer("digest", s.Digest))
	}
}

// tellTrigger counts each event that a trigger was not told of, and logs the
// reason once for a trigger and repository.
func (i *Intake) tellTrigger(ctx context.Context, t *Trigger, r push.Repository, reason, message string, err error) {
	i.Metrics.Skip(ctx, reason)
	if !i.told.add(telling{repository: r, trigger: string(t.UID), reason: reason}) {
		return
	}
	i.Log.Warn(message, zap.String("reason", reason), zap.String("repository", r.Name),
		zap.String("trigger", t.Name), zap.String("namespace", t.Namespace),
		zap.String("serviceAccount", t.account().Name), zap.Error(err))
}

// tellUnknown logs once for a digest that it could not be read what it is.
func (i *Intake) tellUnknown(t *Trigger, p push.Push, reason string, err error) {
	if !i.told.add(telling{repository: p.Repository, trigger: string(t.UID), digest: p.Digest, reason: reason}) {
		return
	}
	i.Log.Warn("it cannot be read whether a push can run; it is recorded", zap.String("reason", reason), zap.String("push", key(p)),
		zap.String("trigger", t.Name), zap.String("namespace", t.Namespace), zap.Error(err))
}

// key is a push for people: repository:tag@digest time.
func key(p push.Push) string {
	return p.Repository.Name + ":" + p.Tag + "@" + p.Digest.String() + " " + p.PushedAt.UTC().Format(time.RFC3339)
}
