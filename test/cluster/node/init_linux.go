package node

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"syscall"
)

// runInit is process 1 of the cluster's namespaces. It makes them usable,
// starts the agent, and reaps: everything whose parent ends becomes its child.
// It starts nothing else, because reaping everything and waiting for children
// of one's own exclude each other.
func runInit(c Config) error {
	files := inherited("life", "api", "registry", "reports")
	life := bufio.NewReader(files[0])
	// Nothing is made before the janitor knows this process. The line is this
	// process's number outside.
	var outside int
	if _, err := fmt.Fscanln(life, &outside); err != nil {
		return fmt.Errorf("wait for the supervisor: %w", err)
	}
	if os.Getpid() != 1 {
		return fmt.Errorf("role init must be process 1 of a namespace, not %d", os.Getpid())
	}
	go func() {
		// The parent-death signal does the same, unless the supervisor died
		// before it was armed.
		_, err := life.ReadByte()
		slog.Info("the supervisor ended", "error", err)
		os.Exit(1) // the end of process 1 ends the namespaces
	}()
	reports := newReporter(files[3])
	fail := func(err error) error {
		reports.send(report{Error: err.Error()})
		return err
	}
	if err := makeCgroups(c.cgroup()); err != nil {
		return fail(err)
	}
	if err := makeMounts(c); err != nil {
		return fail(err)
	}
	if err := makeNetwork(); err != nil {
		return fail(err)
	}
	cmd := roleCommand(c, "agent", files[1], files[2], files[3])
	cmd.Args = append(cmd.Args, strconv.Itoa(outside))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fail(fmt.Errorf("start the agent: %w", err))
	}
	_ = files[3].Close() // Up must see the end of the reports when the agent ends
	return reap(cmd.Process.Pid)
}

// reap collects children until the agent ends, for which it returns an error.
func reap(agent int) error {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait for processes: %w", err)
		}
		if pid == agent {
			return fmt.Errorf("the agent ended with status %d (signal %d)", status.ExitStatus(), status.Signal())
		}
	}
}
