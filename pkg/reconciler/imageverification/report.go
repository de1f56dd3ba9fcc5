package imageverification

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/verdict"
)

// Metrics are what the Reconciler counts.
type Metrics struct {
	requests  metric.Int64Counter
	runs      metric.Int64Counter
	toFire    metric.Float64Histogram
	toConfirm metric.Float64Histogram
	toVerdict metric.Float64Histogram
}

// NewMetrics makes the instruments.
func NewMetrics(m metric.Meter) (*Metrics, error) {
	var out Metrics
	var err error
	counter := func(name, description string) metric.Int64Counter {
		c, e := m.Int64Counter(name, metric.WithDescription(description))
		if e != nil {
			err = fmt.Errorf("metric %q: %w", name, e)
		}
		return c
	}
	seconds := func(name, description string, bounds ...float64) metric.Float64Histogram {
		h, e := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description), metric.WithExplicitBucketBoundaries(bounds...))
		if e != nil {
			err = fmt.Errorf("metric %q: %w", name, e)
		}
		return h
	}
	out.requests = counter("revet_requests", "Requests sent to sinks, by result.")
	out.runs = counter("revet_runs", "Runs that ended, by outcome and reason.")
	out.toFire = seconds("revet_push_to_fire", "From a push being recorded to the first request of its run.",
		.002, .005, .01, .02, .05, .1, .2, .5, 1, 5, 30, 120, 600)
	out.toConfirm = seconds("revet_push_to_confirm", "From a push being recorded to its run being confirmed.",
		.005, .01, .02, .05, .1, .2, .5, 1, 5, 30, 120, 600)
	out.toVerdict = seconds("revet_push_to_verdict", "From a push being recorded to its verdict.",
		1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
	return &out, err
}

func (m *Metrics) fired(ctx context.Context, e *v1alpha1.ImageVerification, s sent, now time.Time) {
	result := "accepted"
	if s.err != nil {
		result = "refused"
	}
	m.requests.Add(ctx, 1, metric.WithAttributes(attribute.String("result", result)))
	if run := verdict.Current(&e.Status); run != nil && run.Attempts <= 1 {
		m.toFire.Record(ctx, sinceObserved(e, run, now))
	}
}

func (m *Metrics) confirmed(ctx context.Context, e *v1alpha1.ImageVerification, now time.Time) {
	if run := verdict.Current(&e.Status); run != nil {
		m.toConfirm.Record(ctx, sinceObserved(e, run, now))
	}
}

func (m *Metrics) finished(ctx context.Context, e *v1alpha1.ImageVerification, now time.Time) {
	if len(e.Status.Runs) == 0 {
		return
	}
	run := &e.Status.Runs[len(e.Status.Runs)-1]
	m.runs.Add(ctx, 1, metric.WithAttributes(
		attribute.String("outcome", string(run.Outcome)), attribute.String("reason", run.Reason)))
	m.toVerdict.Record(ctx, sinceObserved(e, run, now))
}

// sinceObserved is the time since the oldest push that the run covers was recorded.
func sinceObserved(e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus, now time.Time) float64 {
	oldest := run.RequestedAt.Time
	for _, t := range e.Status.Tags {
		if t.Run == run.Number && t.ObservedAt.Time.Before(oldest) {
			oldest = t.ObservedAt.Time
		}
	}
	return max(now.Sub(oldest).Seconds(), 0)
}

// transition logs a change of phase and records it as a Kubernetes Event.
func (r *Reconciler) transition(p *pass, before v1alpha1.Phase) {
	s := &p.entry.Status
	if s.Phase == before {
		return
	}
	fields := []zap.Field{zap.String("phase", string(s.Phase)), zap.String("reason", s.Reason), zap.String("push", s.TagNames)}
	if len(s.Runs) > 0 {
		fields = append(fields, zap.String("run", s.Runs[len(s.Runs)-1].Name))
	}
	p.log.Info("entry moved on", fields...)
	kind := corev1.EventTypeNormal
	switch s.Phase {
	case v1alpha1.PhaseFailed, v1alpha1.PhaseError:
		kind = corev1.EventTypeWarning
	case v1alpha1.PhaseRunning:
		return // its PipelineRun has Events of its own, and each costs a write
	case v1alpha1.PhasePending, v1alpha1.PhaseRequested:
		if s.Reason == string(verdict.Requested) || s.Reason == string(verdict.Queued) || s.Reason == "" {
			return // no trouble
		}
		kind = corev1.EventTypeWarning
	default:
	}
	message := s.Message
	if message == "" {
		message = s.TagNames + " is " + string(s.Phase)
	}
	r.recorder.Event(p.entry, kind, s.Reason, message)
}
