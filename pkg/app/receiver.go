package app

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"knative.dev/pkg/observability/metrics"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/intake"
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/receiver"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
	"github.com/revet-dev/revet/pkg/source/registry"
)

// rightTrust is how long the receiver believes that an account may get a stream, or may not.
// Who loses the right may be shown pushes for that much longer, and who is granted it in another
// namespace than its own sees none for as long; see source.Rights.
const rightTrust = 10 * time.Second

// Receiver is the program that takes events and records pushes.
type Receiver struct {
	options ReceiverOptions
	log     *zap.Logger
	live    client.Client
	watches *receiverWatches
	health  *health
	// probes, server and interceptor serve health, events, and EventListeners; the last may be nil.
	probes, server, interceptor *server
	metrics                     *metrics.MeterProvider
	intake                      *intake.Intake

	// sleep replaces the pauses before a tag is looked at again, in tests.
	sleep func(context.Context, time.Duration) error

	synced atomic.Bool
	failed chan error
	cancel context.CancelFunc
}

// NewReceiver makes a receiver. It starts nothing and speaks to nobody, but for
// metrics, whose library begins to serve when it is made.
func NewReceiver(ctx context.Context, o ReceiverOptions) (*Receiver, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("the receiver's options: %w", err)
	}
	log := o.Log
	if log == nil {
		var err error
		if log, err = newLogger(o.LogLevel); err != nil {
			return nil, err
		}
	}
	r := &Receiver{options: o, log: log, failed: make(chan error, 1)}
	restConfig, err := o.restConfig()
	if err != nil {
		return nil, err
	}
	scheme, err := kube.NewScheme()
	if err != nil {
		return nil, err
	}
	api, err := newAPIAccess(restConfig, scheme, "revet-receiver")
	if err != nil {
		return nil, err
	}
	mapper := receiverMapper()
	if r.live, err = client.New(api.config, client.Options{HTTPClient: api.http, Scheme: scheme, Mapper: mapper}); err != nil {
		return nil, fmt.Errorf("making a client of the API server: %w", err)
	}
	if r.metrics, err = newMeterProvider(ctx, o.MetricsAddress); err != nil {
		return nil, err
	}
	instruments, err := intake.NewMetrics(r.metrics.Meter(meterName))
	if err != nil {
		return nil, fmt.Errorf("making the metrics: %w", err)
	}
	if r.watches, err = newReceiverWatches(ctx, api, mapper, o, log); err != nil {
		return nil, err
	}
	r.serve(r.watches, instruments)
	if err := countProblems(r.metrics.Meter(meterName), r.watches.config.Problems); err != nil {
		return nil, err
	}
	if o.InterceptorAddress == "" {
		return r, nil
	}
	if err := r.intercept(r.metrics.Meter(meterName)); err != nil {
		return nil, err
	}
	return r, nil
}

// intercept wires what EventListeners ask. It needs none of the caches.
func (r *Receiver) intercept(meter metric.Meter) error {
	keys := &requestKeys{live: r.live, namespace: r.options.SystemNamespace, log: r.log, now: r.options.Now}
	handler, err := receiver.NewInterceptor(keys.named, interceptorLimits(), meter, r.log, r.options.Now)
	if err != nil {
		return err
	}
	r.interceptor = newServer(handler, r.log)
	r.interceptor.connections.address = maxConnectionsOfListener
	return nil
}

// serve wires the handlers.
func (r *Receiver) serve(w *receiverWatches, instruments *intake.Metrics) {
	cluster := openshift.NewReader(r.live, source.NewRights(r.live, rightTrust, time.Now))
	namespaces := &namespaceLabels{cached: w.namespaces, live: r.live}
	r.intake = intake.New(intake.Dependencies{
		Triggers:        w.triggers,
		Namespaces:      namespaces,
		IsKnown:         namespaces.isKnown,
		Cluster:         cluster,
		Remembered:      cluster.Remembered,
		Registry:        registry.NewReader(registry.New(w.config.Policy).Trusting(w.config.Authorities), r.live, r.options.Now),
		Ledger:          ledger.New(r.live, w.index),
		Metrics:         instruments,
		Log:             r.log,
		Now:             r.options.Now,
		Sleep:           r.sleep,
		RegistryTimeout: registryTimeout,
	})
	r.health, r.probes = newHealthServer(r.check, r.options.Now, r.log)
	handler := receiver.NewHandler(r.intake, webhooks{w.config}, receiverLimits(), r.synced.Load)
	if audience := r.options.OIDCAudience; audience != "" {
		handler.Authenticate(receiver.NewTokens(r.live, audience, time.Now))
	}
	r.server = newServer(handler, r.log)
}

var errNotSynced = errors.New("the caches are not complete yet; if this lasts, look whether the CustomResourceDefinitions are installed and the receiver's account may watch them")

func (r *Receiver) check(ctx context.Context) error {
	if !r.synced.Load() {
		return errNotSynced
	}
	return ledgerReachable(ctx, r.live, r.options.SystemNamespace)
}

// Start returns once the receiver listens. It answers 503 until its caches are
// complete.
func (r *Receiver) Start(ctx context.Context) error {
	if err := r.listen(ctx); err != nil {
		return err
	}
	// The watches outlive ctx: requests are still served while Stop drains.
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		if err := r.watches.start(ctx); err != nil {
			r.failed <- fmt.Errorf("watching: %w", err)
		}
	}()
	go func() {
		if !r.watches.wait(ctx) {
			return
		}
		r.synced.Store(true)
		go r.intake.Run(ctx)
		// Listing leaves several times of what is kept behind as garbage. Given
		// back now, it does not count for as long as the receiver is idle.
		debug.FreeOSMemory()
		r.log.Info("caches complete", zap.Int("triggers", r.watches.triggers.Len()), zap.Int("repositories", r.watches.index.Len()))
	}()
	r.log.Info("listening", zap.String("address", r.Addr()), zap.String("health", r.HealthAddr()), zap.String("interceptor", r.InterceptorAddr()))
	return nil
}

func (r *Receiver) listen(ctx context.Context) error {
	if err := r.probes.start(ctx, r.options.HealthAddress); err != nil {
		return err
	}
	if r.interceptor != nil {
		if err := r.interceptor.start(ctx, r.options.InterceptorAddress); err != nil {
			return err
		}
	}
	return r.server.start(ctx, r.options.Address)
}

// Addr returns the address on which the receiver takes events.
func (r *Receiver) Addr() string { return r.server.addr() }

// HealthAddr returns the address on which health is served.
func (r *Receiver) HealthAddr() string { return r.probes.addr() }

// InterceptorAddr returns the address on which EventListeners are answered, or "".
func (r *Receiver) InterceptorAddr() string {
	if r.interceptor == nil {
		return ""
	}
	return r.interceptor.addr()
}

// Stop drains: the Services are given time to send elsewhere, what is under way
// is answered, then the watches and the probes end.
func (r *Receiver) Stop(ctx context.Context) error {
	r.health.drain()
	r.log.Info("draining")
	var group errgroup.Group
	for _, s := range []*server{r.server, r.interceptor} {
		if s != nil {
			group.Go(func() error { return s.drain(ctx, r.options.DrainDelay) })
		}
	}
	err := group.Wait()
	r.cancel()
	return errors.Join(err, r.probes.drain(ctx, 0), r.metrics.Shutdown(context.WithoutCancel(ctx)))
}

// Run starts the receiver and stops it when ctx ends.
func (r *Receiver) Run(ctx context.Context) error {
	if err := r.Start(ctx); err != nil {
		return err
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-r.failed:
	case err = <-r.server.failed:
	case err = <-r.probes.failed:
	case err = <-r.interceptorFailed():
	}
	return errors.Join(err, r.Stop(context.WithoutCancel(ctx)))
}

// interceptorFailed returns nil, on which nothing comes, if none is served.
func (r *Receiver) interceptorFailed() <-chan error {
	if r.interceptor == nil {
		return nil
	}
	return r.interceptor.failed
}

// logTrigger logs a trigger that cannot be used. Its owner sees that in its conditions.
func logTrigger(log *zap.Logger) func(*v1alpha1.ImageTrigger, error) {
	return func(t *v1alpha1.ImageTrigger, err error) {
		log.Warn("trigger cannot be used", zap.String("trigger", t.Name), zap.String("namespace", t.Namespace), zap.Error(err))
	}
}

func logConfig(log *zap.Logger) func(string, error) {
	return func(object string, err error) {
		if err != nil {
			log.Error("configuration cannot be used", zap.String("object", object), zap.Error(err))
			return
		}
		log.Info("configuration read", zap.String("object", object))
	}
}
