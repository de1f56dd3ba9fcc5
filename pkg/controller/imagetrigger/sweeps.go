package imagetrigger

import (
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/sweep"
)

// maxDoublings keeps the time between failing sweeps from overflowing. It is never
// longer than between others.
const maxDoublings = 10

// sweep requests a sweep if one is due, and returns the latest of this spec.
func (r *Reconciler) sweep(trigger *v1alpha1.ImageTrigger, m *memory) *sweep.Result {
	latest, underWay := r.Sweeps.Latest(trigger.UID)
	var known []string
	if latest != nil {
		known = latest.Baselines
		if latest.Generation != trigger.Generation {
			latest = nil
		}
	}
	// A sweep that is under way may have passed what was lost since it began. What was
	// wanted meanwhile is for the next one.
	if !underWay && (r.takeSweepWanted(m) || r.sweepDue(latest) <= 0) {
		asked := trigger.DeepCopy()
		// The status may not yet hold what the previous sweep found.
		asked.Status.Baselines = append(asked.Status.Baselines, known...)
		r.Sweeps.Request(asked)
	}
	return latest
}

// sweepDue returns when the next sweep is due.
func (r *Reconciler) sweepDue(latest *sweep.Result) time.Duration {
	if latest == nil {
		return 0
	}
	usual := latest.FinishedAt.Add(r.Intervals.Sweep)
	due := usual
	if latest.Retry {
		// Twice as long each time, so that a lasting failure does not list everything
		// again and again.
		due = latest.FinishedAt.Add(r.Intervals.SweepRetry << min(latest.Retries, maxDoublings))
	}
	if latest.NotBefore.After(due) {
		due = latest.NotBefore // a registry asks for it
	}
	if due.After(usual) {
		due = usual
	}
	return due.Sub(r.Now())
}

// SweepAll has all triggers swept as soon as possible. It is for times when events
// may have been lost.
func (r *Reconciler) SweepAll() {
	r.mu.Lock()
	keys := make([]types.NamespacedName, 0, len(r.seen))
	for at, m := range r.seen {
		m.sweepWanted = true
		keys = append(keys, at)
	}
	r.mu.Unlock()
	r.Log.Info("a watch started over, so events may be lost; sweeping all triggers", zap.Int("triggers", len(keys)))
	for _, at := range keys {
		r.Enqueue(at)
	}
}

// takeSweepWanted reports whether SweepAll was called since the latest sweep was
// requested.
func (r *Reconciler) takeSweepWanted(m *memory) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	wanted := m.sweepWanted
	m.sweepWanted = false
	return wanted
}
