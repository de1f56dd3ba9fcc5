//go:build linux

package chaos

import (
	"syscall"
	"testing"
	"time"

	"github.com/revet-dev/revet/test/rig"
)

func runningPart(t *testing.T) *part {
	t.Helper()
	tl, err := newTimeline(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPart(tl, rig.Program{Name: "sleeper", Path: "/bin/sh", Args: []string{"-c", "exec sleep 600"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.take(syscall.SIGKILL)
		_ = tl.close()
	})
	return p
}

func (p *part) current() *rig.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process
}

func TestPartThatEndsByItselfIsStartedAgain(t *testing.T) {
	p := runningPart(t)
	first := p.current()
	p.signal(syscall.SIGKILL) // as a crash: nobody took it
	for deadline := time.Now().Add(10 * again); p.current() == first; {
		if time.Now().After(deadline) {
			t.Fatal("it is not started again")
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestPartThatWasTakenStaysDownUntilItIsStarted(t *testing.T) {
	p := runningPart(t)
	first := p.current()
	p.take(syscall.SIGKILL)
	<-time.After(again + again/2) // nothing can be awaited that is not to happen
	if p.current() != first {
		t.Error("it was started while it was to be down")
	}
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	if p.current() == first {
		t.Error("it was not started")
	}
}

func TestPausedTargetGoesOn(t *testing.T) {
	p := runningPart(t)
	target := &target{parts: []*part{p}}
	if err := target.do(Fault{Target: "sleeper", Action: Pause, Length: 10 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	p.take(syscall.SIGTERM) // a stopped process would not see it
	select {
	case <-p.current().Ended():
	default:
		t.Error("it has not ended")
	}
	if err := target.do(Fault{Action: "tickle"}); err == nil {
		t.Error("an unknown fault is done")
	}
}
