package app

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	kle "knative.dev/pkg/leaderelection"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/events"
	"github.com/revet-dev/revet/pkg/controller/imageverification"
	"github.com/revet-dev/revet/pkg/tekton"
)

// entries makes the reconciler of ImageVerifications.
func (c *Controller) entries(ctx context.Context, election *kle.Config) (*part, *imageverification.Reconciler, error) {
	const name = "imageverification"
	lease, component := c.leases.guard(election, name)
	options, err := c.entryOptions()
	if err != nil {
		return nil, nil, err
	}
	options.Lease, options.Ledger = lease, leasedLedger{c.ledger, lease}
	if err := imageverification.Index(ctx, c.access.cache); err != nil {
		return nil, nil, err
	}
	r, err := imageverification.New(options)
	if err != nil {
		return nil, nil, err
	}
	impl, run := c.newQueue(ctx, r, name, component, c.options.Concurrency)
	r.SetQueue(impl)
	return &part{run: []func(context.Context) error{run}, handlers: []handler{
		{&v1alpha1.ImageVerification{}, r.EntryHandler()},
		{&v1alpha1.ImageTrigger{}, r.TriggerHandler()}, //nolint:contextcheck // informers give their handlers no context
		{tekton.NewRunObject(), r.RunHandler()},        //nolint:contextcheck // informers give their handlers no context
	}}, r, nil
}

func (c *Controller) entryOptions() (imageverification.Options, error) {
	sender, err := tekton.NewSender(tekton.SenderOptions{
		Timeout:         sinkTimeout,
		DialTimeout:     sinkDialTimeout,
		IdleConnections: c.options.Concurrency,
	})
	if err != nil {
		return imageverification.Options{}, err
	}
	instruments, err := imageverification.NewMetrics(c.metrics.Meter(meterName))
	if err != nil {
		return imageverification.Options{}, err
	}
	tell, err := c.emitter()
	if err != nil {
		return imageverification.Options{}, err
	}
	return imageverification.Options{
		Cached:   c.access.cache,
		Live:     c.access.live,
		Sink:     sender,
		Facts:    &factsReader{live: c.access.live, registry: c.registries},
		Recorder: c.recorder,
		Metrics:  instruments,
		Log:      c.log,
		Now:      c.options.Now,
		Emitter:  tell,

		Stop: func(ctx context.Context, run types.NamespacedName, uid types.UID) error {
			return tekton.CancelRun(ctx, c.access.live, run, uid)
		},
		SandboxKey:    (&sandboxKey{live: c.access.live, namespace: c.options.SystemNamespace, log: c.log}).read,
		MaxConcurrent: c.options.MaxConcurrent,
	}, nil
}

// emitter returns nil if no CDEvents are wanted.
func (c *Controller) emitter() (imageverification.Emitter, error) {
	o := events.DefaultOptions()
	o.Sink, o.Overrides = c.options.EventSink, c.options.EventOverrides
	e, err := events.New(o)
	if err != nil || !e.Enabled() {
		return nil, err
	}
	return e, nil
}
