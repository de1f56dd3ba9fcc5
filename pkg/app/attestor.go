package app

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	knative "knative.dev/pkg/controller"
	"knative.dev/pkg/logging"
	"knative.dev/pkg/observability/metrics"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/attestation"
	"github.com/revet-dev/revet/pkg/config"
	attestations "github.com/revet-dev/revet/pkg/controller/attestation"
	"github.com/revet-dev/revet/pkg/controller/lease"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/publish"
	"github.com/revet-dev/revet/pkg/version"
)

// Attestor is the program that signs verdicts and attaches them to images. It is a process of
// its own, because nothing else may read the keys. Any number may run; leader election decides
// which one acts.
type Attestor struct {
	options  AttestorOptions
	log      *zap.Logger
	access   *leaderAccess
	leases   *lease.Leases
	config   *config.Store
	keys     *keyDirectory
	events   record.EventBroadcaster
	recorder record.EventRecorder
	health   *health
	server   *server
	metrics  *metrics.MeterProvider

	// onTrust is called when the list of triggers whose verdicts are signed may have changed.
	onTrust atomic.Pointer[func()]
	synced  atomic.Bool
	missing atomic.Pointer[string] // a kind that the cluster does not serve
	failed  chan error
	cancel  context.CancelFunc
	stopped chan struct{}
}

// NewAttestor makes an attestor. It starts nothing and makes no request. Only metrics are
// served at once, because their library does so.
func NewAttestor(ctx context.Context, o AttestorOptions) (*Attestor, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("the attestor's options: %w", err)
	}
	log := o.Log
	if log == nil {
		var err error
		if log, err = newLogger(o.LogLevel); err != nil {
			return nil, err
		}
	}
	access, err := newLeaderAccess(o.Common, "revet-attestor")
	if err != nil {
		return nil, err
	}
	a := &Attestor{
		options: o, log: log, access: access, leases: lease.New(o.Identity, sinkTimeout),
		keys: &keyDirectory{dir: o.Keys, log: log}, events: record.NewBroadcaster(),
		failed: make(chan error, 2), stopped: make(chan struct{}),
	}
	logged := logConfig(log)
	a.config = config.NewStore(o.SystemNamespace, func(object string, err error) {
		logged(object, err)
		if f := a.onTrust.Load(); f != nil && (object == config.AttestationConfigMap || object == config.RegistriesConfigMap) {
			(*f)()
		}
	})
	a.recorder = a.events.NewRecorder(access.scheme, corev1.EventSource{Component: "revet-attestor"})
	if a.metrics, err = newMeterProvider(ctx, o.MetricsAddress); err != nil {
		return nil, err
	}
	if err := countProblems(a.metrics.Meter(meterName), a.problems); err != nil {
		return nil, err
	}
	a.health, a.server = newHealthServer(a.check, o.Now, log)
	return a, nil
}

// Start returns once health is served. The attestor then fills its caches, and acts once it
// leads.
func (a *Attestor) Start(ctx context.Context) error {
	if err := ownNamespace(a.options.SystemNamespace); err != nil {
		return err
	}
	if err := a.server.start(ctx, a.options.HealthAddress); err != nil {
		return err
	}
	// The work outlives ctx. Stop ends it.
	running, cancel := context.WithCancel(logging.WithLogger(context.WithoutCancel(ctx), a.log.Sugar()))
	a.cancel = cancel
	a.events.StartRecordingToSink(a.access.eventSink())
	go func() {
		defer close(a.stopped)
		if err := a.work(running); err != nil && running.Err() == nil {
			a.failed <- err
		}
	}()
	a.log.Info("listening", zap.String("address", a.HealthAddr()))
	return nil
}

// HealthAddr returns the address on which health is served.
func (a *Attestor) HealthAddr() string { return a.server.addr() }

// Stop waits for running work and gives the leases back, so that another process leads at
// once.
func (a *Attestor) Stop(ctx context.Context) error {
	a.health.drain()
	a.log.Info("draining")
	a.cancel()
	var err error
	select {
	case <-a.stopped:
	case <-ctx.Done():
		err = fmt.Errorf("waiting for running work: %w", ctx.Err())
	}
	a.events.Shutdown()
	return errors.Join(err, a.server.drain(ctx, 0), a.metrics.Shutdown(context.WithoutCancel(ctx)))
}

// Run starts the attestor and stops it when ctx ends.
func (a *Attestor) Run(ctx context.Context) error {
	if err := a.Start(ctx); err != nil {
		return err
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-a.failed:
	case err = <-a.server.failed:
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	return errors.Join(err, a.Stop(stopping))
}

func (a *Attestor) check(ctx context.Context) error {
	if kind := a.missing.Load(); kind != nil {
		return fmt.Errorf("the cluster has no %s: install what defines it; the attestor continues by itself", *kind)
	}
	if !a.synced.Load() {
		return errNotSynced
	}
	return ledgerReachable(ctx, a.access.live, a.options.SystemNamespace)
}

// work fills the caches and runs the reconciler until ctx ends.
func (a *Attestor) work(ctx context.Context) error {
	err := awaitKinds(ctx, a.log, a.access.mapper, &a.missing, v1alpha1.GroupVersion.WithKind("ImageTrigger"), v1alpha1.GroupVersion.WithKind("ImageVerification"))
	if err != nil {
		return err
	}
	verifier, err := a.verifier(ctx)
	if err != nil {
		return err
	}
	a.keys.read()
	cached, err := a.newCache()
	if err != nil {
		return err
	}
	r, run, handlers, err := a.reconciler(ctx, cached, verifier)
	if err != nil {
		return err
	}
	if err := observe(ctx, cached, []*part{{handlers: handlers}}); err != nil {
		return err
	}
	// The cache runs until the reconciler has ended.
	caching, stopCache := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCache()
	go func() {
		if err := cached.Start(caching); err != nil {
			a.failed <- fmt.Errorf("watching: %w", err)
		}
	}()
	if !cached.WaitForCacheSync(ctx) {
		return errNotSynced
	}
	if err := feed(ctx, cached, handlers); err != nil {
		return err
	}
	report := a.reporter(r)
	if err := report.watch(a.metrics.Meter(meterName)); err != nil {
		return err
	}
	a.onTrust.Store(new(r.EnqueueAll))
	a.synced.Store(true)
	a.log.Info("caches complete", zap.String("cluster", verifier.Cluster))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { giveBack(ctx); return nil })
	group.Go(func() error { return a.keys.run(ctx, r.EnqueueAll) })
	group.Go(func() error { return report.run(ctx) })
	group.Go(func() error { return run(ctx) })
	return group.Wait()
}

// verifier is who signs. The UID of kube-system is what names a cluster that nobody named.
func (a *Attestor) verifier(ctx context.Context) (attestation.Verifier, error) {
	v := attestation.Verifier{ID: a.options.VerifierID, Version: version.String(), Cluster: a.options.Cluster}
	if v.Cluster != "" {
		return v, nil
	}
	var system corev1.Namespace
	if err := a.access.live.Get(ctx, client.ObjectKey{Name: "kube-system"}, &system); err != nil {
		return v, fmt.Errorf("reading the namespace kube-system, whose UID names the cluster; --cluster names it otherwise: %w", err)
	}
	v.Cluster = string(system.UID)
	return v, nil
}

// newCache caches entries, triggers and the operator's ConfigMaps.
func (a *Attestor) newCache() (cache.Cache, error) {
	options := attestorCache(a.options.SystemNamespace)
	options.HTTPClient, options.Scheme, options.Mapper = a.access.http, a.access.scheme, a.access.mapper
	c, err := cache.New(a.access.config, options)
	if err != nil {
		return nil, fmt.Errorf("making the cache: %w", err)
	}
	return c, nil
}

// attestorCache says what the cache keeps.
func attestorCache(systemNamespace string) cache.Options {
	return cache.Options{
		DefaultTransform:            attestations.Trim,
		ReaderFailOnMissingInformer: true,
		ByObject: map[client.Object]cache.ByObject{
			&corev1.ConfigMap{}: {Namespaces: map[string]cache.Config{systemNamespace: {}}},
		},
	}
}

func (a *Attestor) reconciler(ctx context.Context, cached cache.Cache, verifier attestation.Verifier) (*attestations.Reconciler, func(context.Context) error, []handler, error) {
	const name = "attestation"
	election, err := a.leases.Election(ctx, a.access.live, a.options.SystemNamespace)
	if err != nil {
		return nil, nil, nil, err
	}
	guard, component := a.leases.Guard(election, name)
	instruments, err := attestations.NewMetrics(a.metrics.Meter(meterName))
	if err != nil {
		return nil, nil, nil, err
	}
	var impl *knative.Impl                           // set before the informers run
	r, err := attestations.New(attestations.Options{ //nolint:contextcheck // opening a repository has no context
		Cached: cached, Live: lease.Client{Client: a.access.live, Guard: guard}, Lease: guard,
		Open: a.open, Keys: a.keys.Ring, Verifier: verifier, Recheck: a.options.Recheck,
		Trusts:       func(namespace, trigger string) bool { return a.config.Attested().Has(namespace, trigger) },
		Enqueue:      func(key types.NamespacedName) { impl.EnqueueKey(key) },
		EnqueueAfter: func(key types.NamespacedName, after time.Duration) { impl.EnqueueKeyAfter(key, after) },
		Recorder:     a.recorder, Log: a.log, Now: a.options.Now, Jitter: rand.Float64, Metrics: instruments,
	})
	if err != nil {
		return nil, nil, nil, err
	}
	impl, run := newQueue(ctx, a.log, a.leases.Watch(a.access.kube), r, name, component, a.options.Concurrency)
	return r, run, []handler{
		{&corev1.ConfigMap{}, a.config.Handler()},
		{&v1alpha1.ImageTrigger{}, r.TriggerHandler()}, //nolint:contextcheck // informers give their handlers no context
		{&v1alpha1.ImageVerification{}, r.EntryHandler()},
	}, nil
}

// open returns a repository that the operator lets triggers of a namespace use. The
// credentials are those of the attestor's own docker configuration.
func (a *Attestor) open(namespace string, r image.Repository) (attestations.Registry, error) {
	insecure, ok := a.config.Policy(r.Host(), namespace)
	if !ok {
		return nil, oci.Errorf(oci.ReasonRefused, "registry "+r.Host(), "the operator does not list it for namespace %q; add it to the ConfigMap %s in %s",
			namespace, config.RegistriesConfigMap, a.options.SystemNamespace)
	}
	var hosts []string
	if insecure {
		hosts = []string{r.Host()}
	}
	trust, err := fetch.NewTrust(hosts, a.config.Authorities(r.Host()))
	if err != nil {
		return nil, err
	}
	return publish.NewRegistry(r, fetch.Options{
		Trust: trust, Keychain: authn.DefaultKeychain, Stall: registryStall,
		Patience: fetch.Patience{Repeats: 2, Waits: 2, Longest: registryWait, Total: registryTotal},
	})
}

// A request to a registry is made under a lease, which ends after some ten seconds. What takes
// longer is tried again.
const (
	registryStall = 5 * time.Second
	registryWait  = 2 * time.Second
	registryTotal = 8 * time.Second
)
