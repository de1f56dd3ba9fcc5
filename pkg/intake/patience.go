package intake

import (
	"sync"
	"time"

	"github.com/revet-dev/revet/pkg/image"
)

// A registry may notify before it shows the tag, so the receiver looks again after these
// pauses: 25 ms, 100 ms, 300 ms, 600 ms and 1 s after the first look. Where waiting was in
// vain too often, it takes the first two only.
var pauses = []time.Duration{25 * time.Millisecond, 75 * time.Millisecond, 200 * time.Millisecond, 300 * time.Millisecond, 400 * time.Millisecond}

// shortPauses is how many of the pauses are always taken.
const shortPauses = 2

// maxRepeats is how often the registry is asked to send a notification again that claims
// what the registry does not show.
const maxRepeats = 3

// maxEarly bounds how many such claims are counted, in entries of about 250 bytes.
const maxEarly = 4096

// party is who may cost others time by making the receiver wait.
type party struct {
	kind partyKind
	name string
}

type partyKind int

const (
	triggerNamespace partyKind = iota // whose trigger's account is not shown the tag
	repositoryOwner                   // who can push: the first part of the repository's path
	registryHost
)

// bounds are what one party may cost.
var bounds = map[partyKind]struct {
	waiting int           // notifications that wait at once
	vain    time.Duration // of waiting in vain, a minute
}{
	triggerNamespace: {8, 12 * time.Second},
	repositoryOwner:  {8, 12 * time.Second},
	registryHost:     {32, 30 * time.Second},
}

// patience bounds what waiting for tags may cost. A registry sends its notifications one
// after another, so waiting for a tag that never shows delays the notifications of everybody
// who pushes there. Waiting that ends with the tag costs nothing. It is safe for concurrent
// use.
type patience struct {
	now func() time.Time
	// early counts how often a claim was answered with 503.
	early *recent[claim]

	mu      sync.Mutex
	minute  time.Time // when vain began to count
	vain    map[party]time.Duration
	waiting map[party]int
}

// claim is what a notification says of a tag.
type claim struct {
	at     place
	digest image.Digest
}

func newPatience(now func() time.Time) *patience {
	return &patience{now: now, early: newRecent[claim](maxEarly), vain: map[party]time.Duration{}, waiting: map[party]int{}}
}

// enter returns how many pauses to take for the parties: none while too many notifications
// of one of them wait, and few if one has spent what it may wait in vain. Of the namespaces,
// one that has not is enough: nobody shall keep others from waiting by selecting what they
// select. Whoever enters leaves.
func (p *patience) enter(parties []party) (take int, spent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := p.now(); now.Sub(p.minute) >= time.Minute || now.Before(p.minute) {
		p.minute = now
		clear(p.vain)
	}
	take, namespaces := len(pauses), 0
	for _, who := range parties {
		may := len(pauses)
		switch {
		case p.waiting[who] >= bounds[who.kind].waiting:
			may = 0
		case p.vain[who] >= bounds[who.kind].vain:
			may = shortPauses
		}
		if who.kind == triggerNamespace {
			namespaces = max(namespaces, may)
		} else {
			take = min(take, may)
		}
		p.waiting[who]++
	}
	take = min(take, namespaces)
	return take, take == shortPauses
}

// leave ends what enter began, and charges the parties for what they waited in vain.
func (p *patience) leave(parties []party, vain time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, who := range parties {
		if p.waiting[who]--; p.waiting[who] <= 0 {
			delete(p.waiting, who)
		}
		if vain > 0 {
			p.vain[who] += vain
		}
	}
}

// repeat reports whether to ask the registry to send the claim again.
func (p *patience) repeat(c claim) bool { return p.early.add(c) <= maxRepeats }

// kept forgets how often a claim was early: the registry shows it now.
func (p *patience) kept(c claim) { p.early.forget(c) }
