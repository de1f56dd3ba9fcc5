package intake

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/recorder"
)

// maxReported bounds what is kept of what was reported, in keys of 32 bytes.
const maxReported = 8192

// report identifies a skip or a failure, which is logged once.
type report struct {
	repository push.Repository
	trigger    string
	tag        string
	digest     image.Digest
	claimed    string
	reason     string
}

// key is short, however long the texts are: events and streams may have any.
func (r report) key() [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%q", []string{
		string(r.repository.Kind), r.repository.Name, r.repository.UID, r.trigger, r.tag, r.digest.String(), r.claimed, r.reason,
	}))
}

// reportSkips counts and logs each skipped item once. A hostile tag stays in its stream, so
// each event of the stream brings it again.
func (i *Intake) reportSkips(ctx context.Context, skips []push.Skip) {
	for _, s := range skips {
		if !i.reported.first(report{repository: s.Repository, tag: s.Tag, digest: s.Digest, claimed: s.Claimed, reason: string(s.Reason)}.key()) {
			continue
		}
		i.Metrics.Skip(ctx, string(s.Reason))
		i.Log.Info("tag skipped", zap.String("reason", string(s.Reason)), zap.String("repository", s.Repository.Name),
			zap.String("tag", image.Cut(s.Tag, 128)), zap.String("digest", cmp.Or(s.Digest.String(), s.Claimed)))
	}
}

// reportTrigger counts each event that did not reach a trigger, and logs the reason once
// for a trigger and repository.
func (i *Intake) reportTrigger(ctx context.Context, t *Trigger, r push.Repository, reason, message string, err error) {
	i.Metrics.Skip(ctx, reason)
	if !i.reported.first(report{repository: r, trigger: string(t.UID), reason: reason}.key()) {
		return
	}
	i.Log.Warn(message, zap.String("reason", reason), zap.String("repository", r.Name),
		zap.String("trigger", t.Name), zap.String("namespace", t.Namespace),
		zap.String("serviceAccount", t.account().Name), zap.Error(err))
}

// recent counts by key, for a bounded number of keys. When it is full it forgets the half
// that was not used for longest, which costs at most that Revet reports something again.
type recent[K comparable] struct {
	half int

	mu         sync.Mutex
	young, old map[K]int
}

func newRecent[K comparable](size int) *recent[K] {
	return &recent[K]{half: size / 2, young: map[K]int{}}
}

// add counts k once more, and returns how often it was counted.
func (r *recent[K]) add(k K) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, young := r.young[k]
	if !young {
		n = r.old[k]
		if len(r.young) >= r.half {
			r.old, r.young = r.young, map[K]int{}
		}
	}
	r.young[k] = n + 1
	return n + 1
}

// forget counts k from zero again.
func (r *recent[K]) forget(k K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.young, k)
	delete(r.old, k)
}

// first reports whether k is new.
func (r *recent[K]) first(k K) bool { return r.add(k) == 1 }

// Metrics counts what arrives and what becomes of it.
type Metrics struct {
	*recorder.Metrics
	events  metric.Int64Counter
	skips   metric.Int64Counter
	rereads metric.Int64Counter

	// options caches the attribute sets. Making them would be most of what counting an
	// event costs. The typed reasons bound their number.
	options sync.Map
}

// NewMetrics makes the instruments.
func NewMetrics(meter metric.Meter) (*Metrics, error) {
	recorded, err := recorder.NewMetrics(meter)
	if err != nil {
		return nil, err
	}
	m := Metrics{Metrics: recorded}
	var errs [3]error
	m.events, errs[0] = meter.Int64Counter("revet_events", metric.WithDescription("Events and notifications that arrived, by what became of them."))
	m.skips, errs[1] = meter.Int64Counter("revet_skips", metric.WithDescription("Tags and pushes passed over, each counted once, by reason."))
	m.rereads, errs[2] = meter.Int64Counter("revet_rereads", metric.WithDescription("Streams and tags read again because an event showed something new."))
	return &m, errors.Join(errs[:]...)
}

type eventLabels struct{ source, kind, result string }

// Event counts an event or a notification by what became of it.
func (m *Metrics) Event(ctx context.Context, source v1alpha1.PushSource, r Result) {
	m.events.Add(ctx, 1, m.option(eventLabels{string(source), r.Kind, string(r.Reason)}, "source", string(source), "kind", r.Kind, "result", string(r.Reason)))
}

type skipLabel string

// Skip counts something that was passed over.
func (m *Metrics) Skip(ctx context.Context, reason string) {
	m.skips.Add(ctx, 1, m.option(skipLabel(reason), "reason", reason))
}

func (m *Metrics) reread(ctx context.Context, source v1alpha1.PushSource) {
	m.rereads.Add(ctx, 1, m.option(source, "source", string(source)))
}

func (m *Metrics) option(key any, labels ...string) metric.MeasurementOption {
	if o, ok := m.options.Load(key); ok {
		return o.(metric.MeasurementOption)
	}
	attributes := make([]attribute.KeyValue, 0, len(labels)/2)
	for i := 0; i+1 < len(labels); i += 2 {
		attributes = append(attributes, attribute.String(labels[i], labels[i+1]))
	}
	o, _ := m.options.LoadOrStore(key, metric.WithAttributeSet(attribute.NewSet(attributes...)))
	return o.(metric.MeasurementOption)
}
