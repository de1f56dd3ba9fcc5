package app

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/metric"
	"knative.dev/pkg/observability/metrics"
)

// meterName is the scope of all instruments.
const meterName = "github.com/revet-dev/revet"

// newMeterProvider serves metrics on the address, or collects none without one.
func newMeterProvider(ctx context.Context, address string) (*metrics.MeterProvider, error) {
	config := metrics.Config{Protocol: metrics.ProtocolNone}
	if address != "" {
		config = metrics.Config{Protocol: metrics.ProtocolPrometheus, Endpoint: address}
	}
	provider, err := metrics.NewMeterProvider(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("serving metrics on %q: %w", address, err)
	}
	return provider, nil
}

// countProblems shows how many parts of the operator's configuration cannot be used now. The log
// says which.
func countProblems(meter metric.Meter, problems func() []error) error {
	_, err := meter.Int64ObservableGauge("revet_configuration_problems",
		metric.WithDescription("Parts of the configuration that cannot be used now; the log says which."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(int64(len(problems())))
			return nil
		}))
	if err != nil {
		return fmt.Errorf("making the metric of problems: %w", err)
	}
	return nil
}
