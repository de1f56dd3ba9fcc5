package node

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCgroupHierarchiesAreThoseMounted(t *testing.T) {
	const mixed = `22 1 0:20 / / rw - ext4 /dev/vda rw
31 22 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:28 / /sys/fs/cgroup/cpu rw,relatime shared:3 - cgroup cgroup rw,cpu
33 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
34 31 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
a line that is none
`
	want := []hierarchy{
		{path: "/sys/fs/cgroup/cpu"},
		{path: "/sys/fs/cgroup/cpu,cpuacct"},
		{path: "/sys/fs/cgroup/unified", v2: true},
	}
	got := parseHierarchies(mixed)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(hierarchy{})); diff != "" {
		t.Errorf("hierarchies (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"cpuset", "memory", "pids"}, missingControllers(got)); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
}
