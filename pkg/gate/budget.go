package gate

import "time"

// Urgency ranks changes of what a gate admits. The zero value is nothing to change.
type Urgency int

// The urgencies, from the least to the greatest.
const (
	// NoChange: what is written is what should be.
	NoChange Urgency = iota
	// Addition: a digest is verified, or verified anew. It can wait: its lag is told.
	Addition
	// Removal: a digest counts no longer, such as one whose entry was deleted.
	Removal
	// Expiry: a digest's verdict is too old. Admission refuses new Pods anyway.
	Expiry
	// Revocation: a trusted trigger failed the digest.
	Revocation
)

// DefaultBudgetRate is how many bytes a second a controller writes on average, and
// DefaultBudgetWindow the time over which the average counts. Every write stores a whole
// object again, and etcd keeps the old ones until it compacts, which is every 5 minutes.
const (
	DefaultBudgetRate   = 512 << 10
	DefaultBudgetWindow = 5 * time.Minute
)

// Budget bounds the bytes that are written: a token bucket. Additions leave a part of it
// for removals, and removals leave a part of that for revocations, which may also borrow as
// much as the bucket holds: what is borrowed, later additions pay. It is not safe for
// concurrent use.
type Budget struct {
	rate     float64 // bytes a second
	capacity float64
	left     float64
	at       time.Time
}

// NewBudget returns a budget of rate bytes a second over a window. It starts with half of
// what it can hold, so that a process that crashes again and again does not write without end.
func NewBudget(rate int64, window time.Duration, now time.Time) *Budget {
	capacity := float64(rate) * window.Seconds()
	return &Budget{rate: float64(rate), capacity: capacity, left: capacity / 2, at: now}
}

// floor is what a write of an urgency has to leave in the bucket.
func (b *Budget) floor(u Urgency) float64 {
	switch u {
	case Revocation:
		return -b.capacity
	case Expiry, Removal:
		return 0
	default:
		return b.capacity / 4
	}
}

// Spend takes the bytes of one write, or returns how long to wait before asking again.
func (b *Budget) Spend(u Urgency, bytes int, now time.Time) (wait time.Duration, ok bool) {
	b.fill(now)
	floor := b.floor(u)
	// A bucket that is smaller than one object still lets it through once it is full.
	need := min(float64(bytes)+floor, b.capacity)
	if b.left < need {
		return time.Duration((need-b.left)/b.rate*float64(time.Second)).Truncate(time.Millisecond) + time.Millisecond, false
	}
	b.left -= float64(bytes)
	return 0, true
}

// Rest is how long an object is left alone after a write of so many bytes, if it may have a
// share of the rate. An object that changes all the time is then written less often the
// larger it is. Otherwise it would be written every second until the bucket is empty, and
// after that the less urgent of a gate's objects would not be written for minutes.
func (b *Budget) Rest(bytes int, share float64) time.Duration {
	return time.Duration(float64(bytes) / (b.rate * share) * float64(time.Second))
}

// fill adds what time has brought. A clock that was set back brings nothing.
func (b *Budget) fill(now time.Time) {
	if passed := now.Sub(b.at); passed > 0 {
		b.left = min(b.capacity, b.left+passed.Seconds()*b.rate)
	}
	b.at = now
}
