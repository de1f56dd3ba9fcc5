package app

import (
	"context"
	"math/rand/v2"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	knative "knative.dev/pkg/controller"
	kle "knative.dev/pkg/leaderelection"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imagetrigger"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
	"github.com/revet-dev/revet/pkg/source/registry"
	"github.com/revet-dev/revet/pkg/sweep"
	"github.com/revet-dev/revet/pkg/tekton"
)

// triggerConcurrency is how many triggers are checked at once.
const triggerConcurrency = 4

// triggers makes the reconciler of ImageTriggers, and the sweeps that it asks for.
func (c *Controller) triggers(ctx context.Context, election *kle.Config, runs imagetrigger.Runs) (*part, error) {
	const name = "imagetrigger"
	lease, component := c.leases.guard(election, name)
	var impl *knative.Impl
	sweeper, err := c.sweeper(func(key types.NamespacedName) { impl.EnqueueKey(key) })
	if err != nil {
		return nil, err
	}
	checker := tekton.NewChecker(c.access.live, func(host, namespace string) bool { return c.config.Sinks().Allows(host, namespace) })
	r, err := imagetrigger.New(imagetrigger.Options{
		Cached:    c.access.cache,
		Live:      leasedClient{c.access.live, lease},
		Sinks:     checker,
		Streams:   c.streams(),
		Sweeps:    sweeper,
		Runs:      runs,
		Queue:     func() imagetrigger.Queue { return impl },
		Recorder:  c.recorder,
		Log:       c.log,
		Now:       c.options.Now,
		Jitter:    rand.Float64,
		Intervals: c.intervals(),
	})
	if err != nil {
		return nil, err
	}
	var run func(context.Context) error
	impl, run = c.newQueue(ctx, r, name, component, triggerConcurrency)
	// Whatever broke a watch of this process may have broken the sources' too.
	c.access.gaps.tell(r.SweepAll)
	sweeping := func(ctx context.Context) error { sweeper.Run(ctx); return nil }
	handlers := c.dependencies(r) //nolint:contextcheck // informers give their handlers no context
	handlers = append(handlers, handler{&v1alpha1.ImageTrigger{}, r.TriggerHandler()}, handler{&v1alpha1.ImageVerification{}, r.EntryHandler()})
	return &part{run: []func(context.Context) error{run, sweeping}, handlers: handlers}, nil
}

func (c *Controller) intervals() imagetrigger.Intervals {
	i := imagetrigger.DefaultIntervals()
	i.Sweep = c.options.SweepInterval
	i.SweepRetry = min(i.SweepRetry, i.Sweep)
	return i
}

// streams reads ImageStreams, and asks for the rights to them anew each time.
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
		Metrics:  instruments,
		Log:      c.log,
		Now:      c.options.Now,
		Done:     done,
	}, sweep.DefaultOptions())
}

// dependencies lists the watches of what triggers depend on, as far as the
// cluster has such kinds. Their metadata is enough: it is read live then.
func (c *Controller) dependencies(r *imagetrigger.Reconciler) []handler {
	var handlers []handler
	for _, kind := range imagetrigger.Dependencies() {
		if _, err := c.access.mapper.RESTMapping(kind.GroupKind(), kind.Version); err != nil {
			if !meta.IsNoMatchError(err) {
				c.log.Warn("asking for a kind; triggers do not notice its changes at once", zap.Stringer("kind", kind), zap.Error(err))
			}
			continue
		}
		object := &metav1.PartialObjectMetadata{}
		object.SetGroupVersionKind(kind)
		handlers = append(handlers, handler{object, r.DependencyHandler()})
	}
	return handlers
}
