package sweep

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
)

// doubtful are pushes of which only a registry can tell whether they can run. It is
// safe for concurrent use.
type doubtful struct {
	mu     sync.Mutex
	seen   map[string]bool
	pushes []push.Push
}

// add takes a push once: a list that begins again shows it twice.
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

// resolveDoubts asks registries what the doubtful pushes are, and records what is not
// proven to be exempt.
func (s *Sweeper) resolveDoubts(ctx context.Context, targets []*target) {
	pool := newPool(s.options.Concurrency)
	defer pool.wait()
	for _, t := range targets {
		t.backoff = newBackoff(s.Now)
		for _, p := range t.doubtful.pushes {
			pool.do(func() { t.tally.show(placeOf(p), s.resolveDoubt(ctx, t, p)) })
		}
	}
}

func (s *Sweeper) resolveDoubt(ctx context.Context, t *target, p push.Push) shown {
	content, err := s.recomputed(ctx, t, p)
	switch {
	case err != nil && ctx.Err() != nil:
		// There was no time left to ask; the next sweep goes on from here.
		t.tally.failed(fmt.Errorf("reading what %s@%s is: %w", p.Pull, p.Digest, err))
		return notRead(1)
	case err != nil:
		return s.recordUnread(ctx, t, p, v1alpha1.SourceSweep, err)
	case s.exempt.Exempt(p.Digest, content):
		return s.exempted(t, p.Repository, p.Tag, p.Digest)
	}
	return s.recorded(ctx, t, p, v1alpha1.SourceSweep)
}

// recordUnread records a push that a registry does not let be read: whoever runs it
// finds out what it is.
func (s *Sweeper) recordUnread(ctx context.Context, t *target, p push.Push, source v1alpha1.PushSource, err error) shown {
	s.Examiner.Doubted(t.trigger, p, err)
	s.Log.Info("it cannot be read whether a push can run; it is recorded",
		zap.String("push", placeOf(p)), zap.String("trigger", t.trigger.Name), zap.String("namespace", t.trigger.Namespace), zap.Error(err))
	return s.recorded(ctx, t, p, source)
}

var errNoRegistry = errors.New("sweeping of registries is switched off")

// recomputed reads from the registry what a digest is.
func (s *Sweeper) recomputed(ctx context.Context, t *target, p push.Push) (content image.Content, err error) {
	if s.Registry == nil {
		return image.Content{}, errNoRegistry
	}
	err = t.backoff.ask(p.Pull.Host(), func() error {
		content, err = s.Registry.Content(ctx, p.Pull.At(p.Digest), t.account)
		return err
	})
	return content, err
}

// exempted counts a push that is exempt.
func (s *Sweeper) exempted(t *target, r push.Repository, tag string, d image.Digest) shown {
	s.Examiner.Exempted(t.trigger, Artefact{Repository: r, Tag: tag, Digest: d, Why: s.exempt.Why(d)})
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
