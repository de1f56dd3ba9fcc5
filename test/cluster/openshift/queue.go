package openshift

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	firstDelay   = 50 * time.Millisecond
	longestDelay = 2 * time.Second
)

// streamKey names a stream.
type streamKey struct{ namespace, name string }

func (k streamKey) String() string { return k.namespace + "/" + k.name }

// task is one change of a stream. It is repeated until it succeeds or cannot.
type task struct {
	what string
	do   func(context.Context) error
	// done receives the outcome once; it is buffered, so that nobody has to wait for it.
	done chan error
}

func newTask(what string, do func(context.Context) error) *task {
	return &task{what: what, do: do, done: make(chan error, 1)}
}

// wait returns the outcome, or the context's error while the task goes on.
func (t *task) wait(ctx context.Context) error {
	select {
	case err := <-t.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// queues run the tasks of each stream one after another, and those of different streams side by side.
type queues struct {
	run  context.Context
	open chan struct{}
	log  *slog.Logger

	mu      sync.Mutex
	waiting map[streamKey][]*task
	workers sync.WaitGroup
}

// newQueues makes queues whose tasks start once open is closed and end with run.
func newQueues(run context.Context, open chan struct{}, log *slog.Logger) *queues {
	return &queues{run: run, open: open, log: log, waiting: map[streamKey][]*task{}}
}

func (q *queues) add(key streamKey, t *task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.run.Err() != nil {
		t.done <- q.run.Err()
		return
	}
	tasks, busy := q.waiting[key]
	q.waiting[key] = append(tasks, t)
	if !busy {
		q.workers.Add(1)
		go q.work(key)
	}
}

// work ends when the stream has no task left; the key's presence in the map is what says that a worker runs.
func (q *queues) work(key streamKey) {
	defer q.workers.Done()
	select {
	case <-q.open:
	case <-q.run.Done():
	}
	for {
		q.mu.Lock()
		tasks := q.waiting[key]
		if len(tasks) == 0 {
			delete(q.waiting, key)
			q.mu.Unlock()
			return
		}
		t := tasks[0]
		q.waiting[key] = tasks[1:]
		q.mu.Unlock()
		q.finish(key, t)
	}
}

// finish repeats a task until it is done, is hopeless, or the run ends.
func (q *queues) finish(key streamKey, t *task) {
	delay, last := firstDelay, ""
	for {
		if q.run.Err() != nil { // also when the run ended before anything could be done
			t.report(q.run.Err())
			return
		}
		err := t.do(q.run)
		switch {
		case err == nil:
			t.report(nil)
			return
		case q.run.Err() != nil:
			t.report(q.run.Err())
			return
		case hopeless(err):
			q.log.Error("a change of a stream cannot be made", "stream", key.String(), "what", t.what, "error", err)
			t.report(err)
			return
		case errors.Is(err, errNoNamespace):
			// Pushes are accepted, so that images can be there before the namespace is.
			t.report(nil)
			q.accept(key)
		}
		if err.Error() != last {
			last = err.Error()
			q.log.Warn("a change of a stream has to wait", "stream", key.String(), "what", t.what, "error", err)
		}
		select {
		case <-q.run.Done():
		case <-time.After(delay):
		}
		delay = min(2*delay, longestDelay)
	}
}

// accept lets nobody wait for the tasks behind one that may take long.
func (q *queues) accept(key streamKey) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, t := range q.waiting[key] {
		t.report(nil)
	}
}

func (t *task) report(err error) {
	select {
	case t.done <- err:
	default: // reported before
	}
}

// hopeless says that trying again changes nothing.
func hopeless(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err) ||
		errors.Is(err, errNotThere) || errors.Is(err, errUnreadable) || errors.Is(err, errNoTag)
}
