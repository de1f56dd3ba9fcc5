package imagegate

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// EntryHandler notes what the ledger says of digests, for the gates that trust its trigger.
func (r *Reconciler) EntryHandler() cache.ResourceEventHandler {
	observe := func(obj any, gone bool) {
		e, ok := final(obj).(*v1alpha1.ImageVerification)
		if !ok {
			return
		}
		touched := r.entries.set(e, gone)
		if len(touched) == 0 {
			return
		}
		for name, s := range r.all() {
			if s.touch(triggerOf(e), touched) {
				r.EnqueueAfter(name, coalesceRevocations)
			}
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { observe(obj, false) },
		UpdateFunc: func(_, obj any) { observe(obj, false) },
		DeleteFunc: func(obj any) { observe(obj, true) },
	}
}

// TriggerHandler notes which triggers exist.
func (r *Reconciler) TriggerHandler() cache.ResourceEventHandler {
	observe := func(obj any, gone bool) {
		t, ok := final(obj).(*v1alpha1.ImageTrigger)
		if !ok || !r.entries.setTrigger(t, gone) {
			return
		}
		key := v1alpha1.TrustedTrigger{Namespace: t.Namespace, Trigger: t.Name}
		for name, s := range r.all() {
			if s.touchAll(key) {
				r.Enqueue(name)
			}
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { observe(obj, false) },
		UpdateFunc: func(_, obj any) { observe(obj, false) },
		DeleteFunc: func(obj any) { observe(obj, true) },
	}
}

// GateHandler queues a gate that is new, deleted, or has a new spec. Only this package
// writes its status.
func (r *Reconciler) GateHandler() cache.ResourceEventHandler {
	enqueue := func(obj any) {
		if g, ok := final(obj).(*v1alpha1.ImageGate); ok {
			r.Enqueue(g.Name)
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: enqueue,
		UpdateFunc: func(before, after any) {
			a, okA := before.(*v1alpha1.ImageGate)
			b, okB := after.(*v1alpha1.ImageGate)
			if okA && okB && a.UID == b.UID && a.Generation == b.Generation && b.DeletionTimestamp == nil {
				return
			}
			enqueue(after)
		},
		DeleteFunc: enqueue,
	}
}

// OwnedHandler queues the gate of an object that was made, changed or deleted. Give it to
// metadata informers of what Owned lists.
func (r *Reconciler) OwnedHandler() cache.ResourceEventHandler {
	observe := func(labelled, obj any, gone bool) {
		l, err := meta.Accessor(final(labelled))
		if err != nil || l.GetLabels()[v1alpha1.GateLabel] == "" {
			return
		}
		name := l.GetLabels()[v1alpha1.GateLabel]
		o, err := meta.Accessor(final(obj))
		if err != nil {
			return
		}
		if o.GetNamespace() != "" {
			r.mu.Lock()
			s := r.states[name]
			r.mu.Unlock()
			version := o.GetResourceVersion()
			if gone {
				version = ""
			}
			if s != nil {
				s.sawVersion(o.GetName(), version)
			}
		}
		r.Enqueue(name)
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { observe(obj, obj, false) },
		UpdateFunc: func(before, obj any) {
			a, err := meta.Accessor(before)
			if b, errB := meta.Accessor(obj); err == nil && errB == nil && a.GetResourceVersion() != b.GetResourceVersion() {
				observe(before, obj, false) // its label may have been taken off
				observe(obj, obj, false)
			}
		},
		DeleteFunc: func(obj any) { observe(obj, obj, true) },
	}
}

// NamespaceHandler queues all gates when a namespace comes or goes, or gets other labels: the
// operator's patterns may exclude it, or it is Revet's own.
func (r *Reconciler) NamespaceHandler() cache.ResourceEventHandler {
	all := func(any) { r.EnqueueAll() }
	return cache.ResourceEventHandlerFuncs{
		AddFunc: all,
		UpdateFunc: func(before, after any) {
			a, errA := meta.Accessor(before)
			b, errB := meta.Accessor(after)
			if errA != nil || errB != nil {
				return
			}
			goes := a.GetDeletionTimestamp() == nil && b.GetDeletionTimestamp() != nil
			if goes || !maps.Equal(a.GetLabels(), b.GetLabels()) {
				r.EnqueueAll()
			}
		},
		DeleteFunc: all,
	}
}

// NamespaceHandler has workloads listed in namespaces that a gate comes to gate.
func (o *Observer) NamespaceHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { wake(o.wakeTemplates) },
		UpdateFunc: func(before, after any) {
			a, errA := meta.Accessor(before)
			b, errB := meta.Accessor(after)
			if errA == nil && errB == nil && !maps.Equal(a.GetLabels(), b.GetLabels()) {
				wake(o.wakeTemplates)
			}
		},
	}
}

// EnqueueAll queues all gates that this process leads.
func (r *Reconciler) EnqueueAll() {
	for name := range r.all() {
		r.Enqueue(name)
	}
}

func (r *Reconciler) all() map[string]*state {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.states)
}

// final returns the last known state of a deleted object whose deletion was missed.
func final(obj any) any {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		return gone.Obj
	}
	return obj
}

// owners returns the names of gates that something is labelled with.
func (r *Reconciler) owners(ctx context.Context) ([]string, error) {
	names := map[string]bool{}
	for _, kind := range r.owned() {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind)
		if err := r.Cached.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("listing %s: %w", kind.Kind, err)
		}
		for i := range list.Items {
			if name := list.Items[i].Labels[v1alpha1.GateLabel]; name != "" {
				names[name] = true
			}
		}
	}
	return slices.Collect(maps.Keys(names)), nil
}
