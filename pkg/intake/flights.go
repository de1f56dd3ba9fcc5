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
	waiting int
	begun   bool
	// ready is closed when it may begin, and done when it ended.
	ready, done chan struct{}
	result      Result
	read        bool
}

func newFlight() *flight {
	return &flight{ready: make(chan struct{}), done: make(chan struct{}), result: again(KindStream, errors.New("the handling that served this event ended early"))}
}

// do runs a handling, or waits for one that began after it was called. It returns that one's
// result and whether it has read; served is true if it was another caller's. A handling does not
// end with the request that it runs for, as others may wait for it, but with its deadline.
func (f *flights) do(ctx context.Context, name string, run func(context.Context) (Result, bool)) (r Result, read, served bool, err error) {
	f.mu.Lock()
	l := f.at[name]
	if l == nil {
		if f.at == nil {
			f.at = map[string]*line{}
		}
		l = &line{current: newFlight()}
		l.current.begun = true
		f.at[name] = l
		f.mu.Unlock()
		r, read = f.fly(ctx, name, l, l.current, run)
		return r, read, false, nil
	}
	if l.next == nil {
		l.next = newFlight()
	}
	mine := l.next
	mine.waiting++
	f.mu.Unlock()

	select {
	case <-mine.ready:
	case <-ctx.Done():
		f.leave(name, l, mine)
		return r, false, false, ctx.Err()
	}
	f.mu.Lock()
	first := !mine.begun
	mine.begun = true
	f.mu.Unlock()
	if first {
		r, read = f.fly(ctx, name, l, mine, run)
		return r, read, false, nil
	}
	select {
	case <-mine.done:
		return mine.result, mine.read, true, nil
	case <-ctx.Done():
		return r, false, false, ctx.Err()
	}
}

func (f *flights) fly(ctx context.Context, name string, l *line, mine *flight, run func(context.Context) (Result, bool)) (Result, bool) {
	deadline, bounded := ctx.Deadline()
	if ctx = context.WithoutCancel(ctx); bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	defer func() { // also after a panic
		f.mu.Lock()
		defer f.mu.Unlock()
		close(mine.done)
		f.advance(name, l)
	}()
	mine.result, mine.read = run(ctx)
	return mine.result, mine.read
}

// advance lets the next one begin, if anybody waits for it. The caller holds the lock.
func (f *flights) advance(name string, l *line) {
	l.current, l.next = l.next, nil
	if l.current == nil || l.current.waiting == 0 {
		delete(f.at, name)
		return
	}
	close(l.current.ready)
}

// leave is called by who waits no longer.
func (f *flights) leave(name string, l *line, mine *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if mine.waiting--; l.current == mine && mine.waiting == 0 && !mine.begun {
		close(mine.done)
		f.advance(name, l)
	}
}

// users returns how many wait for a name, and whether one runs.
func (f *flights) users(name string) (waiting int, running bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.at[name]
	if l == nil {
		return 0, false
	}
	if l.next != nil {
		waiting = l.next.waiting
	}
	return waiting, true
}
