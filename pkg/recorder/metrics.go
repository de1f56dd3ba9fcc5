package recorder

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

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
