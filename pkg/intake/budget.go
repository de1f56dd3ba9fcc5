package intake

import (
	"context"
	"sync"
	"time"
)

// What the triggers of one namespace may cost the events of other namespaces.
const (
	// maxQuestions is how many of their accounts one event makes the receiver ask about.
	maxQuestions = 16
	// questionBurst and questionRate bound such questions over all events: at once, and a
	// second. They also bound what the events of one address make the receiver ask in vain.
	questionBurst = 200
	questionRate  = 50
	// timeOfEvent is how long they may take of one event; freeTime of it is not counted.
	timeOfEvent = 3 * time.Second
	freeTime    = 200 * time.Millisecond
	// timeBurst and timeRate bound what is counted over all events.
	timeBurst = 10 * time.Second
	timeRate  = 0.2
	// maxSpenders bounds how many namespaces are counted, of about 100 bytes.
	maxSpenders = 8192
)

// budgets bounds what the triggers of a namespace cost others' events. It is safe for concurrent
// use.
type budgets struct {
	now func() time.Time

	mu       sync.Mutex
	spenders map[string]*spender
}

// spender is what is left to a namespace.
type spender struct {
	questions float64
	time      float64 // seconds
	at        time.Time
}

func newBudgets(now func() time.Time) *budgets {
	return &budgets{now: now, spenders: map[string]*spender{}}
}

// of returns a namespace's spender as of now. The caller holds the lock.
func (b *budgets) of(namespace string) *spender {
	now := b.now()
	s := b.spenders[namespace]
	if s == nil {
		if len(b.spenders) >= maxSpenders {
			b.forget(now)
		}
		s = &spender{questions: questionBurst, time: timeBurst.Seconds(), at: now}
		b.spenders[namespace] = s
	}
	s.refill(now)
	return s
}

func (s *spender) refill(now time.Time) {
	passed := max(now.Sub(s.at).Seconds(), 0) // a clock may be set back
	s.questions = min(s.questions+passed*questionRate, questionBurst)
	s.time = min(s.time+passed*timeRate, timeBurst.Seconds())
	s.at = now
}

// forget drops the spenders that have spent nothing, or all if there are none.
func (b *budgets) forget(now time.Time) {
	for namespace, s := range b.spenders {
		if s.refill(now); s.questions == questionBurst && s.time == timeBurst.Seconds() {
			delete(b.spenders, namespace)
		}
	}
	if len(b.spenders) >= maxSpenders {
		clear(b.spenders)
	}
}

// ask takes one question, and returns false if none is left.
func (b *budgets) ask(namespace string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.of(namespace)
	if s.questions < 1 {
		return false
	}
	s.questions--
	return true
}

// giveBack gives back questions that were not in vain.
func (b *budgets) giveBack(namespace string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.of(namespace)
	s.questions = min(s.questions+float64(n), questionBurst)
}

// begin returns a context that ends with what is allotted to a namespace, and what to call when
// its triggers are served.
func (b *budgets) begin(ctx context.Context, namespace string, most time.Duration) (context.Context, func()) {
	began := b.now()
	space, cancel := context.WithTimeout(ctx, b.allot(namespace, most))
	return space, func() {
		cancel()
		b.took(namespace, b.now().Sub(began))
	}
}

// allot returns how long a namespace's triggers may take of one event.
func (b *budgets) allot(namespace string, most time.Duration) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := time.Duration(b.of(namespace).time * float64(time.Second))
	return min(most, freeTime+max(left, 0))
}

// took counts what they took.
func (b *budgets) took(namespace string, d time.Duration) {
	if d <= freeTime {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of(namespace).time -= (d - freeTime).Seconds()
}
