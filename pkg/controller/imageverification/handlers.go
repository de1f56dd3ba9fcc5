package imageverification

import (
	"context"
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// lookupTimeout bounds a read of the cache, which waits until it has synced.
const lookupTimeout = 5 * time.Second

// EntryHandler queues an entry that is new, changed or gone, and keeps count. It wakes the
// entries that wait for the slot of one that ended, whichever process ended it.
func (r *Reconciler) EntryHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) {
			if e, ok := obj.(*v1alpha1.ImageVerification); ok {
				r.phaseCounts.change(nil, e)
				r.runQueue.note(e)
				if !Trimmed(e) { // at rest: a pass would do nothing
					r.enqueueKey(keyOf(e))
				}
			}
		},
		UpdateFunc: func(before, after any) {
			a, okA := before.(*v1alpha1.ImageVerification)
			b, okB := after.(*v1alpha1.ImageVerification)
			if okA && okB {
				if a.UID != b.UID { // deleted and created again, which a relist shows as one change
					r.deleted(a)
				}
				r.phaseCounts.change(a, b)
				r.runQueue.note(b)
				r.enqueueKey(keyOf(b))
			}
		},
		DeleteFunc: func(obj any) {
			if e, ok := final(obj).(*v1alpha1.ImageVerification); ok {
				r.phaseCounts.change(e, nil)
				r.deleted(e)
				r.enqueueKey(keyOf(e))
			}
		},
	}
}

// deleted follows the deletion of an entry.
func (r *Reconciler) deleted(e *v1alpha1.ImageVerification) {
	r.deletions.add(keyOf(e), e.UID)
	r.runQueue.gone(keyOf(e))
}

// RunHandler queues the entry that a PipelineRun names.
func (r *Reconciler) RunHandler() cache.ResourceEventHandler {
	enqueue := func(obj any) {
		if pr, ok := final(obj).(client.Object); ok {
			if uid := pr.GetAnnotations()[v1alpha1.EntryUIDAnnotation]; uid != "" {
				r.enqueue(fieldUID, uid)
			}
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    enqueue,
		UpdateFunc: func(_, obj any) { enqueue(obj) },
		DeleteFunc: enqueue,
	}
}

// TriggerHandler queues the open entries of a trigger when it comes, goes, or
// changes in a way that matters to them.
func (r *Reconciler) TriggerHandler() cache.ResourceEventHandler {
	enqueue := func(obj any) {
		if t, ok := final(obj).(*v1alpha1.ImageTrigger); ok {
			r.enqueue(fieldOpen, string(t.UID))
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) {
			if t, ok := obj.(*v1alpha1.ImageTrigger); ok {
				r.runQueue.triggerSeen(t.UID, t.Namespace)
			}
			enqueue(obj)
		},
		UpdateFunc: func(before, after any) {
			a, okA := before.(*v1alpha1.ImageTrigger)
			b, okB := after.(*v1alpha1.ImageTrigger)
			if okA && okB && a.UID != b.UID { // deleted and created again, which a relist shows as one change
				r.runQueue.triggerSeen(b.UID, b.Namespace)
				r.runQueue.triggerGone(a.UID)
			}
			if okA && okB && a.UID == b.UID && a.Generation == b.Generation && a.IsReady() == b.IsReady() &&
				a.Status.SinkURI == b.Status.SinkURI && a.Status.Confirmable == b.Status.Confirmable && a.Status.RuntimeClassSince.Equal(b.Status.RuntimeClassSince) && sameTrouble(a, b) {
				return // the status notes a sweep, or the like
			}
			enqueue(after)
		},
		DeleteFunc: func(obj any) {
			if t, ok := final(obj).(*v1alpha1.ImageTrigger); ok {
				r.sinkBackoff.drop(t.UID)
				r.runQueue.triggerGone(t.UID)
			}
			enqueue(obj)
		},
	}
}

// sameTrouble reports whether entries that wait would say the same as before.
func sameTrouble(a, b *v1alpha1.ImageTrigger) bool {
	is := meta.FindStatusCondition(b.Status.Conditions, v1alpha1.ConditionReady)
	was := meta.FindStatusCondition(a.Status.Conditions, v1alpha1.ConditionReady)
	return is == nil || (was != nil && was.Reason == is.Reason && was.Message == is.Message)
}

// enqueue queues the entries that the cache has under value in field.
func (r *Reconciler) enqueue(field, value string) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	entries, err := list(ctx, r.cached, field, value)
	if err != nil {
		// The entries have their own timers: this costs time, not a run.
		r.log.Warn("looking up entries to queue", zap.String("field", field), zap.Error(err))
		return
	}
	for _, key := range keysOf(entries) {
		r.enqueueKey(key)
	}
}

func final(obj any) any {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		return gone.Obj
	}
	return obj
}

// all lists every entry, for a new leader.
func (r *Reconciler) all(ctx context.Context) ([]v1alpha1.ImageVerification, error) {
	var found v1alpha1.ImageVerificationList
	err := r.cached.List(ctx, &found, client.UnsafeDisableDeepCopy)
	return found.Items, err
}
