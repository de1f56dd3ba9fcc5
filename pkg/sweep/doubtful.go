package sweep

import (
	"context"
	"fmt"
	"sync"

	"github.com/revet-dev/revet/pkg/push"
)

// doubtful holds pushes about which only a registry can tell whether they can run. It is
// safe for concurrent use.
type doubtful struct {
	mu     sync.Mutex
	seen   map[string]bool
	pushes []push.Push
}

// add takes each push once: a list that begins again shows it twice.
func (d *doubtful) add(p push.Push) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if key := placeOf(p); !d.seen[key] {
		if d.seen == nil {
			d.seen = map[string]bool{}
		}
		d.seen[key] = true
		d.pushes = append(d.pushes, p)
	}
}

// placeOf tells the pushes of streams apart.
func placeOf(p push.Push) string {
	return fmt.Sprintf("%s:%s@%s %d", p.Repository.Name, p.Tag, p.Digest, p.PushedAt.Unix())
}

// resolveDoubts resolves the doubtful pushes of a target. Only registries can tell about them,
// and registries are asked slowly: they keep nothing else waiting.
func (s *Sweeper) resolveDoubts(ctx context.Context, t *target) {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	pool := newPool(s.options.Concurrency)
	defer pool.wait()
	t.backoff = newBackoff(s.Now)
	for _, p := range t.doubtful.pushes {
		pool.do(func() { t.tally.show(placeOf(p), s.resolveDoubt(ctx, t, p)) })
	}
}

// exempted counts a push that is exempt.
func (s *Sweeper) exempted(t *target, a Artefact) shown {
	s.Examiner.Exempted(t.trigger, a)
	return shown{artefacts: 1}
}

// exempted returns those of the skips that are exempt.
func exempted(skips []push.Skip) []push.Skip {
	var all []push.Skip
	for _, s := range skips {
		if s.Reason == push.NotRunnable {
			all = append(all, s)
		}
	}
	return all
}
