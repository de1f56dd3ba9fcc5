package node

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// runJanitor waits for the supervisor's end and removes what it left. It is in
// no namespace of the cluster and in a session of its own, so that neither the
// cluster's end nor a signal to the supervisor's group ends it.
func runJanitor(c Config) error {
	files := inherited("lock", "orders", "answers")
	// Until all is removed: a file that nobody refers to any more is closed by the
	// garbage collector, and the cluster would pass for stopped while it is taken down.
	defer func() { _ = files[0].Close() }()
	orders := bufio.NewReader(files[1])
	// A supervisor that is killed before it reads this is an end like any other.
	_, _ = fmt.Fprintln(files[2], "ready")
	_ = files[2].Close()

	first := -1 // a file descriptor that stands for process 1
	for {
		line, err := orders.ReadString('\n')
		if err != nil { // the supervisor has ended
			break
		}
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			return fmt.Errorf("decode order %q: %w", line, err)
		}
		// Process 1 cannot have been reaped yet unless it ended, and then there
		// is nothing to wait for.
		if first, err = unix.PidfdOpen(pid, 0); err != nil {
			slog.Info("process 1 ended early", "error", err)
			first = -1
		}
	}
	awaitEnd(first)
	return cleanUp(c.paths(), c.ID)
}

// endTimeout is how long the kernel may take to end a whole cluster.
const endTimeout = 30 * time.Second

// awaitEnd kills process 1 and waits until its namespaces are empty, which is
// what the end of a process 1 means.
func awaitEnd(first int) {
	if first < 0 {
		return
	}
	defer func() { _ = unix.Close(first) }()
	// It may have died with the supervisor already.
	_ = unix.PidfdSendSignal(first, unix.SIGKILL, nil, 0)
	deadline := time.Now().Add(endTimeout)
	for time.Now().Before(deadline) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(first), Events: unix.POLLIN}}, 1000)
		if n > 0 || (err != nil && err != unix.EINTR) {
			return
		}
	}
	slog.Error("process 1 did not end in time", "timeout", endTimeout.String())
}

// cleanUp removes what is left of a cluster whose processes have ended, and
// ends those that have not. It may be repeated.
func cleanUp(p paths, id string) error {
	// Readers must not take the cluster for a running one meanwhile.
	_ = os.Remove(p.info())
	if err := removeCgroups(cgroupName(id)); err != nil {
		return err
	}
	return persist(func() error { return removeState(p) })
}

// removeState removes the state directory except for the logs.
func removeState(p paths) error {
	entries, err := os.ReadDir(p.dir)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list the cluster's state: %w", err)
	}
	for _, entry := range entries {
		path := p.dir + "/" + entry.Name()
		if path == p.logs() {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove the cluster's state: %w", err)
		}
	}
	return nil
}
