package nodeusage

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// podInterface is the name that the container network interface gives a Pod's.
const podInterface = "eth0"

// readNetwork takes the counters from any process of the group that is in the Pod's
// network, and not in the node's, as helpers of a sandbox may be.
func (r *Reader) readNetwork(group string, u *Usage) {
	node := interfaceNames(r.interfaces("1"))
	for _, pid := range r.processes(group) {
		interfaces := r.interfaces(pid)
		if slices.Equal(interfaceNames(interfaces), node) {
			continue
		}
		for _, line := range interfaces {
			name, counters, _ := strings.Cut(line, ":")
			f := strings.Fields(counters)
			if strings.TrimSpace(name) != podInterface || len(f) < 16 {
				continue
			}
			received, err := strconv.ParseInt(f[0], 10, 64)
			sent, sentErr := strconv.ParseInt(f[8], 10, 64)
			if err == nil && sentErr == nil {
				u.Received, u.Sent = &received, &sent
				return
			}
		}
	}
}

// interfaces returns the lines of a process' /proc/PID/net/dev, without its two
// lines of headings.
func (r *Reader) interfaces(pid string) []string {
	all := lines(filepath.Join(r.proc, pid, "net", "dev"))
	return all[min(len(all), 2):]
}

func interfaceNames(lines []string) []string {
	var names []string
	for _, l := range lines {
		name, _, _ := strings.Cut(l, ":")
		names = append(names, strings.TrimSpace(name))
	}
	slices.Sort(names)
	return names
}

// processes returns those of a group and of all groups in it. A process of a PID
// namespace that this one does not see is called 0.
func (r *Reader) processes(group string) []string {
	var pids []string
	_ = filepath.WalkDir(filepath.Join(r.groups.mount(), group), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil //nolint:nilerr // groups end while they are walked: what cannot be read has no processes
		}
		for _, pid := range lines(filepath.Join(path, "cgroup.procs")) {
			if pid != "" && pid != "0" {
				pids = append(pids, pid)
			}
		}
		return nil
	})
	return pids
}
