package gate

import (
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Desired is what a gate should admit, as it was concluded last. It holds what the objects
// hold that the API server looks up, and nothing else. It is not safe for concurrent use.
type Desired struct {
	rules Rules
	// verified maps digests, as 64 hexadecimal digits, to the time of their verdict.
	verified map[string]int64
	// ofIndex are those of verified and passed that only an index vouches for.
	ofIndex map[string]struct{}
	// passed are those that would be verified if their verdict were younger.
	passed map[string]struct{}
	// seen maps digests to when they were last seen running, whatever their standing.
	seen map[string]int64
	// next is no later than the next expiry.
	next int64
}

// NewDesired returns what a gate of the rules admits before anything is known: nothing.
func NewDesired(r Rules) *Desired {
	return &Desired{
		rules: r, verified: map[string]int64{}, ofIndex: map[string]struct{}{},
		passed: map[string]struct{}{}, seen: map[string]int64{},
	}
}

// Conclude notes what the gate concludes about a digest.
func (d *Desired) Conclude(hex string, f Finding) {
	delete(d.passed, hex)
	delete(d.ofIndex, hex)
	if f.OfIndex {
		d.ofIndex[hex] = struct{}{}
	}
	if f.Standing != Verified {
		delete(d.verified, hex)
		// A failure that is too old to count is no pass that is too old.
		failed := f.Verdict != nil && f.Verdict.Outcome == v1alpha1.OutcomeFail
		if f.Standing == Expired && !failed && d.rules.onExpired != "Deny" {
			d.passed[hex] = struct{}{}
		}
		return
	}
	at := f.At.Unix()
	d.verified[hex] = at
	if expires := at + d.seconds(); d.next == 0 || expires < d.next {
		d.next = expires
	}
}

func (d *Desired) seconds() int64 { return int64(d.rules.maxAge / time.Second) }

// Digests is the number of verified digests.
func (d *Desired) Digests() int { return len(d.verified) }

// Each calls f for every digest that the content may hold.
func (d *Desired) Each(f func(hex string)) {
	for hex := range d.verified {
		f(hex)
	}
	for hex := range d.seen {
		if _, ok := d.verified[hex]; !ok {
			f(hex)
		}
	}
}

// Size is the number of places that the content takes.
func (d *Desired) Size(now time.Time) int {
	size := len(d.verified)
	for hex := range d.seen {
		if d.ran(hex, now) != 0 {
			size++
		}
	}
	return size
}

// Expired returns the digests whose verdicts are too old by now. They have to be judged
// again. NextExpiry says when to ask.
func (d *Desired) Expired(now time.Time) []string {
	if d.next == 0 || now.Unix() < d.next {
		return nil
	}
	var expired []string
	d.next = 0
	for hex, at := range d.verified {
		expires := at + d.seconds()
		if expires <= now.Unix() {
			expired = append(expired, hex)
		} else if d.next == 0 || expires < d.next {
			d.next = expires
		}
	}
	return expired
}

// NextExpiry is no later than the time at which a digest expires; false if there is none.
func (d *Desired) NextExpiry() (time.Time, bool) { return time.Unix(d.next, 0), d.next != 0 }

// ranStep is how exactly it is kept when a digest was last seen running.
const ranStep = 12 * time.Hour

// Saw notes when a digest was last seen running, and reports whether that has to be written:
// half a day is exact enough for what counts for 30.
func (d *Desired) Saw(hex string, at time.Time) bool {
	before, known := d.seen[hex]
	if known && at.Unix() < before+int64(ranStep/time.Second) {
		return false
	}
	d.seen[hex] = at.Unix()
	return true
}

// ran returns when the digest was last seen running, or 0 if that does not count.
func (d *Desired) ran(hex string, now time.Time) int64 {
	at, ok := d.seen[hex]
	if !ok || d.rules.onExpired == "Deny" || at+int64(RanFor/time.Second) <= now.Unix() {
		return 0
	}
	if _, ok := d.verified[hex]; ok {
		return at
	}
	if _, ok := d.passed[hex]; ok {
		return at
	}
	return 0
}

// Page is what one object should hold, and what it holds.
type Page struct {
	// Digests and Ran are as last written: do not change them.
	Digests, Ran map[string]string
	// changes are the digests that differ, and since when.
	changes map[string]time.Time
	// held is true while the page takes no new digests, as another division is to take over.
	held bool
	// omitted is what found no room, by digest.
	omitted map[string]omission
}

// NewPage returns the page of an object with the given content. Everything has to be looked
// at with Look before the page knows what differs.
func NewPage(digests, ran map[string]string) *Page {
	return &Page{Digests: digests, Ran: ran, changes: map[string]time.Time{}}
}

// Hold makes the page take no new digests but those that ran, or take them again.
func (p *Page) Hold(yes bool, now time.Time) {
	if p.held && !yes {
		for hex := range p.omitted {
			p.changes[hex] = now
		}
		p.omitted = nil
	}
	p.held = yes
}

// Each calls f for every digest that the object holds.
func (p *Page) Each(f func(hex string)) {
	for hex := range p.Digests {
		f(hex)
	}
	for hex := range p.Ran {
		f(hex)
	}
}

// Covers reports whether the page admits whatever another page of the same gate admits and
// should: what is removed from the other need not be here.
func (p *Page) Covers(other *Page, d *Desired, now time.Time) bool {
	for hex := range p.changes {
		if _, should := d.verified[hex]; !should && d.ran(hex, now) == 0 {
			continue
		}
		_, here := p.Digests[hex]
		_, there := other.Digests[hex]
		_, ranHere := p.Ran[hex]
		_, ranThere := other.Ran[hex]
		if (there && !here) || (ranThere && !ranHere) {
			return false
		}
	}
	return true
}

// Omitted are the digests that found no room.
func (p *Page) Omitted() iter.Seq[string] {
	return func(yield func(string) bool) {
		for hex, o := range p.omitted {
			if !o.admitted && !yield(hex) {
				return
			}
		}
	}
}

// OmittedCount is how many digests found no room.
func (p *Page) OmittedCount() int {
	n := 0
	for range p.Omitted() {
		n++
	}
	return n
}

// Look compares one digest of the page with what is desired.
func (p *Page) Look(hex string, d *Desired, now time.Time) {
	if without, ok := p.omitted[hex]; ok && without != d.omission(hex, without.admitted, now) {
		delete(p.omitted, hex)
	}
	if _, omitted := p.omitted[hex]; omitted || p.urgency(hex, d, now, nil) == NoChange {
		delete(p.changes, hex)
	} else if _, known := p.changes[hex]; !known {
		p.changes[hex] = now
	}
}

// urgency says how a digest differs. find may be nil, and then every removal is alike.
func (p *Page) urgency(hex string, d *Desired, now time.Time, find func(hex string) Finding) Urgency {
	written, is := p.Digests[hex]
	at, should := d.verified[hex]
	ran := d.ran(hex, now)
	_, noted := p.Ran[hex]
	if (is && !should) || (noted && ran == 0) {
		if find == nil {
			return Removal
		}
		switch find(hex).Standing {
		case Failed:
			return Revocation
		case Expired:
			return Expiry
		default:
			return Removal
		}
	}
	if (should && (!is || written != stamp(at))) || (ran != 0 && p.Ran[hex] != stamp(ran)) {
		return Addition
	}
	return NoChange
}

// Due is what a page waits to have written.
type Due struct {
	// Urgency is the greatest of the changes.
	Urgency Urgency
	// Since is when the oldest change of that urgency was noticed.
	Since time.Time
	// Additions counts those, and AdditionsSince is when the oldest was noticed.
	Additions      int
	AdditionsSince time.Time
}

// Due sums up what differs.
func (p *Page) Due(d *Desired, now time.Time, find func(hex string) Finding) Due {
	var due Due
	for hex, since := range p.changes {
		u := p.urgency(hex, d, now, find)
		if u == NoChange {
			delete(p.changes, hex)
			continue
		}
		if u == Addition {
			due.Additions++
			if due.AdditionsSince.IsZero() || since.Before(due.AdditionsSince) {
				due.AdditionsSince = since
			}
		}
		if u > due.Urgency || (u == due.Urgency && since.Before(due.Since)) {
			due.Urgency, due.Since = u, since
		}
	}
	return due
}

// Next returns the content that the page should have, and what finds no room in it: what ran
// here stays first, then the newest verdicts, and last what only an index vouches for. It never takes more than room places, whatever ran: the API server
// would refuse the object, and with it what has to be removed.
func (p *Page) Next(d *Desired, room int, now time.Time) (digests, ran map[string]string, omitted map[string]omission) {
	digests, ran, omitted = maps.Clone(p.Digests), maps.Clone(p.Ran), map[string]omission{}
	if digests == nil {
		digests = map[string]string{}
	}
	if ran == nil {
		ran = map[string]string{}
	}
	for _, hex := range slices.Concat(slices.Collect(maps.Keys(p.changes)), slices.Collect(maps.Keys(p.omitted))) {
		delete(digests, hex)
		delete(ran, hex)
		if at := d.ran(hex, now); at != 0 {
			ran[hex] = stamp(at)
		}
		if at, ok := d.verified[hex]; ok && (!p.held || p.Digests[hex] != "" || ran[hex] != "") {
			digests[hex] = stamp(at)
		} else if ok {
			omitted[hex] = d.omission(hex, false, now)
		}
	}
	d.leaveOut(digests, ran, omitted, room, now)
	return digests, ran, omitted
}

// Wrote notes that the object holds the content now.
func (p *Page) Wrote(digests, ran map[string]string, omitted map[string]omission) {
	p.Digests, p.Ran, p.omitted = digests, ran, omitted
	clear(p.changes)
}

// Bytes is about how large an object with the content is.
func Bytes(digests, ran map[string]string) int {
	const overhead, each = 1 << 10, 64 + 20 + 6
	return overhead + each*(len(digests)+len(ran))
}

// stamp writes a time as it stands in the objects.
func stamp(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }

// Reset forgets all conclusions, before everything is concluded anew by the rules. When
// digests were last seen running stays.
func (d *Desired) Reset(r Rules) {
	d.rules = r
	clear(d.verified)
	clear(d.ofIndex)
	clear(d.passed)
	d.next = 0
}
