package imageverification

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// Metrics are what the Reconciler counts. Each attribute has few values: typed reasons,
// causes, and triggers.
type Metrics struct {
	meter metric.Meter

	requests  metric.Int64Counter
	runs      metric.Int64Counter
	confirm   metric.Float64Histogram
	toFire    metric.Float64Histogram
	toConfirm metric.Float64Histogram
	toVerdict metric.Float64Histogram
	// pushedTo... are measured from the time that the repository shows.
	pushedToRun     metric.Float64Histogram
	pushedToVerdict metric.Float64Histogram

	queued  metric.Int64ObservableGauge
	oldest  metric.Float64ObservableGauge
	busy    metric.Int64ObservableGauge
	overdue metric.Int64ObservableGauge
	entries metric.Int64ObservableGauge
}

// NewMetrics creates the instruments.
func NewMetrics(m metric.Meter) (*Metrics, error) {
	out := &Metrics{meter: m}
	var errs []error
	counter := func(name, description string) metric.Int64Counter {
		c, err := m.Int64Counter(name, metric.WithDescription(description))
		errs = append(errs, named(name, err))
		return c
	}
	seconds := func(name, description string, bounds ...float64) metric.Float64Histogram {
		h, err := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description), metric.WithExplicitBucketBoundaries(bounds...))
		errs = append(errs, named(name, err))
		return h
	}
	gauge := func(name, description string) metric.Int64ObservableGauge {
		g, err := m.Int64ObservableGauge(name, metric.WithDescription(description))
		errs = append(errs, named(name, err))
		return g
	}
	out.requests = counter("revet_requests", "Requests sent to sinks, by result.")
	out.runs = counter("revet_runs", "Runs that ended, by outcome, reason and cause.")
	out.confirm = seconds("revet_confirm", "From the latest request of a run to confirming it.",
		.002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10)
	out.toFire = seconds("revet_push_to_fire", "From recording a push to the first request of its run.",
		.002, .005, .01, .02, .05, .1, .2, .5, 1, 5, 30, 120, 600)
	out.toConfirm = seconds("revet_push_to_confirm", "From recording a push to confirming its run.",
		.005, .01, .02, .05, .1, .2, .5, 1, 5, 30, 120, 600)
	out.toVerdict = seconds("revet_push_to_verdict", "From recording a push to its verdict.",
		1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
	// Repositories show whole seconds, of another clock.
	out.pushedToRun = seconds("revet_pushed_to_run", "From the time that the repository shows for a push to confirming its run.",
		1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 21600)
	out.pushedToVerdict = seconds("revet_pushed_to_verdict", "From the time that the repository shows for a push to its verdict.",
		1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 21600)
	out.queued = gauge("revet_queue_length", "Entries that wait for a slot, by trigger, at the leader.")
	out.busy = gauge("revet_runs_under_way", "Entries that have a slot, by trigger.")
	out.overdue = gauge("revet_runs_overdue",
		"Of revet_runs_under_way, those that take longer than --longest-run and hold no slot of --max-concurrent, by trigger.")
	out.entries = gauge("revet_entries", "Entries of the ledger, by trigger and phase.")
	var err error
	out.oldest, err = m.Float64ObservableGauge("revet_queue_oldest", metric.WithUnit("s"),
		metric.WithDescription("Age of the oldest entry that waits for a slot, since its recording, by trigger, at the leader."))
	return out, errors.Join(append(errs, named("revet_queue_oldest", err))...)
}

func named(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("metric %q: %w", name, err)
}

// watch makes the gauges show the state of r when they are read.
func (m *Metrics) watch(r *Reconciler) error {
	_, err := m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		now := r.now()
		for _, d := range r.runQueue.depths() {
			at := metric.WithAttributes(ofTrigger(d.trigger)...)
			o.ObserveInt64(m.queued, int64(d.waiting), at)
			o.ObserveInt64(m.busy, int64(d.underway), at)
			if d.overdue > 0 {
				o.ObserveInt64(m.overdue, int64(d.overdue), at)
			}
			age := 0.0
			if d.waiting > 0 {
				age = max(now.Sub(d.since).Seconds(), 0)
			}
			o.ObserveFloat64(m.oldest, age, at)
		}
		r.phaseCounts.each(func(s triggerPhase, n int64) {
			o.ObserveInt64(m.entries, n, metric.WithAttributes(append(ofTrigger(s.trigger), attribute.String("phase", string(s.phase)))...))
		})
		return nil
	}, m.queued, m.oldest, m.busy, m.overdue, m.entries)
	if err != nil {
		return fmt.Errorf("watching the queue: %w", err)
	}
	return nil
}

func ofTrigger(t types.NamespacedName) []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("namespace", t.Namespace), attribute.String("trigger", t.Name)}
}

func (m *Metrics) fired(ctx context.Context, e *v1alpha1.ImageVerification, sent lifecycle.Sent, now time.Time) {
	result := "accepted"
	if sent.Failure.Reason != "" {
		result = string(sent.Failure.Reason)
	}
	m.requests.Add(ctx, 1, metric.WithAttributes(attribute.String("result", result)))
	if run := e.Status.CurrentRun(); run != nil && run.Attempts <= 1 {
		m.toFire.Record(ctx, sinceObserved(e, run, now))
	}
}

func (m *Metrics) confirmed(ctx context.Context, e *v1alpha1.ImageVerification, now time.Time) {
	run := e.Status.CurrentRun()
	if run == nil {
		return
	}
	m.toConfirm.Record(ctx, sinceObserved(e, run, now))
	if run.FiredAt != nil {
		m.confirm.Record(ctx, max(now.Sub(run.FiredAt.Time).Seconds(), 0))
	}
	if since, ok := sincePushed(e, run, now); ok {
		m.pushedToRun.Record(ctx, since)
	}
}

func (m *Metrics) finished(ctx context.Context, e *v1alpha1.ImageVerification, now time.Time) {
	if len(e.Status.Runs) == 0 {
		return
	}
	run := &e.Status.Runs[len(e.Status.Runs)-1]
	m.runs.Add(ctx, 1, metric.WithAttributes(
		attribute.String("outcome", string(run.Outcome)), attribute.String("reason", run.Reason),
		attribute.String("cause", string(run.Cause.Type)), attribute.String("class", classOf(run.Sandbox)),
		attribute.String("route", string(run.Sandbox.Route))))
	m.toVerdict.Record(ctx, sinceObserved(e, run, now))
	if since, ok := sincePushed(e, run, now); ok {
		m.pushedToVerdict.Record(ctx, since)
	}
}

// classOf is the RuntimeClass of a run's Pods, or the requested one if it has no Pods.
func classOf(s v1alpha1.SandboxStatus) string {
	switch len(s.Observed) {
	case 0:
		return s.Requested
	case 1:
		return s.Observed[0]
	default:
		return "several"
	}
}

// sinceObserved is the time since Revet recorded the oldest push that the run covers.
func sinceObserved(e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus, now time.Time) float64 {
	oldest := run.RequestedAt.Time
	for _, t := range e.Status.Tags {
		if t.Run == run.Number && t.ObservedAt.Time.Before(oldest) {
			oldest = t.ObservedAt.Time
		}
	}
	return max(now.Sub(oldest).Seconds(), 0)
}

// sincePushed is the age of the oldest push that the run covers. It returns false if the
// cause of the run is no push.
func sincePushed(e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus, now time.Time) (float64, bool) {
	var oldest time.Time
	for _, t := range e.Status.Tags {
		if t.Run == run.Number && (oldest.IsZero() || t.PushedAt.Time.Before(oldest)) {
			oldest = t.PushedAt.Time
		}
	}
	return max(now.Sub(oldest).Seconds(), 0), lifecycle.RuleOf(run.Cause).AnswersPush && !oldest.IsZero()
}
