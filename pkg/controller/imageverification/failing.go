package imageverification

import (
	"sync"
	"time"
)

const (
	// failingFor is how long the failures of a namespace count.
	failingFor = 30 * time.Minute
	// failingFrom is how many runs in a row have to fail before those that follow wait longer.
	failingFrom = 10
	// maxRetryFactor bounds how many times longer they wait.
	maxRetryFactor = 8
	// maxFailing bounds how many namespaces are kept.
	maxFailing = 16384
)

// failing counts how many runs of a namespace failed in a row, so that the repetitions of a
// namespace where nothing works become rarer. It is safe for concurrent use.
type failing struct {
	mu    sync.Mutex
	spell map[string]spell
}

type spell struct {
	runs int
	last time.Time
}

func newFailing() *failing { return &failing{spell: map[string]spell{}} }

// ended counts a run: one that failed and may be repeated, or one with a verdict, which ends
// the spell.
func (f *failing) ended(namespace string, failed bool, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !failed {
		delete(f.spell, namespace)
		return
	}
	if _, known := f.spell[namespace]; !known && len(f.spell) >= maxFailing {
		f.forgetOne(now)
	}
	f.spell[namespace] = spell{f.runs(namespace, now) + 1, now}
}

// forgetOne makes room: of the spells that are over, or else of any one.
func (f *failing) forgetOne(now time.Time) {
	var one string
	for namespace, s := range f.spell {
		if one = namespace; now.Sub(s.last) > failingFor {
			break
		}
	}
	delete(f.spell, one)
}

// factor returns how many times longer the repetitions of a namespace wait once more runs
// have failed: twice from ten in a row, and twice that with each doubling.
func (f *failing) factor(namespace string, more int, now time.Time) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	factor := 1
	for n := f.runs(namespace, now) + more; n >= failingFrom && factor < maxRetryFactor; n /= 2 {
		factor *= 2
	}
	return factor
}

func (f *failing) runs(namespace string, now time.Time) int {
	s := f.spell[namespace]
	if now.Sub(s.last) > failingFor {
		return 0
	}
	return s.runs
}

func (f *failing) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.spell)
}
