package node

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Down takes the checkout's cluster down and returns when nothing of it is left
// but logs and the registry's content. It is no error that there is none: Down
// then removes what a cluster that was killed may have left.
func Down(ctx context.Context, o Options) error {
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: only root can end it: run this with sudo", ErrUnsupported)
	}
	progress := newConsole(o.Out)
	p := o.paths()
	if _, err := os.Stat(p.lock); os.IsNotExist(err) {
		progress.say("no cluster runs for this checkout")
		return nil
	}
	lock, free, err := tryLock(p.lock)
	if err != nil {
		return err
	}
	if free {
		defer lock.Close()
		progress.say("no cluster runs for this checkout")
		return cleanUp(p, o.id())
	}
	id, err := loadIdentity(p.pid())
	if err != nil {
		return err
	}
	if id.PID == 0 {
		return fmt.Errorf("the cluster of this checkout is only being built: interrupt the command that does it")
	}
	progress.say("taking the cluster down")
	if err := id.signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := awaitEnded(ctx, p, o.id()); err != nil {
		return err
	}
	progress.say("the cluster is gone; its logs are in %s", p.logs())
	return nil
}

const releaseTimeout = time.Minute

// awaitEnded waits until supervisor and janitor have ended, and cleans up for
// them: one of them may have been killed before it knew of the other.
func awaitEnded(ctx context.Context, p paths, id string) error {
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	return waiter{}.await(ctx, "the cluster's end", func(context.Context) error {
		file, free, err := tryLock(p.lock)
		if err != nil {
			return err
		}
		if !free {
			return fmt.Errorf("supervisor or janitor still runs: see %q", p.logs())
		}
		defer file.Close()
		return cleanUp(p, id)
	})
}

// Status returns the state of the checkout's cluster and, where it runs, what
// it is.
func Status(o Options) (*Info, State, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, Unknown, err
	}
	return status(o.paths())
}

func status(p paths) (*Info, State, error) {
	if _, err := os.Stat(p.lock); os.IsNotExist(err) {
		return nil, Stopped, nil
	}
	lock, free, err := tryLock(p.lock)
	if err != nil {
		return nil, Unknown, err
	}
	if free {
		return nil, Stopped, lock.Close()
	}
	id, err := loadIdentity(p.pid())
	if err != nil {
		return nil, Unknown, err
	}
	info, err := Load(p.dir)
	if err != nil || !id.alive() || id.PID != info.PID {
		// There is no description before it is ready, and none any more when
		// it is being taken down.
		return nil, Busy, nil //nolint:nilerr // as above
	}
	return info, Running, nil
}
