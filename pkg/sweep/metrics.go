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
	// accounts are the latest of each trigger that is swept here.
	accounts map[types.UID]account
}

// account is what the latest sweep of a trigger says of it.
type account struct {
	trigger     types.NamespacedName
	pushes, gap int64
}

// NewMetrics makes the instruments.
func NewMetrics(meter metric.Meter) (*Metrics, error) {
	recorded, err := recorder.NewMetrics(meter)
	if err != nil {
		return nil, err
	}
	m := &Metrics{Metrics: recorded, accounts: map[types.UID]account{}}
	var errs [6]error
	m.pushes, errs[0] = meter.Int64Counter("revet_sweep_recovered", metric.WithDescription("Pushes that a sweep recorded because no event had brought them, by why that may be."))
	m.sweeps, errs[1] = meter.Int64Counter("revet_sweeps", metric.WithDescription("Sweeps of one trigger, by part and result."))
	m.seconds, errs[2] = meter.Float64Histogram("revet_sweep_duration", metric.WithUnit("s"),
		metric.WithDescription("Time that a sweep took."), metric.WithExplicitBucketBoundaries(.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 600))
	shown, err := meter.Int64ObservableGauge("revet_pushes_shown", metric.WithDescription("Pushes that a trigger answers for, as its latest sweep saw them."))
	errs[3] = err
	gap, err := meter.Int64ObservableGauge("revet_coverage_gap", metric.WithDescription("Pushes that a trigger answers for and that the ledger did not cover after its latest sweep."))
	errs[4] = err
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	_, errs[5] = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, a := range m.accounts {
			of := metric.WithAttributes(attribute.String("namespace", a.trigger.Namespace), attribute.String("trigger", a.trigger.Name))
			o.ObserveInt64(shown, a.pushes, of)
			o.ObserveInt64(gap, a.gap, of)
		}
		return nil
	}, shown, gap)
	return m, errs[5]
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

// tell makes a result the latest of its trigger.
func (m *Metrics) tell(uid types.UID, trigger types.NamespacedName, r Result) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accounts[uid] = account{trigger: trigger, pushes: int64(r.Pushes), gap: int64(r.Gap)}
}

func (m *Metrics) forget(uid types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.accounts, uid)
}
