package imagegate

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// maxGlass is how many Pods with the break-glass label are remembered, the newest. It bounds
// both what one that leads late can still count, and how often one UID is recognised.
const maxGlass = 10_000

// A use of break-glass is counted once for each Pod's UID and gate. A process remembers the
// UIDs that it saw; the next one goes by status.breakGlass: it counts the Pods that are newer
// than the last one that was counted, and others of the same second. So
//
//   - every process watches, whether it leads or not, and one that comes to lead counts what
//     it saw while nobody led, Pods that are gone included;
//   - a change of the leader can double Pods of one second, the one in status.lastPod
//     excepted, and uses that were counted in the moment before the old leader ended without
//     writing are counted by the new one: their Events are doubled then, the number is not;
//   - missed is a Pod that came and went while no process was watching, and one that is
//     labelled only after it was made, if that is before a newer one was counted by a leader
//     that has ended.

// glassPod is a Pod that asked to start without a verdict.
type glassPod struct {
	types.NamespacedName
	uid     types.UID
	created time.Time
}

// glassLog are the Pods that this process saw, in the order in which it did.
type glassLog struct {
	pods []glassPod
	// first is the number of pods[0].
	first uint64
	known map[types.UID]bool
}

func newGlassLog() glassLog { return glassLog{known: map[types.UID]bool{}} }

func (l *glassLog) add(p glassPod) bool {
	if l.known[p.uid] {
		return false
	}
	l.known[p.uid] = true
	if len(l.pods) >= maxGlass {
		delete(l.known, l.pods[0].uid)
		l.pods = l.pods[1:]
		l.first++
	}
	l.pods = append(l.pods, p)
	return true
}

func (l *glassLog) next() uint64 { return l.first + uint64(len(l.pods)) }

// since returns the Pods from a number on.
func (l *glassLog) since(n uint64) []glassPod {
	return slices.Clone(l.pods[max(n, l.first)-l.first:])
}

// start is the state of a gate that this process begins to lead now.
func (l *glassLog) start() glassState { return glassState{live: l.next()} }

// glassState is how far a gate has counted.
type glassState struct {
	status v1alpha1.BreakGlassStatus
	// counted is the number of the next Pod to look at.
	counted uint64
	// live is the number from which on Pods came while this process led.
	live uint64
}

// adopt takes over what stands in the status, if that is ahead.
func (s *glassState) adopt(written v1alpha1.BreakGlassStatus) {
	if written.Uses > s.status.Uses {
		s.status = written
	}
}

// isCounted reports whether the process that led before has counted a Pod.
func (s *glassState) isCounted(p glassPod) bool {
	last := s.status.LastAt
	return last != nil && (p.created.Before(last.Time) || (p.created.Equal(last.Time) && p.String() == s.status.LastPod))
}

func (s *glassState) count(p glassPod) {
	s.status.Uses++
	if last := s.status.LastAt; last == nil || !p.created.Before(last.Time) {
		s.status.LastAt, s.status.LastPod = &metav1.Time{Time: p.created}, p.String()
	}
}

// PodHandler notes Pods with the break-glass label. Give it to a metadata informer of those.
func (o *Observer) PodHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{AddFunc: func(obj any) {
		pod, ok := obj.(*metav1.PartialObjectMetadata)
		if !ok || pod.Labels[v1alpha1.BreakGlassLabel] != "true" {
			return
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.glass.add(glassPod{client.ObjectKeyFromObject(pod), pod.UID, pod.CreationTimestamp.Time}) {
			wake(o.wakeGlass)
		}
	}}
}

// runGlass counts uses of break-glass as they are seen.
func (o *Observer) runGlass(ctx context.Context) {
	for {
		again := o.Interval
		if !o.countGlass(ctx) {
			again = time.Second
		}
		if !await(ctx, o.wakeGlass, again) {
			return
		}
	}
}

// countGlass brings all gates up to date. It reports whether that worked.
func (o *Observer) countGlass(ctx context.Context) bool {
	complete := true
	for name, scope := range o.led() {
		var g v1alpha1.ImageGate
		err := o.Cached.Get(ctx, client.ObjectKey{Name: name}, &g)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil || g.UID != scope.UID {
			complete = false
			continue
		}
		if err := o.countGlassOf(ctx, &g, scope); err != nil {
			o.Log.Warn("counting the uses of break-glass failed; it is tried again", zap.String("gate", name), zap.Error(err))
			complete = false
		}
	}
	return complete
}

func (o *Observer) countGlassOf(ctx context.Context, g *v1alpha1.ImageGate, scope Scope) error {
	o.mu.Lock()
	s := o.gates[g.Name]
	if s == nil || s.uid != g.UID {
		o.mu.Unlock()
		return nil
	}
	from, live := s.glass.counted, s.glass.live
	pods, end := o.glass.since(from), o.glass.next()
	early := min(len(pods), int(max(live, max(from, o.glass.first))-max(from, o.glass.first))) //nolint:gosec // maxGlass
	o.mu.Unlock()
	if len(pods) == 0 {
		return nil
	}
	gated := make([]bool, len(pods))
	for i, p := range pods {
		selected, err := o.selects(ctx, g, scope, p.Namespace)
		if err != nil {
			return err
		}
		gated[i] = selected && !p.created.Before(g.CreationTimestamp.Time)
	}
	var uses []glassPod
	o.mu.Lock()
	before := s.glass
	for i, p := range pods {
		if gated[i] && (i >= early || !before.isCounted(p)) {
			s.glass.count(p)
			uses = append(uses, p)
		}
	}
	s.glass.counted = end
	o.mu.Unlock()
	for _, p := range uses {
		o.Metrics.usedBreakGlass(ctx, g.Name)
		o.Recorder.Eventf(g, corev1.EventTypeWarning, "BreakGlass", "Pod %s asked to start without a verdict, by label %s", p, v1alpha1.BreakGlassLabel)
		o.Recorder.Eventf(&corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.uid},
			corev1.EventTypeWarning, "BreakGlass", "the Pod asked to start without a verdict, by label %s; ImageGate %s counts it", v1alpha1.BreakGlassLabel, g.Name)
	}
	if len(uses) > 0 {
		o.Changed(g.Name)
	}
	return nil
}

// selects reports whether a gate gates a namespace. A namespace that is gone counts as gated,
// if it is not excluded: a Pod that used break-glass may have gone with it.
func (o *Observer) selects(ctx context.Context, g *v1alpha1.ImageGate, scope Scope, namespace string) (bool, error) {
	if scope.Has(namespace) {
		return false, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(&g.Spec.NamespaceSelector)
	if err != nil {
		return false, err
	}
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err = o.Cached.Get(ctx, types.NamespacedName{Name: namespace}, object)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	return err == nil && selector.Matches(labels.Set(object.Labels)), err
}
