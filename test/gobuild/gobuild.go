// Package gobuild builds programs of a checkout for the tests that run them.
//
// Contract: a program is linked once for a state of the sources, however many packages of
// tests use it. What was linked stays below bin/programs of the checkout, where "go build"
// leaves alone what is up to date. Each caller gets a file of its own, which nobody replaces.
package gobuild

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// lockPoll is how often a process asks whether another one has finished.
const lockPoll = 50 * time.Millisecond

// Source is what programs are built from.
type Source struct {
	// Root is the folder of the checkout.
	Root string
	// Module is the folder of a module below Root; empty is the product's own.
	Module string
	// Tags are build tags, separated by commas.
	Tags string
}

// Into builds packages of the module, such as "./cmd/step", and puts the programs into a
// folder. A program has the name of its package's folder.
func (s Source) Into(ctx context.Context, dir string, packages ...string) error {
	module, err := filepath.Abs(filepath.Join(s.Root, s.Module))
	if err != nil {
		return fmt.Errorf("finding the sources: %w", err)
	}
	kept, err := filepath.Abs(filepath.Join(s.Root, "bin", "programs", cmp.Or(s.Tags, "plain")))
	if err != nil {
		return fmt.Errorf("finding the folder of programs: %w", err)
	}
	unlock, err := lock(ctx, kept)
	if err != nil {
		return err
	}
	defer unlock()
	build := exec.CommandContext(ctx, "go", append([]string{ //nolint:gosec // the caller's own constants
		"build", "-tags=" + s.Tags, "-ldflags=-s -w", "-o", kept + string(filepath.Separator),
	}, packages...)...)
	build.Dir = module
	build.Env = append(build.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath -buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building %v: %w: %s", packages, err, out)
	}
	for _, p := range packages {
		name := filepath.Base(filepath.Join(module, p))
		if err := share(filepath.Join(kept, name), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("taking the program %s: %w", name, err)
		}
	}
	return nil
}

// share makes a file appear under another name, in the place of what has it. "go build"
// replaces files and never writes into them, so that a link keeps what it is now.
func share(from, to string) error {
	if err := os.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Link(from, to); err == nil {
		return nil // otherwise the folders are of two file systems
	}
	source, err := os.Open(from) //nolint:gosec // what was just built
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700) //nolint:gosec // a program
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// lock keeps other processes from building into a folder. The kernel releases the lock of a
// process that dies.
func lock(ctx context.Context, dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("making the folder of programs: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // see above
	if err != nil {
		return nil, fmt.Errorf("locking the folder of programs: %w", err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("locking the folder of programs: %w", err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("waiting for another build: %w", ctx.Err()), f.Close())
		case <-time.After(lockPoll):
		}
	}
}
