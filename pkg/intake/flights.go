package intake

import (
	"context"
	"errors"
	"sync"
)

// flights lets one handling at a time run for each name. All that come while one runs wait for
// the next one together, which serves them all: it begins after they came.
type flights struct {
	mu sync.Mutex
	at map[string]*line
}

// line is the handlings of one name. One runs, or is about to, while there is a line.
type line struct {
	current, next *flight
}

type flight struct {
	// waiting is how many are to be served, with who runs it.
	waiting int
	// baton is for who runs it, and done is closed when it ended.
	baton, done chan struct{}
	result      Result
}

func newFlight() *flight {
	return &flight{
		waiting: 1, baton: make(chan struct{}, 1), done: make(chan struct{}),
		result: again(KindStream, errors.New("the handling that served this event ended early")),
	}
}

// do runs a handling, or waits for one that began after it was called; served is true if it was
// another caller's. Run returns false if it found nothing to do: then one of those that wait runs
// its own. A handling does not end with the request that it runs for, as others may wait for it,
// but with its deadline.
func (f *flights) do(ctx context.Context, name string, run func(context.Context) (r Result, did bool)) (r Result, served bool, err error) {
	f.mu.Lock()
	l := f.at[name]
	if l == nil {
		if f.at == nil {
			f.at = map[string]*line{}
		}
		l = &line{current: newFlight()}
		f.at[name] = l
		f.mu.Unlock()
		return f.fly(ctx, name, l, l.current, run), false, nil
	}
	if l.next == nil {
		l.next = newFlight()
	} else {
		l.next.waiting++
	}
	mine := l.next
	f.mu.Unlock()

	select {
	case <-mine.baton:
		return f.fly(ctx, name, l, mine, run), false, nil
	case <-mine.done:
		return mine.result, true, nil
	case <-ctx.Done():
		f.leave(name, l, mine)
		return r, false, ctx.Err()
	}
}

func (f *flights) fly(ctx context.Context, name string, l *line, mine *flight, run func(context.Context) (Result, bool)) (r Result) {
	deadline, bounded := ctx.Deadline()
	if ctx = context.WithoutCancel(ctx); bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	did := true
	defer func() { // also after a panic
		f.mu.Lock()
		defer f.mu.Unlock()
		if mine.waiting--; !did && mine.waiting > 0 {
			mine.baton <- struct{}{}
			return
		}
		close(mine.done)
		f.advance(name, l)
	}()
	if r, did = run(ctx); did {
		mine.result = r
	}
	return r
}

// advance lets the next one begin, if anybody waits for it. The caller holds the lock.
func (f *flights) advance(name string, l *line) {
	l.current, l.next = l.next, nil
	if l.current == nil || l.current.waiting == 0 {
		delete(f.at, name)
		return
	}
	l.current.baton <- struct{}{}
}

// leave is called by who waits no longer.
func (f *flights) leave(name string, l *line, mine *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if mine.waiting--; l.current == mine && mine.waiting == 0 {
		close(mine.done)
		f.advance(name, l)
	}
}
