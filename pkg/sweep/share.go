package sweep

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// putOffFor is how long the targets of a namespace wait that used up its share of a pass.
const putOffFor = time.Minute

// share is what one namespace's targets may take of a pass over all streams, which serves
// everybody: without a bound, thousands of triggers that select all streams would use up the
// time of the pass, and the memory. It binds only while another namespace has triggers that are
// swept here. It is safe for concurrent use.
type share struct {
	namespace string
	targets   []*target
	bounded   bool
	options   Options
	now       func() time.Time

	mu     sync.Mutex
	spent  time.Duration
	places int
	over   bool
}

// sharesOf divides targets by namespace, in their order.
func (s *Sweeper) sharesOf(targets []*target) []*share {
	var all []*share
	by := map[string]*share{}
	for _, t := range targets {
		one := by[t.trigger.Namespace]
		if one == nil {
			one = &share{namespace: t.trigger.Namespace, options: s.options, now: s.Now}
			by[one.namespace], all = one, append(all, one)
		}
		one.targets = append(one.targets, t)
	}
	swept := s.namespaces()
	for _, one := range all {
		one.bounded = len(swept) > 1 || (len(swept) == 1 && !swept[one.namespace])
	}
	return all
}

// namespaces are those whose triggers are swept on request.
func (s *Sweeper) namespaces() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]bool{}
	for _, st := range s.states {
		all[st.namespace] = true
	}
	return all
}

// each does something with each target, and counts the time and the places that it takes. Once
// the share is used up, it puts off all targets, and does nothing more.
func (s *share) each(ctx context.Context, do func(context.Context, *target) (places int)) {
	for _, t := range s.targets {
		if s.isOver() {
			return
		}
		began := s.now()
		places := do(ctx, t)
		s.take(s.now().Sub(began), places)
	}
}

func (s *share) isOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

func (s *share) take(spent time.Duration, places int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spent += max(spent, 0)
	s.places += places
	if s.over || !s.bounded || (s.spent <= s.options.StreamBudget && s.places <= s.options.MaxPlaces) {
		return
	}
	s.over = true
	why := fmt.Sprintf("the sweeps of namespace %q took more than %s of a pass over the ImageStreams",
		s.namespace, s.options.StreamBudget)
	if s.places > s.options.MaxPlaces {
		why = fmt.Sprintf("the triggers of namespace %q select more than %d ImageStreams and pushes, "+
			"each counted for each trigger", s.namespace, s.options.MaxPlaces)
	}
	until := s.now().Add(putOffFor)
	for _, t := range s.targets {
		t.tally.putOff(why, until)
	}
}
