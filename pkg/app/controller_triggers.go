package app

import (
	"context"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	knative "knative.dev/pkg/controller"
	kle "knative.dev/pkg/leaderelection"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imagetrigger"
	"github.com/revet-dev/revet/pkg/controller/lease"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
	"github.com/revet-dev/revet/pkg/source/registry"
	"github.com/revet-dev/revet/pkg/sweep"
	"github.com/revet-dev/revet/pkg/tekton"
)

// triggerConcurrency is how many triggers are visited at once. Two of them check none, so that
// they can request sweeps.
const triggerConcurrency = imagetrigger.Checks + 2

// triggers makes the reconciler of ImageTriggers and the sweeps that it requests. The
// second result has all triggers swept.
func (c *Controller) triggers(ctx context.Context, cached cache.Cache, election *kle.Config, runs imagetrigger.Runs) (*part, func(), error) {
	const name = "imagetrigger"
	guard, component := c.leases.Guard(election, name)
	var impl *knative.Impl // set before the informers run
	sweeper, err := c.sweeper(func(key types.NamespacedName) { impl.EnqueueKey(key) })
	if err != nil {
		return nil, nil, err
	}
	checker := tekton.NewChecker(c.access.live, func(host, namespace string) bool { return c.config.Sinks().Allows(host, namespace) }, c.options.SystemNamespace)
	r, err := imagetrigger.New(imagetrigger.Options{
		Cached:       cached,
		Live:         lease.Client{Client: c.access.live, Guard: guard},
		Sinks:        checker,
		Streams:      c.streams(),
		Sweeps:       sweeper,
		Runs:         runs,
		Enqueue:      func(key types.NamespacedName) { impl.EnqueueKey(key) },
		EnqueueAfter: func(key types.NamespacedName, after time.Duration) { impl.EnqueueKeyAfter(key, after) },
		Recorder:     c.recorder,
		Log:          c.log,
		Now:          c.options.Now,
		Jitter:       rand.Float64,
		Intervals:    c.intervals(),
	})
	if err != nil {
		return nil, nil, err
	}
	impl, run := c.newQueue(ctx, r, name, component, triggerConcurrency)
	sweeping := func(ctx context.Context) error { sweeper.Run(ctx); return nil }
	handlers := c.dependencies(r) //nolint:contextcheck // informers give their handlers no context
	handlers = append(handlers, handler{&v1alpha1.ImageTrigger{}, r.TriggerHandler()}, handler{&v1alpha1.ImageVerification{}, r.EntryHandler()})
	return &part{run: []func(context.Context) error{run, sweeping}, handlers: handlers}, r.SweepAll, nil
}

func (c *Controller) intervals() imagetrigger.Intervals {
	i := imagetrigger.DefaultIntervals()
	i.Sweep = c.options.SweepInterval
	i.SweepRetry = min(i.SweepRetry, i.Sweep)
	return i
}

// streams returns a reader of ImageStreams that caches no rights.
func (c *Controller) streams() *openshift.Reader {
	return openshift.NewReader(c.access.live, source.NewRights(c.access.live, 0, c.options.Now))
}

func (c *Controller) sweeper(done func(types.NamespacedName)) (*sweep.Sweeper, error) {
	instruments, err := sweep.NewMetrics(c.metrics.Meter(meterName))
	if err != nil {
		return nil, err
	}
	reader := c.streams().ListingWith(c.access.streams)
	return sweep.New(sweep.Dependencies{
		Cluster:  reader,
		Images:   reader,
		Registry: c.registries.Paced(registry.SweepRate),
		Ledger:   c.ledger,
		Examiner: sweep.Ignore{},
		Metrics:  instruments,
		Log:      c.log,
		Now:      c.options.Now,
		Done:     done,
	}, c.sweepOptions())
}

// sweepOptions lets the metrics show a sweep until the next few should have ended.
func (c *Controller) sweepOptions() sweep.Options {
	o := sweep.DefaultOptions()
	o.MaxAge = max(o.MaxAge, 3*c.options.SweepInterval)
	return o
}

// dependencies lists watches of the kinds that triggers depend on and the cluster serves.
// They hold metadata only: a pass reads the objects live.
func (c *Controller) dependencies(r *imagetrigger.Reconciler) []handler {
	var handlers []handler
	for _, kind := range imagetrigger.Dependencies() {
		if _, err := c.access.mapper.RESTMapping(kind.GroupKind(), kind.Version); err != nil {
			if !meta.IsNoMatchError(err) {
				c.log.Warn("looking up a kind failed; triggers do not notice its changes at once", zap.Stringer("kind", kind), zap.Error(err))
			}
			continue
		}
		object := &metav1.PartialObjectMetadata{}
		object.SetGroupVersionKind(kind)
		handlers = append(handlers, handler{object, r.DependencyHandler()})
	}
	return handlers
}
