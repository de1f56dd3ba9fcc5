package imageverification

import (
	"time"

	"github.com/revet-dev/revet/pkg/fair"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// A pass that sends a request needs a turn of its namespace. Sinks and registries are a
// namespace's choice, and may hang until a request's timeout; and where thousands of entries
// wait, each writes what for. Neither may take the workers from other namespaces.

const (
	// slowPasses is how many passes of one namespace send requests at once, if that takes
	// longer than slowPass.
	slowPasses = 4
	slowPass   = 500 * time.Millisecond
	// turnRetry is when an entry that waits for its turn is visited at the latest. It is
	// woken when its turn comes.
	turnRetry = 30 * time.Second
	// usualWorkers is how many entries are visited at once, unless Options say.
	usualWorkers = 16
)

// turnLimits leave an eighth of the workers to passes that send nothing, which take less than a
// millisecond: most of a long queue.
func turnLimits(workers int) fair.Limits {
	if workers == 0 {
		workers = usualWorkers
	}
	all := max(workers-max(workers/8, 1), 1)
	return fair.Limits{All: all, Slow: min(slowPasses, max(all/2, 1)), After: slowPass}
}

// sends reports whether an action may send a request. A Wait does if it has to be written down.
func sends(a lifecycle.Action) bool {
	switch a {
	case lifecycle.Idle, lifecycle.Wait, lifecycle.AwaitRun, lifecycle.AskSlot, lifecycle.Route:
		return false
	default:
		return true
	}
}

// takeTurn reports whether a pass may send requests, from now to its end. Otherwise the entry
// waits for its turn, which ends the pass.
func (r *Reconciler) takeTurn(p *pass) bool {
	p.waits = !r.turns.Begin(p.key.Namespace, p.key)
	return !p.waits
}

// endTurn ends a pass that had its turn, whether it needed it or not.
func (r *Reconciler) endTurn(p *pass) {
	if !p.waits {
		r.turns.End(p.key)
	}
}
