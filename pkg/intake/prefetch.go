package intake

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// maxPrefetch bounds how many Images, and how many rights, one event makes the receiver ask
// about before the re-read. Anybody may send an event that claims many new digests.
const maxPrefetch = 4

// prefetch asks the API server about digests and accounts, for one event and each question
// once. It asks what the event's claims make likely while the stream is read again. The
// answers count only for what that re-read shows.
type prefetch struct {
	cluster Cluster
	object  openshift.Object

	mu     sync.Mutex
	images map[image.Digest]*answer[openshift.ImageState]
	rights map[source.Account]*answer[bool]
	// away are the registries that did not answer. They are not asked again.
	away map[string]error
}

func newPrefetch(c Cluster, object openshift.Object) *prefetch {
	return &prefetch{
		cluster: c, object: object,
		images: map[image.Digest]*answer[openshift.ImageState]{},
		rights: map[source.Account]*answer[bool]{},
		away:   map[string]error{},
	}
}

// answer is set when done is closed.
type answer[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// ask asks a question in another goroutine.
func ask[T any](question func() (T, error)) *answer[T] {
	a := &answer[T]{done: make(chan struct{})}
	go func() {
		defer close(a.done)
		defer caught(func(err error) { a.err = err })
		a.value, a.err = question()
	}()
	return a
}

// caught turns a panic into an error. Goroutines defer it that run beside a request's own:
// net/http does not recover their panics, which would end the process.
func caught(fail func(error)) {
	if p := recover(); p != nil {
		fail(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
	}
}

func (a *answer[T]) get() (T, error) {
	<-a.done // the question's context ends it
	return a.value, a.err
}

// start asks what act will need if the re-read shows what the event claims.
func (p *prefetch) start(ctx context.Context, claimed []finding) {
	for _, f := range claimed {
		if len(f.Pushes) == 0 || len(p.rights) == maxPrefetch {
			continue
		}
		p.right(ctx, f.trigger.account())
		for _, pushed := range f.Pushes {
			if len(p.images) == maxPrefetch {
				break
			}
			p.image(ctx, pushed.Digest)
		}
	}
}

func (p *prefetch) image(ctx context.Context, d image.Digest) *answer[openshift.ImageState] {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.images[d]
	if a == nil {
		a = ask(func() (openshift.ImageState, error) { return p.cluster.Image(ctx, d) })
		p.images[d] = a
	}
	return a
}

func (p *prefetch) right(ctx context.Context, account source.Account) *answer[bool] {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.rights[account]
	if a == nil {
		a = ask(func() (bool, error) { return p.cluster.MayGet(ctx, account, p.object.Namespace, p.object.Name) })
		p.rights[account] = a
	}
	return a
}

// isAway returns why a registry did not answer before, for this event.
func (p *prefetch) isAway(host string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.away[host]; err != nil {
		return fmt.Errorf("registry %q did not answer for another push of the same event: %w", host, err)
	}
	return nil
}

func (p *prefetch) setAway(host string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away[host] = err
}
