package demo

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// hop is one stage that an image passes, in the order of the flow.
type hop string

const (
	hopPush     hop = "push"
	hopEvent    hop = "event"
	hopRecorded hop = "recorded"
	hopFired    hop = "fired"
	hopRun      hop = "run started"
	hopPod      hop = "Pod"
	hopVerdict  hop = "verdict"
)

// story prints each hop of one image once, with its time since the push began.
type story struct {
	name  string
	began time.Time
	out   *printer
	seen  map[hop]bool
	// held is the line of a run that was seen before the ledger tells that it was
	// requested, which it does in the write that confirms the run.
	held string
}

// tell prints the hop if it was not told yet. at is when it happened, by the
// record that shows it.
func (s *story) tell(h hop, at time.Time, format string, args ...any) {
	if s.seen[h] {
		return
	}
	s.seen[h] = true
	line := fmt.Sprintf("  %+9.3fs  %-5s %-12s %s\n", at.Sub(s.began).Seconds(), s.name, h, fmt.Sprintf(format, args...))
	switch {
	case h == hopRun && !s.seen[hopFired]:
		s.held = line
		return
	case h == hopFired:
		line += s.held
	default:
		line = s.held + line
	}
	s.held = ""
	s.out.printf("%s", line)
}

// printer serialises lines from several goroutines.
type printer struct {
	mu sync.Mutex
	w  io.Writer
}

func (p *printer) printf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// A demo whose terminal went away has nobody left to tell.
	_, _ = fmt.Fprintf(p.w, format, args...)
}
