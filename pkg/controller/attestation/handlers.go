package attestation

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// EntryHandler queues an entry that is new or changed, and keeps count.
func (r *Reconciler) EntryHandler() cache.ResourceEventHandler {
	observe := func(before, after any) {
		a, _ := before.(*v1alpha1.ImageVerification) // nil if there was none
		b, _ := after.(*v1alpha1.ImageVerification)  // nil if there is none
		r.counts.change(a, b)
		if b != nil {
			r.Enqueue(client.ObjectKeyFromObject(b))
		} else if a != nil {
			r.forget(client.ObjectKeyFromObject(a))
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { observe(nil, obj) },
		UpdateFunc: observe,
		DeleteFunc: func(obj any) { observe(final(obj), nil) },
	}
}

// TriggerHandler queues the entries of a trigger that comes, goes, or asks for something else.
func (r *Reconciler) TriggerHandler() cache.ResourceEventHandler {
	enqueue := func(obj any) {
		if t, ok := final(obj).(*v1alpha1.ImageTrigger); ok {
			r.enqueueAll(client.InNamespace(t.Namespace), client.MatchingLabels{v1alpha1.TriggerUIDLabel: string(t.UID)})
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: enqueue,
		UpdateFunc: func(before, after any) {
			a, okA := before.(*v1alpha1.ImageTrigger)
			b, okB := after.(*v1alpha1.ImageTrigger)
			if okA && okB && a.UID == b.UID && a.Generation == b.Generation {
				return
			}
			if okA && okB && a.UID != b.UID {
				enqueue(a) // deleted and created again
			}
			enqueue(after)
		},
		DeleteFunc: enqueue,
	}
}

// EnqueueAll queues every entry, after a change of the keys or of what the operator trusts.
func (r *Reconciler) EnqueueAll() { r.enqueueAll() }

func (r *Reconciler) enqueueAll(selected ...client.ListOption) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	var entries v1alpha1.ImageVerificationList
	if err := r.Cached.List(ctx, &entries, append(selected, client.UnsafeDisableDeepCopy)...); err != nil {
		r.Log.Warn("looking up entries to queue", zap.Error(err))
		return
	}
	for i := range entries.Items {
		r.Enqueue(client.ObjectKeyFromObject(&entries.Items[i]))
	}
}

func final(obj any) any {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		return gone.Obj
	}
	return obj
}

func splitKey(key string) (namespace, name string, err error) {
	namespace, name, ok := strings.Cut(key, "/")
	if !ok {
		return "", "", fmt.Errorf("%q is not namespace/name", key)
	}
	return namespace, name, nil
}

// counts is how many attestations of all entries are in each state.
type counts struct {
	mu sync.Mutex
	n  map[v1alpha1.AttestationState]int64
}

func (c *counts) change(before, after *v1alpha1.ImageVerification) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add := func(e *v1alpha1.ImageVerification, n int64) {
		if e == nil {
			return
		}
		for i := range e.Status.Attestations {
			c.n[e.Status.Attestations[i].State] += n
		}
	}
	add(before, -1)
	add(after, 1)
}

// Metrics show how many attestations there are.
type Metrics struct {
	meter    metric.Meter
	gauge    metric.Int64ObservableGauge
	failures metric.Int64Counter
}

// NewMetrics creates the instruments.
func NewMetrics(m metric.Meter) (*Metrics, error) {
	const name = "revet_attestations"
	g, err := m.Int64ObservableGauge(name, metric.WithDescription("Signed verdicts in registries, by state."))
	if err != nil {
		return nil, fmt.Errorf("metric %q: %w", name, err)
	}
	failures, err := newFailures(m)
	return &Metrics{m, g, failures}, err
}

// watch makes the gauge show counts when it is read.
func (m *Metrics) watch(c *counts) error {
	if m == nil {
		return nil
	}
	_, err := m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, state := range []v1alpha1.AttestationState{
			v1alpha1.AttestationPending, v1alpha1.AttestationPublished, v1alpha1.AttestationNotPublished, v1alpha1.AttestationNotRemoved,
		} {
			o.ObserveInt64(m.gauge, c.n[state], metric.WithAttributes(attribute.String("state", string(state))))
		}
		return nil
	}, m.gauge)
	if err != nil {
		return fmt.Errorf("watching attestations: %w", err)
	}
	return nil
}
