package nodeusage

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// v2 is the mount of the unified hierarchy (Documentation/admin-guide/cgroup-v2.rst
// of Linux).
type v2 string

func (m v2) mount() string { return string(m) }

func (m v2) read(path string, u *Usage) {
	dir := filepath.Join(string(m), path)
	for _, line := range lines(filepath.Join(dir, "cpu.stat")) {
		if value, ok := strings.CutPrefix(line, "usage_usec "); ok {
			u.CPU = scaled(value, time.Microsecond)
		}
	}
	// Linux has memory.peak since 5.19. Without it, the largest sample is the best estimate.
	if u.PeakMemory = number(filepath.Join(dir, "memory.peak")); u.PeakMemory == nil {
		u.PeakMemory = number(filepath.Join(dir, "memory.current"))
	}
	content, err := read(filepath.Join(dir, "io.stat"))
	if err != nil {
		return
	}
	u.DiskRead, u.DiskWritten = new(int64), new(int64)
	for _, field := range strings.Fields(string(content)) {
		name, value, _ := strings.Cut(field, "=")
		n, err := strconv.ParseInt(value, 10, 64)
		switch {
		case err != nil: // a device
		case name == "rbytes":
			*u.DiskRead += n
		case name == "wbytes":
			*u.DiskWritten += n
		}
	}
}

// v1 is where the controllers of the older hierarchies are mounted.
type v1 struct{ cpu, memory, blkio string }

// newV1 finds the controllers below a folder. Some systems mount cpu and cpuacct
// together.
func newV1(folder string) v1 {
	m := v1{cpu: filepath.Join(folder, "cpuacct"), memory: filepath.Join(folder, "memory"), blkio: filepath.Join(folder, "blkio")}
	if _, err := os.Stat(m.cpu); err != nil {
		m.cpu = filepath.Join(folder, "cpu,cpuacct")
	}
	return m
}

func (m v1) mount() string { return m.memory }

// read leaves DiskWritten out: version 1 charges what the kernel writes back later
// to nobody.
func (m v1) read(path string, u *Usage) {
	if n := number(filepath.Join(m.cpu, path, "cpuacct.usage")); n != nil {
		d := time.Duration(*n)
		u.CPU = &d
	}
	u.PeakMemory = number(filepath.Join(m.memory, path, "memory.max_usage_in_bytes"))
	content, err := read(filepath.Join(m.blkio, path, "blkio.throttle.io_service_bytes_recursive"))
	if err != nil {
		return
	}
	u.DiskRead = new(int64)
	for line := range strings.Lines(string(content)) {
		if f := strings.Fields(line); len(f) == 3 && f[1] == "Read" {
			n, err := strconv.ParseInt(f[2], 10, 64)
			if err == nil {
				*u.DiskRead += n
			}
		}
	}
}

// read reads a file of the kernel's, below the folders that a Reader was given.
func read(file string) ([]byte, error) {
	return os.ReadFile(file) //nolint:gosec,wrapcheck // the kernel names them; and none is told of
}

// lines returns those of a file; none if it cannot be read, as groups end at any time.
func lines(file string) []string {
	content, err := read(file)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(content)), "\n")
}

// number reads a file that holds one.
func number(file string) *int64 {
	content, err := read(file)
	if err != nil {
		return nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

func scaled(value string, unit time.Duration) *time.Duration {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return nil
	}
	d := time.Duration(n) * unit
	return &d
}
