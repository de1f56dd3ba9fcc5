package imageverification

import (
	"time"

	"github.com/revet-dev/revet/pkg/fair"
)

// What is outside is what a namespace chose: its sinks, and its registries. They may hang until
// the timeout of each request, and must not take the workers from other namespaces.

const (
	// slowOutside is how many passes of one namespace wait for something outside at once,
	// if that takes longer than slowAfter.
	slowOutside = 4
	slowAfter   = 500 * time.Millisecond
	// outsideRetry is when an entry that waits for its turn is visited at the latest. It is
	// woken when its turn comes.
	outsideRetry = 30 * time.Second
	// usualWorkers is how many entries are visited at once, unless Options say.
	usualWorkers = 16
)

// outsideLimits leave a quarter of the workers to passes that ask nobody outside.
func outsideLimits(workers int) fair.Limits {
	if workers == 0 {
		workers = usualWorkers
	}
	all := max(workers*3/4, 1)
	return fair.Limits{All: all, Slow: min(slowOutside, max(all/2, 1)), After: slowAfter}
}

// goOutside reports whether a pass may ask something outside now, and from then on. Otherwise
// the entry waits for its turn, which ends the pass.
func (r *Reconciler) goOutside(p *pass) bool {
	p.waits = !r.outside.Begin(p.key.Namespace, p.key)
	return !p.waits
}

// leaveOutside ends a pass that was outside, or had its turn and did not need it.
func (r *Reconciler) leaveOutside(p *pass) {
	if !p.waits {
		r.outside.End(p.key)
	}
}
