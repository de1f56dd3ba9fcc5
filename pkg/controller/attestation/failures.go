package attestation

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/publish"
)

// counted are the reasons that have a label of their own.
var counted = []oci.Reason{
	oci.ReasonNotAnImage, oci.ReasonUnreadable, oci.ReasonCorrupted, oci.ReasonMissing, oci.ReasonTooLarge, oci.ReasonTimedOut,
	oci.ReasonDenied, oci.ReasonRefused, oci.ReasonPushRefused, oci.ReasonRateLimited, oci.ReasonUnavailable,
}

func newFailures(m metric.Meter) (metric.Int64Counter, error) {
	const name = "revet_attestation_failures"
	c, err := m.Int64Counter(name, metric.WithDescription("What registries refused or did not answer, by what was asked (open, read, push, remove) and reason."))
	if err != nil {
		return nil, fmt.Errorf("metric %q: %w", name, err)
	}
	return c, nil
}

// failed counts an error of a registry by its reason, whether or not it passes by itself.
func (m *Metrics) failed(ctx context.Context, asked string, err error) {
	var e *oci.Error
	if m == nil || !errors.As(err, &e) {
		return
	}
	reason := string(e.Reason)
	if !slices.Contains(counted, e.Reason) {
		reason = "Other" // a label has few values, whatever comes to be a reason
	}
	m.failures.Add(ctx, 1, metric.WithAttributes(attribute.String("asked", asked), attribute.String("reason", reason)))
}

// counting returns an open whose registries count what they do not do.
func (m *Metrics) counting(open func(string, image.Repository) (Registry, error)) func(string, image.Repository) (Registry, error) {
	return func(namespace string, r image.Repository) (Registry, error) {
		to, err := open(namespace, r)
		if err != nil {
			m.failed(context.Background(), "open", err) // it sends no request, and has no context
			return nil, err
		}
		return countedRegistry{to, m}, nil
	}
}

type countedRegistry struct {
	Registry

	metrics *Metrics
}

func (c countedRegistry) Describe(ctx context.Context, d image.Digest) (oci.Descriptor, error) {
	found, err := c.Registry.Describe(ctx, d)
	c.metrics.failed(ctx, "read", err)
	return found, err
}

func (c countedRegistry) Listed(ctx context.Context, subject image.Digest, manifests ...image.Digest) (bool, error) {
	listed, err := c.Registry.Listed(ctx, subject, manifests...)
	c.metrics.failed(ctx, "read", err)
	return listed, err
}

func (c countedRegistry) Push(ctx context.Context, a publish.Artifact) (image.Digest, error) {
	pushed, err := c.Registry.Push(ctx, a)
	c.metrics.failed(ctx, "push", err)
	return pushed, err
}

func (c countedRegistry) Remove(ctx context.Context, subject image.Digest, manifests ...image.Digest) error {
	err := c.Registry.Remove(ctx, subject, manifests...)
	c.metrics.failed(ctx, "remove", err)
	return err
}
