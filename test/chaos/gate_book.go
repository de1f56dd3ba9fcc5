package chaos

import (
	"slices"
	"sync"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// moment is a time of the wall, and the time for which a controller had led by then.
type moment struct {
	wall time.Time
	led  time.Duration
}

// gateBook is what the play knows of the ledger: what it wrote, and when. It does not read
// what a controller wrote.
type gateBook struct {
	mu      sync.Mutex
	entries map[*gateEntry]*bookEntry
	// claims are the trusted entries that speak of a digest.
	claims map[string][]claim
	// ran are digests that run, which start again after their verdict expired.
	ran map[string]bool
}

// claim is a place in which an entry speaks of a digest.
type claim struct {
	entry *bookEntry
	// counts is false if no pass of the entry admits the digest.
	counts bool
}

// bookEntry is one entry. What is being written counts as written if it is a pass, and not
// before the API server has confirmed it if it is a failure.
type bookEntry struct {
	name   string
	failed bool
	since  moment // when the first of the failures was written
	// version grows with every pass that is begun.
	version int
	// passed is true once a pass that counts was begun, and newest the latest time of such a verdict.
	passed bool
	newest time.Time
	// last is the verdict that was confirmed last, and empty before the first.
	last v1alpha1.Outcome
	// good is true while that is a pass that counts and none is being written, and settled is
	// when it was confirmed. begun grows with every verdict.
	good    bool
	settled moment
	begun   int
}

func newGateBook(s *gateScript) *gateBook {
	b := &gateBook{entries: map[*gateEntry]*bookEntry{}, claims: map[string][]claim{}, ran: map[string]bool{}}
	for _, digest := range s.running {
		b.ran[digest] = true
	}
	for _, e := range s.entries {
		known := &bookEntry{name: e.name + " of " + e.trigger}
		b.entries[e] = known
		if !isTrusted(e.trigger) {
			continue
		}
		b.claims[e.digest] = append(b.claims[e.digest], claim{known, true})
		for _, c := range e.children {
			b.claims[c.Digest] = append(b.claims[c.Digest], claim{known, c.Platform == gatePlatform})
		}
	}
	return b
}

// begins notes that a verdict is about to be written that says so of a time.
func (b *gateBook) begins(e *gateEntry, t gateTurn, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.entries[e]
	if t.outcome == v1alpha1.OutcomeError {
		return
	}
	known.good = false
	known.begun++
	if t.outcome != v1alpha1.OutcomePass {
		return
	}
	known.failed = false
	known.version++
	if t.counts() {
		known.passed = true
		if at.After(known.newest) {
			known.newest = at
		}
	}
}

// written notes that the API server has confirmed a verdict.
func (b *gateBook) written(e *gateEntry, t gateTurn, now moment) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.entries[e]
	if t.outcome == v1alpha1.OutcomeError {
		return
	}
	known.last, known.good, known.settled = t.outcome, t.counts(), now
	if t.outcome == v1alpha1.OutcomeFail && !known.failed {
		known.failed, known.since = true, now
	}
}

// view is what was known of a digest before it was tried.
type view struct {
	digest   string
	began    moment
	versions []int
	failing  []bool
	// begun and admits are about whether it should start.
	begun  []int
	admits bool
}

// look takes what is known of a digest.
func (b *gateBook) look(digest string, now moment) view {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := view{digest: digest, began: now}
	for _, c := range b.claims[digest] {
		v.versions = append(v.versions, c.entry.version)
		v.failing = append(v.failing, c.entry.failed)
		v.begun = append(v.begun, c.entry.begun)
		v.admits = v.admits || c.counts && c.entry.good && c.entry.newest.Add(gateMaxAge-expirySlack).After(now.wall)
	}
	v.admits = v.admits && !slices.Contains(v.failing, true)
	return v
}

// refused says for how long a digest should have started that was refused, by the wall and
// while a controller led; 0 if it should not, or if that is not certain.
func (b *gateBook) refused(v view) (wall, led time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !v.admits {
		return 0, 0
	}
	since := moment{}
	for i, c := range b.claims[v.digest] {
		if c.entry.begun != v.begun[i] {
			return 0, 0
		}
		if c.entry.settled.wall.After(since.wall) {
			since = c.entry.settled
		}
	}
	return v.began.wall.Sub(since.wall), v.began.led - since.led
}

// expirySlack is how exactly the API server knows the time of a Pod.
const expirySlack = 2 * time.Second

// finding is what is wrong with an admission.
type finding struct {
	// wrong says why it must never have been; empty if it may have been.
	wrong string
	// led and wall are for how long the digest had failed by then; 0 if it had not.
	led, wall time.Duration
	by        string
}

// admitted judges that a digest was admitted that had been looked up before.
func (b *gateBook) admitted(v view) finding {
	b.mu.Lock()
	defer b.mu.Unlock()
	var f finding
	passed, fresh := false, b.ran[v.digest]
	for i, c := range b.claims[v.digest] {
		if c.counts && c.entry.passed {
			passed = true
			fresh = fresh || c.entry.newest.Add(gateMaxAge+expirySlack).After(v.began.wall)
		}
		// A pass that was begun meanwhile may have been what admitted it.
		if !v.failing[i] || c.entry.version != v.versions[i] {
			continue
		}
		if wall := v.began.wall.Sub(c.entry.since.wall); wall > f.wall {
			f.led, f.wall, f.by = v.began.led-c.entry.since.led, wall, c.entry.name
		}
	}
	switch {
	case !passed:
		f.wrong = "it never passed"
	case !fresh:
		f.wrong = "its verdict had expired"
	}
	return f
}

// failedNow are the digests that some trusted entry fails since less than a time.
func (b *gateBook) failedNow(now time.Time, within time.Duration) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for digest, claims := range b.claims {
		for _, c := range claims {
			if c.entry.failed && now.Sub(c.entry.since.wall) < within {
				all = append(all, digest)
				break
			}
		}
	}
	return all
}

// outcomes are the verdicts that were confirmed last, by namespace/name of the entry.
func (b *gateBook) outcomes() map[string]v1alpha1.Outcome {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[string]v1alpha1.Outcome{}
	for e, known := range b.entries {
		if known.last != "" {
			all[gateNamespace(e.trigger)+"/"+e.name] = known.last
		}
	}
	return all
}
