package app

import (
	"context"
	"fmt"
	"maps"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/util/workqueue"
	knative "knative.dev/pkg/controller"
	kle "knative.dev/pkg/leaderelection"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// part is what runs until its context ends, and the watches that feed it.
type part struct {
	run      []func(context.Context) error
	handlers []handler
}

// parts lists what this program is made of.
func (c *Controller) parts(ctx context.Context) ([]*part, error) {
	election, err := c.election(ctx)
	if err != nil {
		return nil, err
	}
	own := &part{handlers: []handler{
		{&corev1.ConfigMap{}, c.config.Handler()},
		{&v1alpha1.ImageVerification{}, c.index.Handler()},
	}}
	entries, runs, err := c.entries(ctx, election)
	if err != nil {
		return nil, err
	}
	triggers, err := c.triggers(ctx, election, runs)
	if err != nil {
		return nil, err
	}
	return []*part{own, entries, triggers}, nil
}

// newQueue makes the queue of a reconciler. What is returned second works on it,
// for the keys that this process leads.
func (c *Controller) newQueue(ctx context.Context, r knative.Reconciler, name string, component kle.ComponentConfig, concurrency int) (*knative.Impl, func(context.Context) error) {
	impl := knative.NewContext(ctx, r, knative.ControllerOptions{
		WorkQueueName: name,
		// The queue has a line for each pass, which is of no use to anybody.
		Logger:      c.log.WithOptions(zap.IncreaseLevel(zap.WarnLevel)).Sugar(),
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[any](firstRetry, slowestRetry),
		Concurrency: concurrency,
	})
	return impl, func(ctx context.Context) error {
		return impl.Run(kle.WithStandardLeaderElectorBuilder(ctx, c.leases.watch(c.access.kube), component))
	}
}

// election reads how leaders are elected.
func (c *Controller) election(ctx context.Context) (*kle.Config, error) {
	data := map[string]string{
		"buckets":        "1",
		"lease-duration": defaultLeaseDuration.String(),
		"renew-deadline": defaultRenewDeadline.String(),
		"retry-period":   defaultRetryPeriod.String(),
	}
	var configMap corev1.ConfigMap
	err := c.access.live.Get(ctx, client.ObjectKey{Namespace: c.options.SystemNamespace, Name: leaderElectionConfigMap}, &configMap)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading ConfigMap %q: %w", leaderElectionConfigMap, err)
	}
	maps.Copy(data, configMap.Data)
	election, err := kle.NewConfigFromMap(data)
	if err != nil {
		return nil, fmt.Errorf("ConfigMap %q in namespace %q: %w", leaderElectionConfigMap, c.options.SystemNamespace, err)
	}
	if err := validElection(election); err != nil {
		return nil, fmt.Errorf("ConfigMap %q in namespace %q: %w", leaderElectionConfigMap, c.options.SystemNamespace, err)
	}
	return election, nil
}

// validElection refuses times under which nobody would ever lead, or a leader
// would never have enough of its lease left for a request to a sink.
func validElection(e *kle.Config) error {
	// A lease is written in whole seconds, and renewed up to 1.2 retry periods late.
	renewed := time.Duration(leaderelection.JitterFactor * float64(e.RetryPeriod))
	least := leaseMargin + sinkTimeout + 2*renewed
	switch {
	case e.RetryPeriod <= 0:
		return fmt.Errorf("retry-period is %s; it must be positive", e.RetryPeriod)
	case e.RenewDeadline <= renewed:
		return fmt.Errorf("renew-deadline is %s; with a retry-period of %s it must be more than %s", e.RenewDeadline, e.RetryPeriod, renewed)
	case e.LeaseDuration <= e.RenewDeadline:
		return fmt.Errorf("lease-duration is %s; it must be more than renew-deadline, %s", e.LeaseDuration, e.RenewDeadline)
	case e.LeaseDuration.Truncate(time.Second) < least:
		return fmt.Errorf("lease-duration is %s; with a retry-period of %s it must be at least %s, or no request could be sent under the lease",
			e.LeaseDuration, e.RetryPeriod, least)
	default:
		return nil
	}
}
