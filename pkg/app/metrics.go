package app

import (
	"context"
	"fmt"

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
