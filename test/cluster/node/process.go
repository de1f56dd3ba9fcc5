package node

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"time"
)

const (
	restartDelay    = 500 * time.Millisecond
	restartDelayMax = 8 * time.Second
	// A component that ends so often within the window keeps ending.
	restartLimit  = 5
	restartWindow = 2 * time.Minute
)

// restarts decides whether and when a component is started again.
type restarts struct{ ends []time.Time }

// next records an end and returns the delay before the next start; ok is false
// where the component has ended too often.
func (r *restarts) next(now time.Time) (delay time.Duration, ok bool) {
	recent := r.ends[:0]
	for _, end := range r.ends {
		if now.Sub(end) < restartWindow {
			recent = append(recent, end)
		}
	}
	recent = append(recent, now)
	r.ends = recent
	if len(r.ends) > restartLimit {
		return 0, false
	}
	delay = restartDelay
	for range len(r.ends) - 1 {
		delay = min(2*delay, restartDelayMax)
	}
	return delay, true
}

// keepRunning runs a component until it ends too often, which is the error, or
// the context ends.
func keepRunning(ctx context.Context, c component, log string, env []string) error {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open log of %s: %w", c.name, err)
	}
	defer out.Close()
	var history restarts
	for {
		cmd := exec.CommandContext(ctx, c.path, c.args...)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = "/", env, out, out
		err := cmd.Run()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		delay, ok := history.next(time.Now())
		if !ok {
			return fmt.Errorf("%s keeps ending, the last time with %w: see %q", c.name, err, log)
		}
		slog.Warn("component ended", "component", c.name, "error", err, "restartIn", delay.String())
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
