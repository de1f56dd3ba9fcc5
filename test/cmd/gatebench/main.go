//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if code, isRole := serveRole(); isRole {
		os.Exit(code)
	}
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "gatebench:", err)
		return 2
	}
	r := &report{out: os.Stdout}
	if err := measure(ctx, o, r); err != nil {
		fmt.Fprintln(os.Stderr, "gatebench:", err)
		return 1
	}
	if !r.conclude() {
		return 1
	}
	return 0
}

// measure does the parts, in a cluster of their own.
func measure(ctx context.Context, o options, r *report) (err error) {
	b, err := newBed(ctx, o, r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	if o.parts[partCreate] {
		if err := b.measureCreate(ctx); err != nil {
			return fmt.Errorf("part create: %w", err)
		}
	}
	if o.parts[partLatency] || o.parts[partGrowth] {
		if err := b.measureGate(ctx); err != nil {
			return fmt.Errorf("parts latency and growth: %w", err)
		}
	}
	return nil
}
