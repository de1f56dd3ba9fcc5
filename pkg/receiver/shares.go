package receiver

import (
	"sync"
	"time"
)

// Shares divides something among the sources of requests. A source holds at most a quarter of
// what the others leave, so that one which comes new finds room, even after many that hold all
// they may. A source that was alone for a while holds at most a half. It is safe for concurrent
// use.
type Shares struct {
	total int64
	// alone is for how long no other source may have asked before a source is alone.
	alone time.Duration
	now   func() time.Time

	mu   sync.Mutex
	used int64
	held map[string]int64
	// last is the source that asked last, and since when no other one did; the zero time
	// if none ever did.
	last  string
	since time.Time
}

// NewShares returns shares of total. A source counts as alone if no other one asked for the
// time that whoever asks may hold something.
func NewShares(total int64, alone time.Duration, now func() time.Time) *Shares {
	return &Shares{total: total, alone: alone, now: now, held: map[string]int64{}}
}

// Take takes n for a source, or returns false if it may not hold that much now. Whoever takes
// gives.
func (s *Shares) Take(source string, n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.most(source)
	if s.used+n > s.total || s.held[source]+n > most {
		return false
	}
	s.used += n
	s.held[source] += n
	return true
}

// most returns how much a source may hold now.
func (s *Shares) most(source string) int64 {
	if source != s.last {
		if s.last != "" {
			s.since = s.now()
		}
		s.last = source
	}
	left := s.total - (s.used - s.held[source])
	if left == s.total && (s.since.IsZero() || s.now().Sub(s.since) >= s.alone) {
		return max(1, left/2)
	}
	return max(1, left/4)
}

// Give gives back what was taken.
func (s *Shares) Give(source string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= n
	if s.held[source] -= n; s.held[source] <= 0 {
		delete(s.held, source)
	}
}
