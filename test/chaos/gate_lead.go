package chaos

import (
	"sync"
	"time"
)

// leadClock runs while a controller leads: while the holder of the lease is a process that
// runs, has renewed the lease since it was started, and whose lease has not ended. A holder
// that was killed, or that was started again and has not taken its lease back, does not lead.
type leadClock struct {
	// up says since when a process runs, and no if it does not.
	up func(holder string) (since time.Time, ok bool)

	mu       sync.Mutex
	lease    heldBy
	ticked   time.Time
	leading  bool
	led      time.Duration
	takeover int
}

// heldBy is a lease as the API server showed it last.
type heldBy struct {
	holder   string
	renewed  time.Time
	duration time.Duration
}

// saw takes a newer state of the lease, and reports whether another holds it now.
func (c *leadClock) saw(l heldBy) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	another := l.holder != "" && l.holder != c.lease.holder
	if another {
		c.takeover++
	}
	c.lease = l
	return another
}

// tick counts the time since the last tick if a controller led then.
func (c *leadClock) tick(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tickLocked(now)
}

func (c *leadClock) tickLocked(now time.Time) {
	if c.leading && !c.ticked.IsZero() {
		c.led += now.Sub(c.ticked)
	}
	c.ticked, c.leading = now, c.leads(now)
}

func (c *leadClock) leads(now time.Time) bool {
	if c.lease.holder == "" || !now.Before(c.lease.renewed.Add(c.lease.duration)) {
		return false
	}
	since, ok := c.up(c.lease.holder)
	return ok && !c.lease.renewed.Before(since)
}

// now returns the time.
func (c *leadClock) now() moment {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.tickLocked(now)
	return moment{wall: now, led: c.led}
}

// leader is who leads now, or empty.
func (c *leadClock) leader() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leads(time.Now()) {
		return c.lease.holder
	}
	return ""
}

// takeovers counts how often another took the lease.
func (c *leadClock) takeovers() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.takeover
}
