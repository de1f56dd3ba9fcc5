package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// identity is a process that is told from a later one of the same number.
type identity struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // in clock ticks since the machine started
}

// identify returns the identity of a process that lives.
func identify(pid int) (identity, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return identity{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	// The name in parentheses may hold spaces; fields count from behind it.
	_, rest, _ := strings.Cut(string(data[strings.LastIndexByte(string(data), ')'):]), " ")
	fields := strings.Fields(rest)
	const state, start = 0, 19
	if len(fields) <= start || fields[state] == "Z" {
		return identity{}, fmt.Errorf("look at process %d: %w", pid, os.ErrProcessDone)
	}
	return identity{PID: pid, Start: fields[start]}, nil
}

func (i identity) alive() bool {
	now, err := identify(i.PID)
	return err == nil && now == i
}

// signal sends a signal; a process that has ended is no error.
func (i identity) signal(s syscall.Signal) error {
	p, err := os.FindProcess(i.PID) // holds the process, so its number is not reused
	if err != nil {
		return fmt.Errorf("find process %d: %w", i.PID, err)
	}
	defer func() { _ = p.Release() }()
	if !i.alive() {
		return nil
	}
	if err := p.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal process %d: %w", i.PID, err)
	}
	return nil
}

// loadIdentity reads an identity; there being none is no error.
func loadIdentity(path string) (identity, error) {
	var id identity
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return id, nil
	}
	if err != nil {
		return id, fmt.Errorf("read the supervisor's identity: %w", err)
	}
	if err := json.Unmarshal(data, &id); err != nil {
		return id, fmt.Errorf("decode %q: %w", path, err)
	}
	return id, nil
}
