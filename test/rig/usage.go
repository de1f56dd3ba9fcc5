//go:build linux

package rig

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// clockTicks is what the kernel counts processor time in, on every Linux that Go runs on.
const clockTicks = 100

// MemoryMiB is a line of a process's status, such as VmRSS: what it holds, or VmHWM: the most that it held.
func MemoryMiB(pid int, name string) (float64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no %s: it has ended", pid, name)
}

// ProcessorSeconds is how long a process has computed, in its own code and in the kernel.
func ProcessorSeconds(pid int) (float64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, which may hold anything, ends with the last parenthesis; user and system time are the 12th and 13th after it.
	fields := strings.Fields(string(content[strings.LastIndexByte(string(content), ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("process %d has ended", pid)
	}
	var ticks float64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return ticks / clockTicks, nil
}
