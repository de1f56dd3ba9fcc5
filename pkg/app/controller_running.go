package app

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/events"
	"github.com/revet-dev/revet/pkg/controller/imagegate"
	"github.com/revet-dev/revet/pkg/gate"
)

// policiesSettle is how long admission policies are in force before every API server knows.
const policiesSettle = 10 * time.Second

var podKind = schema.GroupVersionKind{Version: "v1", Kind: "Pod"}

// breakGlassPods selects the Pods that asked to start without a verdict.
func breakGlassPods() labels.Selector {
	return labels.SelectorFromSet(labels.Set{v1alpha1.BreakGlassLabel: "true"})
}

// glassPod is a transform that keeps of such a Pod what tells it apart. Anybody may make Pods, and
// give them a megabyte of labels and annotations.
func glassPod(obj any) (any, error) {
	o, ok := obj.(*metav1.PartialObjectMetadata)
	if !ok {
		return obj, nil
	}
	return &metav1.PartialObjectMetadata{TypeMeta: o.TypeMeta, ObjectMeta: metav1.ObjectMeta{
		Namespace: o.Namespace, Name: o.Name, UID: o.UID, ResourceVersion: o.ResourceVersion,
		CreationTimestamp: o.CreationTimestamp, DeletionTimestamp: o.DeletionTimestamp,
		Labels: map[string]string{v1alpha1.BreakGlassLabel: o.Labels[v1alpha1.BreakGlassLabel]},
	}}, nil
}

// observer makes what finds out what runs behind gates. The reconciler is there before the
// observer runs.
func (c *Controller) observer(own cache.Cache, r func() *imagegate.Reconciler) (*imagegate.Observer, error) {
	instruments, err := imagegate.NewRunningMetrics(c.metrics.Meter(meterName))
	if err != nil {
		return nil, err
	}
	o := events.DefaultOptions()
	o.Sink, o.Overrides = c.options.EventSink, c.options.EventOverrides
	emitter, err := events.New(o)
	if err != nil {
		return nil, err
	}
	options := imagegate.ObserverOptions{
		Live:   c.access.live,
		Cached: own,
		Scopes: func() map[string]imagegate.Scope { return r().Scopes() },
		Judge: func(name, digest string) (gate.Finding, bool) {
			return r().Judge(name, digest)
		},
		Changed:  func(gate string) { r().Enqueue(gate) },
		Recorder: c.recorder,
		Metrics:  instruments,
		Log:      c.log,
		Now:      c.options.Now,
		Interval: c.options.CensusInterval,
		Settle:   policiesSettle,
	}
	if emitter.Enabled() {
		options.Turns = emitter
	}
	return imagegate.NewObserver(options)
}
