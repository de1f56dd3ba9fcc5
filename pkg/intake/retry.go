package intake

import (
	"context"
	"sync"
	"time"
)

// The bounds of what is tried again.
const (
	maxRetries      = 4096 // in all, of about 200 bytes
	maxRetriesOf    = 64   // of one namespace
	maxTries        = 5
	firstRetry      = time.Second // four times as long after each try
	retryTimeout    = 10 * time.Second
	retryTick       = 250 * time.Millisecond
	retryingAtOnce  = 8
	maxTriesOfASpin = 16 // of one namespace, before others have their turn
)

// retryKey is what is tried again: something that may show a push, for the triggers of a
// namespace.
type retryKey struct{ namespace, what string }

// retries is what was put off. It is bounded by namespace, and at most one of each namespace is
// tried at a time. What it drops is left to the sweep. It is safe for concurrent use.
type retries struct {
	now func() time.Time

	mu   sync.Mutex
	all  int
	of   map[string]map[retryKey]*attempt
	busy map[string]bool
}

type attempt struct {
	again func(context.Context) (left bool)
	tries int
	due   time.Time
}

func newRetries(now func() time.Time) *retries {
	return &retries{now: now, of: map[string]map[retryKey]*attempt{}, busy: map[string]bool{}}
}

// add has something tried again, unless it waits already or there is no room.
func (r *retries) add(k retryKey, again func(context.Context) (left bool)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of[k.namespace][k] != nil || r.all >= maxRetries || len(r.of[k.namespace]) >= maxRetriesOf {
		return
	}
	r.put(k, &attempt{again: again, due: r.now().Add(firstRetry)})
}

func (r *retries) put(k retryKey, a *attempt) {
	if r.of[k.namespace] == nil {
		r.of[k.namespace] = map[retryKey]*attempt{}
	}
	r.of[k.namespace][k] = a
	r.all++
}

// take returns a namespace that has something due and is not busy, which it is then; "" if
// there is none.
func (r *retries) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for namespace, of := range r.of {
		if r.busy[namespace] || len(r.busy) >= retryingAtOnce {
			continue
		}
		for _, a := range of {
			if !a.due.After(now) {
				r.busy[namespace] = true
				return namespace
			}
		}
	}
	return ""
}

// next removes what is due first of a namespace.
func (r *retries) next(namespace string) (k retryKey, first *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for key, a := range r.of[namespace] {
		if !a.due.After(now) && (first == nil || a.due.Before(first.due)) {
			k, first = key, a
		}
	}
	if first != nil {
		delete(r.of[namespace], k)
		if r.all--; len(r.of[namespace]) == 0 {
			delete(r.of, namespace)
		}
	}
	return k, first
}

// spin tries what is due of a namespace.
func (r *retries) spin(ctx context.Context, namespace string) {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.busy, namespace)
	}()
	for range maxTriesOfASpin {
		k, a := r.next(namespace)
		if a == nil || ctx.Err() != nil {
			return
		}
		if r.try(ctx, a) {
			r.later(k, a)
		}
	}
}

func (r *retries) try(ctx context.Context, a *attempt) (left bool) {
	ctx, cancel := context.WithTimeout(ctx, retryTimeout)
	defer cancel()
	left = true
	defer caught(func(error) {})
	return a.again(ctx)
}

// later puts what is left back, unless it was tried often enough or is there again.
func (r *retries) later(k retryKey, a *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.tries++; a.tries >= maxTries || r.of[k.namespace][k] != nil || r.all >= maxRetries {
		return
	}
	a.due = r.now().Add(firstRetry << (2 * a.tries))
	r.put(k, a)
}

// run tries again what is due until the context ends.
func (r *retries) run(ctx context.Context) {
	tick := time.NewTicker(retryTick)
	defer tick.Stop()
	var spinning sync.WaitGroup
	defer spinning.Wait()
	for {
		for namespace := r.take(); namespace != ""; namespace = r.take() {
			spinning.Go(func() { r.spin(ctx, namespace) })
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
