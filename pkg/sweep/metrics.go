package sweep

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/recorder"
)

// Metrics counts sweeps, what they recover, and what they leave open.
type Metrics struct {
	*recorder.Metrics
	pushes  metric.Int64Counter
	sweeps  metric.Int64Counter
	seconds metric.Float64Histogram

	mu sync.Mutex
	// reports are the latest of each trigger that is swept here.
	reports map[types.UID]report
	maxAge  time.Duration
	now     func() time.Time
}

// report is what the latest sweep of a trigger says.
type report struct {
	trigger types.NamespacedName
	// startedAt is when the sweep began; zero before the first one of the trigger's spec.
	startedAt   time.Time
	pushes, gap int64
	// unknown counts what the sweep could not see, by reason.
	unknown map[string]int64
}

// NewMetrics makes the instruments.
func NewMetrics(meter metric.Meter) (*Metrics, error) {
	recorded, err := recorder.NewMetrics(meter)
	if err != nil {
		return nil, err
	}
	m := &Metrics{Metrics: recorded, reports: map[types.UID]report{}, maxAge: time.Hour, now: time.Now}
	var errs [7]error
	m.pushes, errs[0] = meter.Int64Counter("revet_sweep_recovered", metric.WithDescription("Pushes that a sweep recorded because no event had brought them, by why that may be."))
	m.sweeps, errs[1] = meter.Int64Counter("revet_sweeps", metric.WithDescription("Sweeps of one trigger, by part and result."))
	m.seconds, errs[2] = meter.Float64Histogram("revet_sweep_duration", metric.WithUnit("s"),
		metric.WithDescription("Time that a sweep took."), metric.WithExplicitBucketBoundaries(.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 600))
	shown, err := meter.Int64ObservableGauge("revet_pushes_shown", metric.WithDescription("Pushes that a trigger answers for, as its latest sweep saw them."))
	errs[3] = err
	gap, err := meter.Int64ObservableGauge("revet_coverage_gap", metric.WithDescription(
		"Pushes that a trigger answers for and that the ledger did not cover after its latest sweep. No 0 is shown while it is not known."))
	errs[4] = err
	unknown, err := meter.Int64ObservableGauge("revet_coverage_not_known", metric.WithDescription(
		"How often the latest sweep of a trigger could not see something, by reason. While there is any, the trigger's coverage is not known."))
	errs[5] = err
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	_, errs[6] = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, r := range m.reports {
			r.observe(o, m.now().Sub(r.startedAt) > m.maxAge, shown, gap, unknown)
		}
		return nil
	}, shown, gap, unknown)
	return m, errs[6]
}

// observe shows a report. What was not seen is never shown as 0.
func (r *report) observe(o metric.Observer, old bool, shown, gap, unknown metric.Int64Observable) {
	of := []attribute.KeyValue{attribute.String("namespace", r.trigger.Namespace), attribute.String("trigger", r.trigger.Name)}
	for reason, n := range r.unknown {
		o.ObserveInt64(unknown, n, metric.WithAttributes(append(of[:2:2], attribute.String("reason", reason))...))
	}
	if r.startedAt.IsZero() {
		return // nobody has looked
	}
	if old {
		o.ObserveInt64(unknown, 1, metric.WithAttributes(append(of[:2:2], attribute.String("reason", SweepTooOld))...))
	}
	o.ObserveInt64(shown, r.pushes, metric.WithAttributes(of...))
	if r.gap > 0 || (len(r.unknown) == 0 && !old) {
		o.ObserveInt64(gap, r.gap, metric.WithAttributes(of...))
	}
}

// showFor sets how long a report is shown as it is.
func (m *Metrics) showFor(maxAge time.Duration, now func() time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.maxAge, m.now = maxAge, now
}

func (m *Metrics) recovered(ctx context.Context, why Missed) {
	m.pushes.Add(ctx, 1, metric.WithAttributes(attribute.String("reason", string(why))))
}

func (m *Metrics) swept(ctx context.Context, part, reason string, took time.Duration) {
	if reason == "" {
		reason = "Complete"
	}
	m.sweeps.Add(ctx, 1, metric.WithAttributes(attribute.String("part", part), attribute.String("result", reason)))
	m.seconds.Record(ctx, took.Seconds(), metric.WithAttributes(attribute.String("part", part)))
}

// report makes a result the latest of its trigger.
func (m *Metrics) report(uid types.UID, trigger types.NamespacedName, r Result) {
	latest := report{trigger: trigger, startedAt: r.StartedAt, pushes: int64(r.Pushes), gap: int64(r.Gap), unknown: map[string]int64{}}
	for _, u := range r.Unknown {
		latest.unknown[u.Reason] += int64(u.Count)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reports[uid] = latest
}

// unknown shows that nothing is known of a trigger, and why.
func (m *Metrics) unknown(uid types.UID, trigger types.NamespacedName, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reports[uid] = report{trigger: trigger, unknown: map[string]int64{reason: 1}}
}

func (m *Metrics) forget(uid types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.reports, uid)
}
