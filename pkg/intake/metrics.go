package intake

import (
	"context"
	"errors"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/recorder"
)

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
