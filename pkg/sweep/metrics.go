package sweep

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Metrics counts sweeps and what they recover.
type Metrics struct {
	pushes  metric.Int64Counter
	sweeps  metric.Int64Counter
	seconds metric.Float64Histogram
}

// NewMetrics makes the instruments.
func NewMetrics(meter metric.Meter) (*Metrics, error) {
	var m Metrics
	var errs [3]error
	m.pushes, errs[0] = meter.Int64Counter("revet_sweep_recovered", metric.WithDescription("Pushes that a sweep recorded because no event had brought them."))
	m.sweeps, errs[1] = meter.Int64Counter("revet_sweeps", metric.WithDescription("Sweeps of one trigger, by part and result."))
	m.seconds, errs[2] = meter.Float64Histogram("revet_sweep_duration", metric.WithUnit("s"),
		metric.WithDescription("Time that a sweep took."), metric.WithExplicitBucketBoundaries(.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 600))
	return &m, errors.Join(errs[:]...)
}

func (m *Metrics) recovered(ctx context.Context) { m.pushes.Add(ctx, 1) }

func (m *Metrics) swept(ctx context.Context, part, reason string, took time.Duration) {
	if reason == "" {
		reason = "Complete"
	}
	m.sweeps.Add(ctx, 1, metric.WithAttributes(attribute.String("part", part), attribute.String("result", reason)))
	m.seconds.Record(ctx, took.Seconds(), metric.WithAttributes(attribute.String("part", part)))
}
