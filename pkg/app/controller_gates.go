package app

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	knative "knative.dev/pkg/controller"
	kle "knative.dev/pkg/leaderelection"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imagegate"
	"github.com/revet-dev/revet/pkg/controller/lease"
	"github.com/revet-dev/revet/pkg/gate"
)

const (
	// gateConcurrency is how many gates are looked at at once.
	gateConcurrency = 2
)

// gates makes the reconciler of ImageGates. It has a cache of its own, so that a cluster
// whose kinds are missing, or are taken away, costs nothing but the gates.
func (c *Controller) gates(ctx context.Context, entries cache.Cache, election *kle.Config) (*part, error) {
	const name = "imagegate"
	guard, component := c.leases.Guard(election, name)
	own, err := newGateCache(c.access.apiAccess, c.access.mapper, c.options.SystemNamespace)
	if err != nil {
		return nil, err
	}
	var impl *knative.Impl // set before the informers run
	var r *imagegate.Reconciler
	discovered, err := discovery.NewDiscoveryClientForConfigAndClient(c.access.config, c.access.http)
	if err != nil {
		return nil, fmt.Errorf("making the client of discovery: %w", err)
	}
	mutating := &mutatingPolicies{
		find: func() (string, error) { return servedMutating(discovered) },
		watch: func(ctx context.Context, version string) error {
			return watchMutating(ctx, own, version, r.OwnedHandler())
		},
		unwatch: func(ctx context.Context, version string) { unwatchMutating(ctx, own, c.log, version) },
		changed: func() { r.EnqueueAll() },
		log:     c.log,
		again:   make(chan struct{}, 1),
	}
	observer, err := c.observer(own, func() *imagegate.Reconciler { return r })
	if err != nil {
		return nil, err
	}
	key := func(gate string) types.NamespacedName { return types.NamespacedName{Name: gate} }
	r, err = imagegate.New(imagegate.Options{
		Entries:     entries,
		Cached:      own,
		Live:        lease.Client{Client: c.access.live, Guard: guard},
		Lease:       guard,
		Running:     observer,
		Compile:     gate.Compile,
		Exclude:     func() []string { return c.config.Exclusion() },
		Controllers: func() []string { return c.config.Controllers() },
		Mutating:    mutating.version,
		NotFound:    mutating.lookAgain,

		Enqueue:      func(gate string) { impl.EnqueueKey(key(gate)) },
		EnqueueAfter: func(gate string, after time.Duration) { impl.EnqueueKeyAfter(key(gate), after) },
		Recorder:     c.recorder,
		Log:          c.log,
		Now:          c.options.Now,

		SystemNamespace: c.options.SystemNamespace,
		ProbeNamespace:  gate.ProbeNamespace,
		Rate:            c.options.GateWriteRate,
		Window:          gate.DefaultBudgetWindow,
		Limits:          gate.LimitsOf(c.options.GateSplit),
	})
	if err != nil {
		return nil, err
	}
	c.onGateConfig.Store(new(r.EnqueueAll))
	impl, run := c.newQueue(ctx, r, name, component, gateConcurrency)
	return &part{
		run: []func(context.Context) error{func(ctx context.Context) error {
			if err := c.startGates(ctx, own, r, observer, mutating); err != nil {
				return err
			}
			group, ctx := errgroup.WithContext(ctx)
			group.Go(func() error { return observer.Run(ctx) })
			group.Go(func() error { return mutating.run(ctx) })
			group.Go(func() error { return run(ctx) })
			return group.Wait()
		}},
		handlers: []handler{
			{&v1alpha1.ImageVerification{}, r.EntryHandler()},
			{&v1alpha1.ImageTrigger{}, r.TriggerHandler()},
		},
	}, nil
}

// startGates waits until the cluster serves the kinds of gates, and fills their cache.
func (c *Controller) startGates(ctx context.Context, own cache.Cache, r *imagegate.Reconciler, observer *imagegate.Observer, mutating *mutatingPolicies) error {
	for _, kind := range []string{"ImageGate", "VerifiedImages"} {
		if err := c.awaitGateKind(ctx, v1alpha1.GroupVersion.WithKind(kind)); err != nil {
			return err
		}
	}
	mutating.start()
	watched := []handler{{&v1alpha1.ImageGate{}, r.GateHandler()}, {metadataOf(corev1.SchemeGroupVersion.WithKind("Namespace")), r.NamespaceHandler()}}
	watched = append(watched, handler{metadataOf(podKind), observer.PodHandler()},
		handler{metadataOf(corev1.SchemeGroupVersion.WithKind("Namespace")), observer.NamespaceHandler()})
	for _, kind := range imagegate.Owned("") {
		watched = append(watched, handler{metadataOf(kind), r.OwnedHandler()})
	}
	watched = append(watched, mutatingHandlers(mutating.version(), r.OwnedHandler())...)
	if err := observe(ctx, own, []*part{{handlers: watched}}); err != nil {
		return err
	}
	go func() {
		if err := own.Start(ctx); err != nil {
			c.failed <- fmt.Errorf("watching gates: %w", err)
		}
	}()
	if !own.WaitForCacheSync(ctx) {
		return errNotSynced
	}
	return feed(ctx, own, watched)
}

func (c *Controller) awaitGateKind(ctx context.Context, kind schema.GroupVersionKind) error {
	for logged := false; ; logged = true {
		_, err := c.access.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if err == nil {
			return nil
		}
		if !logged {
			c.log.Warn("no gate works: waiting for a kind that the cluster does not serve; apply config/ again", zap.Stringer("kind", kind), zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(kindRetry):
		}
	}
}

func metadataOf(kind schema.GroupVersionKind) client.Object {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(kind)
	return object
}

// gateObjects says what the cache of gates keeps of which objects. Of what anybody may make it
// keeps what is needed, as that may be large.
func gateObjects(systemNamespace string) map[client.Object]cache.ByObject {
	return map[client.Object]cache.ByObject{
		&v1alpha1.VerifiedImages{}: {Namespaces: map[string]cache.Config{systemNamespace: {}}},
		metadataOf(podKind):        {Label: breakGlassPods(), Transform: glassPod},
		metadataOf(corev1.SchemeGroupVersion.WithKind("Namespace")): {Transform: stripMetadata},
	}
}

// newGateCache caches gates, and metadata of what they own, of namespaces and of Pods that
// asked to start without a verdict.
func newGateCache(api *apiAccess, mapper meta.RESTMapper, systemNamespace string) (cache.Cache, error) {
	c, err := cache.New(api.config, cache.Options{
		HTTPClient:                  api.http,
		Scheme:                      api.scheme,
		Mapper:                      mapper,
		DefaultTransform:            cache.TransformStripManagedFields(),
		ReaderFailOnMissingInformer: true,
		ByObject:                    gateObjects(systemNamespace),
	})
	if err != nil {
		return nil, fmt.Errorf("making the cache of gates: %w", err)
	}
	return c, nil
}
