//go:build linux && bench

package bench

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/revet-dev/revet/test/rig"
)

const startPatience = 5 * time.Minute

// process is a program that runs beside the benchmark.
type process struct {
	name string
	cmd  *exec.Cmd
	stop func()
	rig  *rig.Process
}

// start runs a program until the benchmark ends, or it is stopped.
func start(b *testing.B, name, program string, env []string, args ...string) *process {
	b.Helper()
	p, err := rig.Program{Name: name, Path: program, Env: env, Args: args}.Start()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		p.Stop()
		if b.Failed() {
			b.Logf("the end of what %s printed:\n%s", name, p.Tail())
		}
	})
	return &process{name: name, cmd: p.Cmd, stop: p.Stop, rig: p}
}

// await returns once the URL answers 200.
func (p *process) await(b *testing.B, url string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), startPatience)
	defer cancel()
	if err := p.rig.Await(ctx, url); err != nil {
		b.Fatal(err)
	}
}

// residentMiB is the memory that the process holds.
func (p *process) residentMiB() (float64, error) { return p.memoryMiB("VmRSS") }

// memoryMiB is a line of the process's status.
func (p *process) memoryMiB(name string) (float64, error) {
	return rig.MemoryMiB(p.cmd.Process.Pid, name)
}

// freeAddress is a loopback address that nobody listens on. Some of the programs cannot choose one and tell it.
func freeAddress(b *testing.B) string {
	b.Helper()
	address, err := rig.FreeAddress(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return address
}

// eventually polls until the condition gives no error.
func eventually(b *testing.B, patience time.Duration, what string, condition func() error) {
	b.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			b.Fatalf("%s: not within %s: %v", what, patience, err)
		case <-tick.C:
		}
	}
}
