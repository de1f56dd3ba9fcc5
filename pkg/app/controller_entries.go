package app

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	knative "knative.dev/pkg/controller"
	kle "knative.dev/pkg/leaderelection"
	"knative.dev/pkg/network"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/events"
	"github.com/revet-dev/revet/pkg/controller/imageverification"
	"github.com/revet-dev/revet/pkg/controller/lease"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/tekton"
)

// entries makes the reconciler of ImageVerifications.
func (c *Controller) entries(ctx context.Context, cached cache.Cache, election *kle.Config) (*part, *imageverification.Reconciler, error) {
	const name = "imageverification"
	guard, component := c.leases.Guard(election, name)
	options, err := c.entryOptions(cached)
	if err != nil {
		return nil, nil, err
	}
	options.Lease, options.Ledger = guard, ledger.New(lease.Client{Client: c.access.live, Guard: guard}, c.index)
	if err := imageverification.Index(ctx, cached); err != nil {
		return nil, nil, err
	}
	var impl *knative.Impl
	options.Enqueue = func(key types.NamespacedName) { impl.EnqueueKey(key) } // not before the informers run
	r, err := imageverification.New(options)
	if err != nil {
		return nil, nil, err
	}
	impl, run := c.newQueue(ctx, r, name, component, c.options.Concurrency)
	return &part{run: []func(context.Context) error{run}, handlers: []handler{
		{&v1alpha1.ImageVerification{}, r.EntryHandler()},
		{&v1alpha1.ImageTrigger{}, r.TriggerHandler()}, //nolint:contextcheck // informers give their handlers no context
		{tekton.NewRunObject(), r.RunHandler()},        //nolint:contextcheck // informers give their handlers no context
	}}, r, nil
}

func (c *Controller) entryOptions(cached cache.Cache) (imageverification.Options, error) {
	keys := &requestKeys{live: c.access.live, namespace: c.options.SystemNamespace, log: c.log, now: c.options.Now, make: true}
	sender, err := tekton.NewSender(tekton.SenderOptions{
		Timeout:         sinkTimeout,
		DialTimeout:     sinkDialTimeout,
		IdleConnections: c.options.Concurrency,
		Sign:            keys.sign,
		Services:        c.access.live,
		Listed:          func(host, namespace string) bool { return c.config.Sinks().Allows(host, namespace) },
		ClusterDomain:   network.GetClusterDomainName(),
	})
	if err != nil {
		return imageverification.Options{}, err
	}
	instruments, err := imageverification.NewMetrics(c.metrics.Meter(meterName))
	if err != nil {
		return imageverification.Options{}, err
	}
	emitter, err := c.emitter()
	if err != nil {
		return imageverification.Options{}, err
	}
	return imageverification.Options{
		Cached:   cached,
		Live:     c.access.live,
		Sink:     sender,
		Facts:    &factsReader{live: c.access.live, registry: c.registries},
		Recorder: c.recorder,
		Metrics:  instruments,
		Log:      c.log,
		Now:      c.options.Now,
		Emitter:  emitter,

		Compare: tekton.NewChecker(c.access.live, func(string, string) bool { return false }, c.options.SystemNamespace).Differs,
		Stop: func(ctx context.Context, run types.NamespacedName, uid types.UID) error {
			return tekton.CancelRun(ctx, c.access.live, run, uid)
		},
		SandboxKey:    (&sandboxKey{live: c.access.live, namespace: c.options.SystemNamespace, log: c.log}).read,
		Workers:       c.options.Concurrency,
		MaxConcurrent: c.options.MaxConcurrent,
		Reserve:       c.options.reserve(),
		LongestRun:    c.options.LongestRun,
	}, nil
}

// pendingEvents reports whether an entry has CDEvents to send. It is nil if none are sent.
func (o ControllerOptions) pendingEvents() func(*v1alpha1.ImageVerification) bool {
	if o.EventSink == "" {
		return nil
	}
	return events.Pending
}

// emitter returns nil if no CDEvents are to be sent.
func (c *Controller) emitter() (imageverification.Emitter, error) {
	o := events.DefaultOptions()
	o.Sink, o.Overrides = c.options.EventSink, c.options.EventOverrides
	e, err := events.New(o)
	if err != nil || !e.Enabled() {
		return nil, err
	}
	return e, nil
}
