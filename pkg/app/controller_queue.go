package app

import (
	"context"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"
	knative "knative.dev/pkg/controller"
	kle "knative.dev/pkg/leaderelection"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// part is work that runs until its context ends, and the watches that feed it.
type part struct {
	run      []func(context.Context) error
	handlers []handler
}

// parts makes what this program consists of, over a cache that has not started yet. The
// second result has all triggers swept.
func (c *Controller) parts(ctx context.Context, cached cache.Cache) (all []*part, sweepAll func(), err error) {
	election, err := c.leases.Election(ctx, c.access.live, c.options.SystemNamespace)
	if err != nil {
		return nil, nil, err
	}
	own := &part{handlers: []handler{
		{&corev1.ConfigMap{}, c.config.Handler()},
		{&v1alpha1.ImageVerification{}, c.index.Handler()},
	}}
	entries, runs, err := c.entries(ctx, cached, election)
	if err != nil {
		return nil, nil, err
	}
	triggers, sweepAll, err := c.triggers(ctx, cached, election, runs)
	if err != nil {
		return nil, nil, err
	}
	gates, err := c.gates(ctx, cached, election)
	if err != nil {
		return nil, nil, err
	}
	return []*part{own, entries, triggers, gates}, sweepAll, nil
}

// newQueue makes the queue of a reconciler. The function that it returns processes the
// keys that this process leads.
func (c *Controller) newQueue(ctx context.Context, r knative.Reconciler, name string, component kle.ComponentConfig, concurrency int) (*knative.Impl, func(context.Context) error) {
	return newQueue(ctx, c.log, c.leases.Watch(c.access.kube), r, name, component, concurrency)
}

// newQueue makes the queue of a reconciler, whose leases are read and written by a client
// that notes them.
func newQueue(ctx context.Context, log *zap.Logger, leases kubernetes.Interface, r knative.Reconciler, name string, component kle.ComponentConfig, concurrency int) (*knative.Impl, func(context.Context) error) {
	impl := knative.NewContext(ctx, r, knative.ControllerOptions{
		WorkQueueName: name,
		// The queue logs a line for each pass, which helps nobody.
		Logger:      log.WithOptions(zap.IncreaseLevel(zap.WarnLevel)).Sugar(),
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[any](firstRetry, slowestRetry),
		Concurrency: concurrency,
	})
	return impl, func(ctx context.Context) error {
		return impl.Run(kle.WithStandardLeaderElectorBuilder(ctx, leases, component))
	}
}
