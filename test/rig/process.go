//go:build linux

package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// stopPatience is how long a program may take to end after SIGTERM. Tekton's sink ignores the first.
	stopPatience = 5 * time.Second
	awaitPoll    = 50 * time.Millisecond
	probeTimeout = 5 * time.Second
)

// Program is what a [Process] is started from, any number of times.
type Program struct {
	// Name is for messages.
	Name string
	Path string
	Args []string
	// Env is added to this process's environment.
	Env []string
	// Log receives what it prints, besides the end that is kept. May be nil.
	Log io.Writer
}

// Process is a program that runs.
type Process struct {
	// Cmd is for looking at.
	Cmd *exec.Cmd

	name  string
	log   *tail
	ended chan struct{}
	stop  func()
}

// Start runs the program until it ends, is stopped, or this process ends.
func (p Program) Start() (*Process, error) {
	// Not bound to a context: what ends with one would be killed before it can give its lease back.
	s := &Process{name: p.Name, Cmd: exec.Command(p.Path, p.Args...), log: &tail{passOn: p.Log}, ended: make(chan struct{})} //nolint:noctx // see above
	s.Cmd.Env = append(os.Environ(), p.Env...)
	s.Cmd.Stdout, s.Cmd.Stderr = s.log, s.log
	s.Cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		defer close(s.ended)
		// That signal comes when the thread ends that started the program.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.Cmd.Start()
		started <- err
		if err == nil {
			_ = s.Cmd.Wait() // that it ended at all is what matters; the log says why
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.Name, err)
	}
	s.stop = sync.OnceFunc(func() {
		_ = s.Signal(syscall.SIGTERM) // fails only if it has ended
		select {
		case <-s.ended:
		case <-time.After(stopPatience):
			_ = s.Signal(syscall.SIGKILL)
			<-s.ended
		}
	})
	return s, nil
}

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) error { return p.Cmd.Process.Signal(s) }

// Stop asks the process to end, makes it, and returns when it has. It may be called more than once.
func (p *Process) Stop() { p.stop() }

// Tail is the end of what the process printed.
func (p *Process) Tail() string { return p.log.String() }

// Await returns once the URL answers 200, or with an error when the process or the context ends.
func (p *Process) Await(ctx context.Context, url string) error {
	client := &http.Client{Timeout: probeTimeout}
	tick := time.NewTicker(awaitPoll)
	defer tick.Stop()
	for {
		last := Answers(ctx, client, url)
		if last == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s has ended (%w):\n%s", p.name, last, p.Tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", p.name, last)
		case <-tick.C:
		}
	}
}

// Answers gives no error if the URL answers 200.
func Answers(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, response.Status)
	}
	return nil
}

// The ports that [FreeAddress] chooses from.
const (
	firstPort = 20000
	ports     = 12000
)

// FreeAddress is a loopback address that nobody listens on, for programs that are told theirs or have to keep it.
func FreeAddress(ctx context.Context) (string, error) {
	start := rand.IntN(ports) //nolint:gosec // it only spreads
	for i := range ports {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+(start+i)%ports))
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err == nil {
			return address, l.Close()
		}
	}
	return "", errors.New("no loopback port is free")
}

// kept is how much of the newest output is remembered for a failure.
const kept = 4000

// tail keeps the newest output and passes it on, if there is somewhere to pass it to.
type tail struct {
	mu     sync.Mutex
	data   []byte
	passOn io.Writer
}

// Write never fails: losing a line is no reason to end a program.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if over := len(t.data) - kept; over > 0 {
		t.data = bytes.Clone(t.data[over:])
	}
	if t.passOn != nil {
		_, _ = t.passOn.Write(p)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.data)
}

// HasFlag says whether a program has a flag: those of other versions may not.
func HasFlag(ctx context.Context, program, flag string) bool {
	help, _ := exec.CommandContext(ctx, program, "-h").CombinedOutput() // what it prints is the answer
	return strings.Contains(string(help), "  -"+flag+" ")
}

// Await polls until the condition gives no error.
func Await(ctx context.Context, poll, patience time.Duration, what string, condition func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s: %w", what, patience, err)
		case <-tick.C:
		}
	}
}
