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

// maxAhead bounds what one event can make the receiver ask beside the re-read:
// anybody may send an event that claims many new digests.
const maxAhead = 4

// reads answers, for one event, what the API server says of digests and of
// accounts: each question is asked once, and those that the event's claims make
// likely are asked while the stream is read again. An answer counts only for
// what that re-read shows.
type reads struct {
	cluster Cluster
	object  openshift.Object

	mu     sync.Mutex
	images map[image.Digest]*answer[openshift.ImageState]
	rights map[source.Account]*answer[bool]
	// away are the hosts that did not answer, which are not asked again.
	away map[string]error
}

func newReads(c Cluster, object openshift.Object) *reads {
	return &reads{
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

// ask runs the question beside its caller.
func ask[T any](question func() (T, error)) *answer[T] {
	a := &answer[T]{done: make(chan struct{})}
	go func() {
		defer close(a.done)
		defer caught(func(err error) { a.err = err })
		a.value, a.err = question()
	}()
	return a
}

// caught is deferred by what runs beside a request's own goroutine, whose panics
// the handler turns into an answer: one elsewhere would end the process.
func caught(fail func(error)) {
	if p := recover(); p != nil {
		fail(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
	}
}

func (a *answer[T]) get() (T, error) {
	<-a.done // the question's context ends it
	return a.value, a.err
}

// ahead asks what will be needed if the re-read shows what the event claims.
func (r *reads) ahead(ctx context.Context, findings []finding) {
	for _, f := range findings {
		if len(f.Pushes) == 0 || len(r.rights) == maxAhead {
			continue
		}
		r.right(ctx, f.trigger.account())
		for _, p := range f.Pushes {
			if len(r.images) == maxAhead {
				break
			}
			r.image(ctx, p.Digest)
		}
	}
}

func (r *reads) image(ctx context.Context, d image.Digest) *answer[openshift.ImageState] {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.images[d]
	if a == nil {
		a = ask(func() (openshift.ImageState, error) { return r.cluster.Image(ctx, d) })
		r.images[d] = a
	}
	return a
}

func (r *reads) right(ctx context.Context, account source.Account) *answer[bool] {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.rights[account]
	if a == nil {
		a = ask(func() (bool, error) { return r.cluster.MayGet(ctx, account, r.object.Namespace, r.object.Name) })
		r.rights[account] = a
	}
	return a
}

// what returns what the Image of a digest tells.
func (r *reads) what(ctx context.Context, d image.Digest) (openshift.ImageState, error) {
	return r.image(ctx, d).get()
}

// mayGet reports whether an account may get the event's stream.
func (r *reads) mayGet(ctx context.Context, account source.Account) (bool, error) {
	return r.right(ctx, account).get()
}
