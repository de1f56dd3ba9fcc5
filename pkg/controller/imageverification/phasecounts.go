package imageverification

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// phaseCounts counts the entries that the cache has, by trigger and phase. It is kept up
// to date by each change, so that a scrape costs nothing.
type phaseCounts struct {
	mu     sync.Mutex
	counts map[triggerPhase]int64
}

// triggerPhase is what is counted. A trigger that was created again under its name is the
// same one for a reader of metrics.
type triggerPhase struct {
	trigger types.NamespacedName
	phase   v1alpha1.Phase
}

func newPhaseCounts() *phaseCounts { return &phaseCounts{counts: map[triggerPhase]int64{}} }

// change counts an entry that changed; before is nil if it is new, after if it is gone.
func (c *phaseCounts) change(before, after *v1alpha1.ImageVerification) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before != nil {
		at := triggerPhaseOf(before)
		if c.counts[at]--; c.counts[at] <= 0 {
			delete(c.counts, at)
		}
	}
	if after != nil {
		c.counts[triggerPhaseOf(after)]++
	}
}

func (c *phaseCounts) each(do func(triggerPhase, int64)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at, n := range c.counts {
		do(at, n)
	}
}

func triggerPhaseOf(e *v1alpha1.ImageVerification) triggerPhase {
	return triggerPhase{types.NamespacedName{Namespace: e.Namespace, Name: e.Spec.Trigger.Name}, e.Phase()}
}
