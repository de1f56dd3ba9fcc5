package app

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/record"
	"knative.dev/pkg/logging"
	"knative.dev/pkg/observability/metrics"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/config"
	"github.com/revet-dev/revet/pkg/controller/lease"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/source/registry"
	"github.com/revet-dev/revet/pkg/tekton"
)

// Controller is the program that takes the ledger's entries to their verdicts. Any number
// may run; leader election decides which one acts.
type Controller struct {
	options ControllerOptions
	log     *zap.Logger
	access  *controllerAccess
	leases  *lease.Leases
	config  *config.Store
	// registries is shared, so that a registry's request for a pause applies everywhere.
	registries *registry.Reader
	index      *ledger.Index
	ledger     *ledger.Ledger
	events     record.EventBroadcaster
	recorder   record.EventRecorder
	health     *health
	server     *server
	metrics    *metrics.MeterProvider

	// onGateConfig is called when what the operator says of gates may have changed.
	onGateConfig atomic.Pointer[func()]
	synced       atomic.Bool
	missing      atomic.Pointer[string] // a kind that the cluster does not serve
	failed       chan error
	cancel       context.CancelFunc
	stopped      chan struct{}
}

// NewController makes a controller. It starts nothing and makes no request. Only metrics
// are served at once, because their library does so.
func NewController(ctx context.Context, o ControllerOptions) (*Controller, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("the controller's options: %w", err)
	}
	log := o.Log
	if log == nil {
		var err error
		if log, err = newLogger(o.LogLevel); err != nil {
			return nil, err
		}
	}
	access, err := newControllerAccess(o)
	if err != nil {
		return nil, err
	}
	c := &Controller{
		options: o, log: log, access: access,
		leases:  lease.New(o.Identity, sinkTimeout),
		index:   ledger.NewIndex(o.Now),
		events:  record.NewBroadcaster(),
		failed:  make(chan error, 2),
		stopped: make(chan struct{}),
	}
	logged := logConfig(log)
	c.config = config.NewStore(o.SystemNamespace, func(object string, err error) {
		logged(object, err)
		if f := c.onGateConfig.Load(); f != nil && object == config.GateConfigMap {
			(*f)()
		}
	})
	c.registries = registry.NewReader(registry.New(c.config.Policy).Trusting(c.config.Authorities), c.access.live, c.options.Now)
	c.ledger = ledger.New(access.live, c.index)
	c.recorder = c.events.NewRecorder(access.scheme, eventSource())
	if c.metrics, err = newMeterProvider(ctx, o.MetricsAddress); err != nil {
		return nil, err
	}
	if err := countProblems(c.metrics.Meter(meterName), c.config.Problems); err != nil {
		return nil, err
	}
	c.health, c.server = newHealthServer(c.check, o.Now, log)
	return c, nil
}

// Start returns once health is served. The controller then fills its caches, and acts
// once it leads.
func (c *Controller) Start(ctx context.Context) error {
	if err := ownNamespace(c.options.SystemNamespace); err != nil {
		return err
	}
	if err := c.server.start(ctx, c.options.HealthAddress); err != nil {
		return err
	}
	// The work outlives ctx. Stop ends it.
	running, cancel := context.WithCancel(logging.WithLogger(context.WithoutCancel(ctx), c.log.Sugar()))
	c.cancel = cancel
	c.events.StartRecordingToSink(c.access.eventSink())
	go func() {
		defer close(c.stopped)
		if err := c.work(running); err != nil && running.Err() == nil {
			c.failed <- err
		}
	}()
	c.log.Info("listening", zap.String("address", c.HealthAddr()))
	return nil
}

// HealthAddr returns the address on which health is served.
func (c *Controller) HealthAddr() string { return c.server.addr() }

// Stop waits for running work and gives the leases back, so that another process leads
// at once.
func (c *Controller) Stop(ctx context.Context) error {
	c.health.drain()
	c.log.Info("draining")
	c.cancel()
	var err error
	select {
	case <-c.stopped:
	case <-ctx.Done():
		err = fmt.Errorf("waiting for running work: %w", ctx.Err())
	}
	c.events.Shutdown()
	return errors.Join(err, c.server.drain(ctx, 0), c.metrics.Shutdown(context.WithoutCancel(ctx)))
}

// Run starts the controller and stops it when ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	if err := c.Start(ctx); err != nil {
		return err
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-c.failed:
	case err = <-c.server.failed:
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	return errors.Join(err, c.Stop(stopping))
}

// work fills the caches and runs the reconcilers until ctx ends.
func (c *Controller) work(ctx context.Context) error {
	if err := c.awaitKinds(ctx); err != nil {
		return err
	}
	// A failure that broke a watch of this process may have broken those of the sources
	// too. No informer runs before sweepAll is set.
	var sweepAll func()
	cached, err := newControllerCache(c.access.apiAccess, c.access.mapper, c.options.SystemNamespace, c.options.pendingEvents(), func() { sweepAll() })
	if err != nil {
		return err
	}
	parts, sweepAll, err := c.parts(ctx, cached)
	if err != nil {
		return err
	}
	if err := observe(ctx, cached, parts); err != nil {
		return err
	}
	// The cache runs until the reconcilers have ended.
	caching, stopCache := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCache()
	go func() {
		if err := cached.Start(caching); err != nil {
			c.failed <- fmt.Errorf("watching: %w", err)
		}
	}()
	if !cached.WaitForCacheSync(ctx) {
		return errNotSynced
	}
	for _, p := range parts {
		if err := feed(ctx, cached, p.handlers); err != nil {
			return err
		}
	}
	c.synced.Store(true)
	c.log.Info("caches complete")
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { giveBack(ctx); return nil })
	for _, p := range parts {
		for _, run := range p.run {
			group.Go(func() error { return run(ctx) })
		}
	}
	return group.Wait()
}

func (c *Controller) check(ctx context.Context) error {
	if kind := c.missing.Load(); kind != nil {
		return fmt.Errorf("the cluster has no %s: install what defines it; the controller continues by itself", *kind)
	}
	if !c.synced.Load() {
		return errNotSynced
	}
	return ledgerReachable(ctx, c.access.live, c.options.SystemNamespace)
}

// awaitKinds waits until the cluster serves the kinds that the controller cannot do
// without, because Revet may be installed before Tekton.
func (c *Controller) awaitKinds(ctx context.Context) error {
	return awaitKinds(ctx, c.log, c.access.mapper, &c.missing,
		v1alpha1.GroupVersion.WithKind("ImageTrigger"), v1alpha1.GroupVersion.WithKind("ImageVerification"), tekton.RunKind)
}

// awaitKinds waits until the cluster serves all kinds. missing names the one it waits for.
func awaitKinds(ctx context.Context, log *zap.Logger, mapper meta.RESTMapper, missing *atomic.Pointer[string], kinds ...schema.GroupVersionKind) error {
	for _, kind := range kinds {
		for logged := false; ; logged = true {
			_, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
			if err == nil {
				break
			}
			if !logged {
				log.Warn("waiting for a kind that the cluster does not serve", zap.Stringer("kind", kind), zap.Error(err))
			}
			name := kind.String()
			missing.Store(&name)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(kindRetry):
			}
		}
	}
	missing.Store(nil)
	return nil
}

// giveBack returns unused memory to the system. Listing all entries leaves several times
// the memory of the cache behind, which would otherwise count while the controller idles.
func giveBack(ctx context.Context) {
	timer := time.NewTimer(memoryFirst)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			debug.FreeOSMemory()
			timer.Reset(memoryInterval)
		case <-ctx.Done():
			return
		}
	}
}
