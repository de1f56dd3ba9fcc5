//go:build linux

package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/revet-dev/revet/test/rig"
)

const (
	// grace is how long a program has to end after SIGTERM.
	grace = 3 * time.Second
	// again is how long a program that ended by itself is left: a stand-in for kubelet, kinder than its back-off.
	again = time.Second
)

// part is a program that is kept running, and that faults are done to.
type part struct {
	program  rig.Program
	timeline *timeline

	mu      sync.Mutex
	process *rig.Process
	// began is when the process was started.
	began time.Time
	// down is set while it is not to run.
	down bool
}

// newPart starts a program and keeps it running until stop. What it prints goes to a file.
func newPart(tl *timeline, program rig.Program) (*part, error) {
	log, err := os.OpenFile(filepath.Join(tl.dir, program.Name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", program.Name, err)
	}
	program.Log = log // it closes with the harness; the program is started again and again
	p := &part{program: program, timeline: tl}
	return p, p.start()
}

func (p *part) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.startLocked()
}

func (p *part) startLocked() error {
	p.down, p.began = false, time.Now()
	process, err := p.program.Start()
	if err != nil {
		return err
	}
	p.process = process
	go p.watch(process)
	return nil
}

// watch starts the program again if it ended by itself.
func (p *part) watch(process *rig.Process) {
	<-process.Ended()
	if !p.isToRun(process, func() {}) {
		return
	}
	p.timeline.note("part", "%s has ended by itself: see %s.log", p.program.Name, p.program.Name)
	<-time.After(again)
	p.isToRun(process, func() {
		if err := p.startLocked(); err != nil {
			p.timeline.note("part", "%s cannot be started again: %v", p.program.Name, err)
		}
	})
}

// isToRun says whether the process is the one that is to run, and if so does something before that can change.
func (p *part) isToRun(process *rig.Process, then func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down || p.process != process {
		return false
	}
	then()
	return true
}

// upSince says since when the program runs, and no while it does not.
func (p *part) upSince() (time.Time, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return time.Time{}, false
	}
	select {
	case <-p.process.Ended():
		return time.Time{}, false
	default:
		return p.began, true
	}
}

func (p *part) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process.Cmd.Process.Pid
}

func (p *part) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.process.Signal(s) // a process that has ended is started again anyhow
}

// take ends the program, which stays down until start.
func (p *part) take(s syscall.Signal) {
	p.mu.Lock()
	p.down = true
	process := p.process
	p.mu.Unlock()
	_ = process.Signal(s)
	select {
	case <-process.Ended():
	case <-time.After(grace):
		_ = process.Signal(syscall.SIGKILL)
		<-process.Ended()
	}
}

func (p *part) await(ctx context.Context, url string) error {
	p.mu.Lock()
	process := p.process
	p.mu.Unlock()
	return process.Await(ctx, url)
}

// target is what a fault is done to: programs and the connections to and from them.
type target struct {
	mu    sync.Mutex
	parts []*part
	links []*link
}

// do does a fault and returns when it is over. Faults of one target wait for each other.
func (t *target) do(f Fault) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch f.Action {
	case Kill:
		t.each(func(p *part) { p.take(syscall.SIGKILL) })
		<-time.After(f.Length)
		return t.startAll()
	case Restart:
		t.each(func(p *part) { p.take(syscall.SIGTERM) })
		return t.startAll()
	case Pause:
		t.each(func(p *part) { p.signal(syscall.SIGSTOP) })
		<-time.After(f.Length)
		t.each(func(p *part) { p.signal(syscall.SIGCONT) })
	case Refuse:
		t.cut(refusing, f.Length)
	case Stall:
		t.cut(stalled, f.Length)
	default:
		return fmt.Errorf("no fault is called %q", f.Action)
	}
	return nil
}

// each does something to all parts at the same time: the ways are to have the same faults.
func (t *target) each(do func(*part)) {
	var all sync.WaitGroup
	for _, p := range t.parts {
		all.Go(func() { do(p) })
	}
	all.Wait()
}

func (t *target) startAll() error {
	for _, p := range t.parts {
		if err := p.start(); err != nil {
			return err
		}
	}
	return nil
}

func (t *target) cut(s linkState, length time.Duration) {
	for _, l := range t.links {
		l.set(s)
	}
	<-time.After(length)
	for _, l := range t.links {
		l.set(passing)
	}
}
