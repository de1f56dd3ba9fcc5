//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/test/cluster/node"
)

// traces are what a cluster could leave on the machine beside files.
type traces struct {
	Devices, Mounts, Cgroups []string
	Settings                 map[string]string
}

// settings are what a kubelet and a kube-proxy change on a machine of their own.
var settings = []string{
	"vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys",
	"net/ipv4/ip_forward", "net/netfilter/nf_conntrack_max",
}

func look(t *testing.T) traces {
	t.Helper()
	var seen traces
	devices, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		seen.Devices = append(seen.Devices, d.Name)
	}
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		seen.Mounts = append(seen.Mounts, strings.Fields(line)[4])
	}
	for _, pattern := range []string{"/sys/fs/cgroup/*", "/sys/fs/cgroup/*/*"} {
		groups, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range groups {
			// Files of the root group, and other people's clusters, come and go.
			if strings.HasPrefix(filepath.Base(group), "revet-") && strings.HasSuffix(group, ownID(t)) {
				seen.Cgroups = append(seen.Cgroups, group)
			}
		}
	}
	seen.Settings = map[string]string{}
	for _, setting := range settings {
		value, _ := os.ReadFile("/proc/sys/" + setting) // not every kernel has each
		seen.Settings[setting] = string(value)
	}
	return seen
}

func ownID(t *testing.T) string {
	t.Helper()
	dir, err := node.StateDir(options(t))
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Base(dir)
}

// process is one that is told from a later one of its number.
type process struct {
	pid     int
	command string
}

// processes lists those of the cluster: whose command line names its state
// directory or whose cgroup is one of its.
func processes(dir string) []process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		line, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		group, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cgroup"))
		environ, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ"))
		command := strings.ReplaceAll(strings.TrimRight(string(line), "\x00"), "\x00", " ")
		if strings.Contains(command, dir) || strings.Contains(string(group), "revet-"+filepath.Base(dir)) ||
			strings.Contains(string(environ), "HOME="+dir) {
			found = append(found, process{pid, command})
		}
	}
	return found
}

// present says whether a process of the cluster has the words in its command.
func present(dir, words string) error {
	_, err := find(dir, words)
	return err
}

func find(dir, words string) (process, error) {
	for _, p := range processes(dir) {
		if strings.Contains(p.command, words+" ") {
			return p, nil
		}
	}
	return process{}, fmt.Errorf("there is no process %q", words)
}

// kill waits for the moment and kills the victim, which may have gone already.
func kill(t *testing.T, dir, moment, victim string, ended chan error) {
	t.Helper()
	deadline := time.Now().Add(upTimeout)
	for present(dir, moment) != nil {
		select {
		case err := <-ended:
			t.Fatalf("up ended before %q was there: %v", moment, err)
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q did not appear", moment)
		}
	}
	p, err := find(dir, victim)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill %q: %v", p.command, err)
	}
	t.Logf("killed %d: %.80s", p.pid, p.command)
}

// gone fails the test unless everything of the cluster has gone in time.
func gone(t *testing.T, o node.Options, dir string, before traces) {
	t.Helper()
	began := time.Now()
	eventually(t, goneTimeout, func() error {
		if _, state, err := node.Status(o); err != nil || state != node.Stopped {
			return fmt.Errorf("state %v, error %w", state, err)
		}
		return nil
	})
	// What follows must be so as soon as the cluster says that it has stopped.
	if left := processes(dir); len(left) > 0 {
		t.Errorf("processes are left: %+v", left)
	}
	if diff := cmp.Diff(before, look(t)); diff != "" {
		t.Errorf("traces are left (-before +after):\n%s", diff)
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() != "logs" {
			t.Errorf("file %q is left", entry.Name())
		}
	}
	if log, err := os.ReadFile(filepath.Join(dir, "logs", "supervisor.log")); t.Failed() {
		t.Logf("supervisor and janitor logged (%v):\n%s", err, log)
	}
	t.Logf("gone after %s", time.Since(began).Round(time.Millisecond))
}
