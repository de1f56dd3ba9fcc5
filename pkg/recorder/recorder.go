package recorder

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/fair"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// Ledger records a push with what is known of its image; nil facts are none.
type Ledger interface {
	Record(ctx context.Context, trigger *v1alpha1.ImageTrigger, p push.Push, facts *v1alpha1.ImageFacts, source v1alpha1.PushSource, now time.Time) (ledger.Result, error)
}

// Candidate is a push that the ledger does not cover, and how to find out what it is.
type Candidate struct {
	Trigger *v1alpha1.ImageTrigger
	Push    push.Push
	Source  v1alpha1.PushSource
	// Image reads the Image object of the digest. It is nil for a push to a registry,
	// and after the object showed nothing.
	Image func(context.Context) (openshift.ImageState, error)
	// Content reads from the registry what the digest is. If it is nil, Record returns
	// Doubtful for a push that only the registry can tell about.
	Content func(context.Context) (image.Content, error)
	// Missed says why no event brought the push; empty if one did. It goes to the log.
	Missed string
}

// Outcome is what Record did.
type Outcome string

// The outcomes. The zero value means that the push is not recorded.
const (
	Recorded Outcome = "Recorded"
	// Covered: another process recorded the push first.
	Covered Outcome = "Covered"
	// Exempt: the digest is proven not to run.
	Exempt Outcome = "Exempt"
	// Doubtful: only the registry can tell whether the push runs, and it was not asked.
	Doubtful Outcome = "Doubtful"
	// Gone: the registry does not have the digest, or does not have it yet.
	Gone Outcome = "Gone"
	// NotRead: what would decide could not be read. A retry may succeed.
	NotRead Outcome = "NotRead"
	// NotWritten: the ledger could not be written. A retry may succeed.
	NotWritten Outcome = "NotWritten"
	// NotRecordable: the ledger can never hold the push.
	NotRecordable Outcome = "NotRecordable"
	// Forgotten: nobody knows whether the ledger has the push, as the digest was pushed to more
	// tags than its entry tells of.
	Forgotten Outcome = "Forgotten"
)

// Result is what became of a Candidate.
type Result struct {
	Outcome Outcome
	// Reason says in one word why a push is NotRecordable or Forgotten.
	Reason string
	// Why says why a push is Exempt.
	Why image.Runnability
	// Err is the cause of Gone, NotRead, NotWritten, NotRecordable and Forgotten.
	Err error
	// Unread is why the registry did not show what the digest is. The push counts as one
	// that runs.
	Unread error
}

// Dependencies are what a Recorder works with.
type Dependencies struct {
	Ledger  Ledger
	Metrics *Metrics
	Log     *zap.Logger
	Now     func() time.Time
}

// Recorder records pushes. It is safe for concurrent use.
type Recorder struct {
	Dependencies
	// Exemptions hold what Record proved so far.
	*push.Exemptions
	claims *fair.Kept[claim, image.Runnability]
}

const (
	// maxClaims bounds what is remembered of what registries claim, in entries of about 300
	// bytes, and maxClaimsEach what is remembered of it for one namespace.
	maxClaims     = 16384
	maxClaimsEach = 1024
)

// claim is a digest of which its repository alone says that it cannot run. A namespace believes
// that of the repository that it pulls from. It means nothing elsewhere, or to others: a registry
// that lies must not exempt what an honest one has.
type claim struct {
	pull   image.Repository
	digest image.Digest
}

// New returns a Recorder that knows of no exemption.
func New(d Dependencies) *Recorder {
	return &Recorder{
		Dependencies: d, Exemptions: push.NewExemptions(),
		claims: fair.NewKept[claim, image.Runnability](maxClaims, maxClaimsEach),
	}
}

// Record records a push unless it is proven that it cannot run.
func (r *Recorder) Record(ctx context.Context, c Candidate) Result {
	w := r.weigh(ctx, c)
	if w.outcome != "" {
		return Result{Outcome: w.outcome, Why: w.why, Err: w.err}
	}
	now := r.Now()
	written, err := r.Ledger.Record(ctx, c.Trigger, c.Push, w.facts, c.Source, now)
	switch reason := notRecordable(err); {
	case errors.Is(err, ledger.ErrForgotten):
		return Result{Outcome: Forgotten, Reason: v1alpha1.ReasonTooManyTags, Err: err, Unread: w.unread}
	case reason != "":
		return Result{Outcome: NotRecordable, Reason: reason, Err: err, Unread: w.unread}
	case err != nil:
		return Result{Outcome: NotWritten, Err: err, Unread: w.unread}
	case written.Outcome == ledger.Unchanged:
		return Result{Outcome: Covered, Unread: w.unread}
	}
	r.report(ctx, c, w, written, now)
	return Result{Outcome: Recorded, Unread: w.unread}
}

// weight is what is known of a push before it is recorded. The zero value is nothing, and
// such a push is recorded.
type weight struct {
	// outcome is set if the push is not to be recorded, or not yet.
	outcome Outcome
	why     image.Runnability
	err     error
	facts   *v1alpha1.ImageFacts
	unread  error
}

// weigh reads no more than it takes to decide.
func (r *Recorder) weigh(ctx context.Context, c Candidate) weight {
	if why, ok := r.claims.Get(c.Trigger.Namespace, claimOf(c)); ok {
		return weight{outcome: Exempt, why: why}
	}
	if c.Image != nil {
		img, err := c.Image(ctx)
		switch {
		case err != nil:
			return weight{outcome: NotRead, err: err}
		case img.Runs:
			return weight{facts: img.Facts}
		}
	}
	if c.Content == nil {
		return weight{outcome: Doubtful}
	}
	content, err := c.Content(ctx)
	switch reason := source.ReasonOf(err); {
	case err == nil && content.Runnable():
		return weight{}
	case err == nil:
		r.exempt(c, content)
		return weight{outcome: Exempt, why: content.Runnability()}
	case ctx.Err() != nil:
		return weight{outcome: NotRead, err: err} // no time is left to record it either
	case c.Push.Repository.Kind == push.ImageStream:
		return weight{unread: err}
	case reason == source.NotFound:
		return weight{outcome: Gone, err: err}
	case reason == "":
		return weight{outcome: NotRead, err: err}
	default:
		return weight{unread: err}
	}
}

// exempt remembers that a push cannot run: for everybody if its content proves that.
func (r *Recorder) exempt(c Candidate, content image.Content) {
	if !r.Exempt(c.Push.Digest, content) {
		r.claims.Put(c.Trigger.Namespace, claimOf(c), content.Runnability())
	}
}

func claimOf(c Candidate) claim { return claim{c.Push.Pull, c.Push.Digest} }

// report counts and logs a push that was recorded. A first sweep of a registry records
// what was there before, which may be a lot: that is counted only.
func (r *Recorder) report(ctx context.Context, c Candidate, w weight, written ledger.Result, now time.Time) {
	r.Metrics.record(ctx, c.Source, now.Sub(c.Push.PushedAt))
	if c.Source == v1alpha1.SourceExisting {
		return
	}
	fields := []zap.Field{
		zap.Stringer("push", c.Push), zap.Stringer("digest", c.Push.Digest), zap.String("reason", string(c.Push.Reason)),
		zap.String("entry", written.Entry.Name), zap.String("outcome", string(written.Outcome)),
		zap.String("trigger", c.Trigger.Name), zap.String("namespace", c.Trigger.Namespace), zap.String("source", string(c.Source)),
	}
	if c.Missed != "" {
		fields = append(fields, zap.String("missed", c.Missed))
	}
	r.Log.Info("push recorded", fields...)
	if w.unread != nil {
		r.Log.Warn("push recorded without knowing whether it runs, because its registry does not show what it is",
			append(fields, zap.Error(w.unread))...)
	}
}

// notRecordable returns why the ledger can never hold a push; "" if a retry may succeed.
func notRecordable(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ledger.ErrForeign):
		return "ForeignEntry"
	case apierrors.IsInvalid(err):
		return "InvalidEntry"
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return "NamespaceTerminating"
	default:
		return ""
	}
}

// Metrics counts what is recorded, in the receiver and in the controller alike.
type Metrics struct {
	recorded metric.Int64Counter
	latency  metric.Float64Histogram
}

// NewMetrics makes the instruments.
func NewMetrics(meter metric.Meter) (*Metrics, error) {
	var m Metrics
	var errs [2]error
	m.recorded, errs[0] = meter.Int64Counter("revet_pushes_recorded", metric.WithDescription("Pushes recorded in the ledger."))
	m.latency, errs[1] = meter.Float64Histogram("revet_push_to_record", metric.WithUnit("s"),
		metric.WithDescription("Time from the push, which is known to the second, to its record."),
		metric.WithExplicitBucketBoundaries(0.5, 1, 1.5, 2, 3, 5, 10, 30, 60, 300, 1800, 7200))
	return &m, errors.Join(errs[:]...)
}

func (m *Metrics) record(ctx context.Context, source v1alpha1.PushSource, took time.Duration) {
	of := metric.WithAttributes(attribute.String("source", string(source)))
	m.recorded.Add(ctx, 1, of)
	m.latency.Record(ctx, max(took, 0).Seconds(), of)
}
