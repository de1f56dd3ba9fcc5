package imagegate

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/revet-dev/revet/pkg/running"
)

// RunningMetrics are what an Observer counts. Attributes are gates and standings.
type RunningMetrics struct {
	meter      metric.Meter
	breakGlass metric.Int64Counter
	turns      metric.Int64Counter
	pods       metric.Int64ObservableGauge
	age        metric.Float64ObservableGauge
}

// NewRunningMetrics creates the instruments.
func NewRunningMetrics(m metric.Meter) (*RunningMetrics, error) {
	out := &RunningMetrics{meter: m}
	var errs [4]error
	out.breakGlass, errs[0] = m.Int64Counter("revet_gate_break_glass", metric.WithDescription("Pods seen that asked to start without a verdict, by gate."))
	out.turns, errs[1] = m.Int64Counter("revet_gate_turns", metric.WithDescription("Digests that run and whose verdict turned, by gate and new standing."))
	out.pods, errs[2] = m.Int64ObservableGauge("revet_gate_pods", metric.WithDescription("Pods that run behind a gate, by standing, when all were listed last."))
	out.age, errs[3] = m.Float64ObservableGauge("revet_gate_census_age", metric.WithUnit("s"), metric.WithDescription("Time since all Pods behind a gate were listed, by gate."))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("metrics of what runs: %w", err)
	}
	return out, nil
}

func ofGate(name string, more ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributes(append(more, attribute.String("gate", name))...)
}

func (m *RunningMetrics) usedBreakGlass(ctx context.Context, gate string) {
	m.breakGlass.Add(ctx, 1, ofGate(gate))
}

func (m *RunningMetrics) turned(ctx context.Context, t running.Turn) {
	m.turns.Add(ctx, 1, ofGate(t.Gate, attribute.String("standing", t.To.String())))
}

// watch makes the gauges show what o saw last when they are read.
func (m *RunningMetrics) watch(o *Observer) error {
	_, err := m.meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		o.mu.Lock()
		defer o.mu.Unlock()
		for name, s := range o.gates {
			r := s.report.Running
			if r.ObservedAt == nil {
				continue
			}
			to.ObserveFloat64(m.age, max(o.Now().Sub(r.ObservedAt.Time).Seconds(), 0), ofGate(name))
			for standing, n := range map[running.Standing]int64{
				running.Verified: r.Verified, running.Expired: r.Expired, running.Failed: r.Failed,
				running.Unknown: r.Unknown, running.Exempt: r.Exempt, running.BreakGlass: r.BreakGlass,
			} {
				to.ObserveInt64(m.pods, n, ofGate(name, attribute.String("standing", standing.String())))
			}
		}
		return nil
	}, m.pods, m.age)
	if err != nil {
		return fmt.Errorf("watching what runs: %w", err)
	}
	return nil
}
