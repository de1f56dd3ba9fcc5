package imagetrigger

import (
	"context"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// Dependencies are the kinds whose changes may change a trigger's conditions. Give
// DependencyHandler to metadata informers of those that the cluster serves. Without them,
// triggers are only checked at their intervals.
func Dependencies() []schema.GroupVersionKind {
	triggers := schema.GroupVersion{Group: "triggers.tekton.dev", Version: "v1beta1"}
	return []schema.GroupVersionKind{
		triggers.WithKind("EventListener"),
		triggers.WithKind("Trigger"),
		triggers.WithKind("TriggerBinding"),
		triggers.WithKind("ClusterTriggerBinding"),
		triggers.WithKind("TriggerTemplate"),
		{Group: triggers.Group, Version: "v1alpha1", Kind: "ClusterInterceptor"},
		{Group: "node.k8s.io", Version: "v1", Kind: "RuntimeClass"},
	}
}

// DependencyHandler queues the triggers in the namespace of the changed object, or all if it
// has no namespace.
func (r *Reconciler) DependencyHandler() cache.ResourceEventHandler {
	enqueue := func(obj any) {
		if o, err := meta.Accessor(final(obj)); err == nil {
			r.enqueue(o.GetNamespace())
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: enqueue,
		UpdateFunc: func(before, after any) {
			if changed(before, after) {
				enqueue(after)
			}
		},
		DeleteFunc: enqueue,
	}
}

// TriggerHandler queues a trigger that is new, deleted, or has a new spec. Only this package
// writes its status.
func (r *Reconciler) TriggerHandler() cache.ResourceEventHandler {
	enqueue := func(obj any) {
		if t, ok := final(obj).(*v1alpha1.ImageTrigger); ok {
			r.Enqueue(client.ObjectKeyFromObject(t))
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: enqueue,
		UpdateFunc: func(before, after any) {
			a, okA := before.(*v1alpha1.ImageTrigger)
			b, okB := after.(*v1alpha1.ImageTrigger)
			if okA && okB && a.UID == b.UID && a.Generation == b.Generation && b.DeletionTimestamp == nil {
				return
			}
			enqueue(after)
		},
		DeleteFunc: enqueue,
	}
}

// EntryHandler has a trigger checked again when one of its requested runs does not appear,
// or appears after all, and when one cannot start in its RuntimeClass, or starts again:
// what the sink depends on may have changed without a watched change. It goes by the
// ledger, because different processes may lead entries and triggers.
func (r *Reconciler) EntryHandler() cache.ResourceEventHandler {
	recheck := func(obj any) {
		if e, ok := obj.(*v1alpha1.ImageVerification); ok && (awaited(e) || stranded(e)) {
			r.recheck(e)
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: recheck,
		UpdateFunc: func(before, after any) {
			recheck(before) // it may just have appeared, or started
			recheck(after)
		},
	}
}

// awaited reports whether a run was requested and has not been seen.
func awaited(e *v1alpha1.ImageVerification) bool {
	run := e.Status.CurrentRun()
	return run != nil && run.Attempts > 0 && run.ConfirmedAt == nil
}

// stranded reports whether the latest run could not start in its RuntimeClass.
func stranded(e *v1alpha1.ImageVerification) bool {
	n := len(e.Status.Runs)
	return n > 0 && lifecycle.Reason(e.Status.Runs[n-1].Reason) == lifecycle.SandboxUnavailable
}

func (r *Reconciler) recheck(e *v1alpha1.ImageVerification) {
	at, now := types.NamespacedName{Namespace: e.Namespace, Name: e.Spec.Trigger.Name}, r.Now()
	r.mu.Lock()
	m := r.seen[at]
	due := now.Add(recheckAfter)
	if m == nil || string(m.uid) != e.Spec.Trigger.UID || !m.recheck.Before(due) {
		r.mu.Unlock()
		return
	}
	if next := m.recheck.Add(recheckEvery); next.After(due) {
		due = next
	}
	m.recheck = due
	r.mu.Unlock()
	r.EnqueueAfter(at, due.Sub(now))
}

func (r *Reconciler) enqueue(namespace string) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	keys, err := r.list(ctx, namespace)
	if err != nil {
		// Each trigger has its timer, so this delays a check and loses none.
		r.Log.Warn("looking up triggers to queue", zap.String("namespace", namespace), zap.Error(err))
		return
	}
	for _, key := range keys {
		r.Enqueue(key)
	}
}

// changed reports whether an update is more than a resync.
func changed(before, after any) bool {
	a, errA := meta.Accessor(before)
	b, errB := meta.Accessor(after)
	return errA != nil || errB != nil || a.GetResourceVersion() != b.GetResourceVersion()
}

func final(obj any) any {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		return gone.Obj
	}
	return obj
}
