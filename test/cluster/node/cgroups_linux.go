package node

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// hierarchy is one mounted cgroup hierarchy.
type hierarchy struct {
	path string
	v2   bool
}

// hierarchies lists the cgroup hierarchies mounted in this process's namespace.
func hierarchies() ([]hierarchy, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list cgroup hierarchies: %w", err)
	}
	return parseHierarchies(string(data)), nil
}

func parseHierarchies(mountinfo string) []hierarchy {
	var found []hierarchy
	lines := bufio.NewScanner(strings.NewReader(mountinfo))
	for lines.Scan() {
		mount, filesystem, ok := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(mount)
		const mountPoint = 4
		if !ok || len(fields) <= mountPoint {
			continue
		}
		switch kind, _, _ := strings.Cut(filesystem, " "); kind {
		case "cgroup":
			found = append(found, hierarchy{path: fields[mountPoint]})
		case "cgroup2":
			found = append(found, hierarchy{path: fields[mountPoint], v2: true})
		}
	}
	return found
}

// makeCgroups makes the cluster's cgroup in every hierarchy, as the kubelet
// wants its root to exist.
func makeCgroups(name string) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range all {
		group := filepath.Join(h.path, name)
		if err := os.Mkdir(group, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make cgroup: %w", err)
		}
		// A new group of version 1's cpuset has no processor and no memory.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(h.path, file))
			if err != nil || h.v2 {
				continue
			}
			if err := os.WriteFile(filepath.Join(group, file), value, 0o644); err != nil {
				return fmt.Errorf("give cgroup %q its %s: %w", group, file, err)
			}
		}
	}
	return nil
}

const (
	removalTimeout = 20 * time.Second
	removalPoll    = 50 * time.Millisecond
)

// persist repeats a removal until it succeeds, within removalTimeout. The kernel
// lets go of what a process used some time after the process has ended: of a
// cgroup, and of mounts, whose end still changes the directories they were made of.
func persist(remove func() error) error {
	deadline := time.Now().Add(removalTimeout)
	for {
		err := remove()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(removalPoll)
	}
}

// removeCgroups ends every process of the cluster's cgroups and removes them.
func removeCgroups(name string) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range all {
		group := filepath.Join(h.path, name)
		if err := persist(func() error { return removeTree(group) }); err != nil {
			return fmt.Errorf("remove cgroup %q: %w", group, err)
		}
	}
	return nil
}

// removeTree removes a cgroup depth-first; one that is not there is no error.
func removeTree(group string) error {
	entries, err := os.ReadDir(group)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(group, entry.Name())); err != nil {
				return err
			}
		}
	}
	if err := killMembers(group); err != nil {
		return err
	}
	if err := syscall.Rmdir(group); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func killMembers(group string) error {
	data, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, field := range strings.Fields(string(data)) {
		pid, err := strconv.Atoi(field)
		if err != nil || pid <= 1 {
			continue // 0 stands for a process of a namespace not seen from here
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return nil
}
