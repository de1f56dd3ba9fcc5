package intake

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Metrics counts what arrives and what becomes of it.
type Metrics struct {
	events   metric.Int64Counter
	recorded metric.Int64Counter
	skips    metric.Int64Counter
	rereads  metric.Int64Counter
	latency  metric.Float64Histogram

	// options caches the attribute sets, which would be most of what counting
	// an event costs. Their number is bounded by the typed reasons.
	options sync.Map
}

// NewMetrics makes the instruments.
func NewMetrics(meter metric.Meter) (*Metrics, error) {
	var m Metrics
	var errs [5]error
	m.events, errs[0] = meter.Int64Counter("revet_events", metric.WithDescription("Events and notifications that arrived, by what became of them."))
	m.recorded, errs[1] = meter.Int64Counter("revet_pushes_recorded", metric.WithDescription("Pushes recorded in the ledger."))
	m.skips, errs[2] = meter.Int64Counter("revet_skips", metric.WithDescription("Tags and pushes passed over, each counted once, by reason."))
	m.rereads, errs[3] = meter.Int64Counter("revet_rereads", metric.WithDescription("Streams and tags read again because an event showed something new."))
	m.latency, errs[4] = meter.Float64Histogram("revet_push_to_record", metric.WithUnit("s"),
		metric.WithDescription("Time from the push, which is known to the second, to its record."),
		metric.WithExplicitBucketBoundaries(0.5, 1, 1.5, 2, 3, 5, 10, 30, 60, 300, 1800, 7200))
	return &m, errors.Join(errs[:]...)
}

type eventLabels struct{ source, kind, result string }

// Event counts an event or a notification by what became of it.
func (m *Metrics) Event(ctx context.Context, source v1alpha1.PushSource, r Result) {
	m.events.Add(ctx, 1, m.option(eventLabels{string(source), r.Kind, string(r.Reason)}, "source", string(source), "kind", r.Kind, "result", string(r.Reason)))
}

func (m *Metrics) push(ctx context.Context, source v1alpha1.PushSource, took time.Duration) {
	option := m.option(source, "source", string(source))
	m.recorded.Add(ctx, 1, option)
	m.latency.Record(ctx, max(took, 0).Seconds(), option)
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
