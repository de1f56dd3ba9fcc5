package node

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

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

// What the kernel has not let go of yet is removed a little later; what it never
// lets go of is told.
func TestRemovalPersists(t *testing.T) {
	busy := errors.New("device or resource busy")
	for _, test := range []struct {
		name     string
		failures int
		want     error
	}{
		{"at once", 0, nil},
		{"after some attempts", 5, nil},
		{"never", 1 << 30, busy},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, left := time.Now(), test.failures
				err := persist(func() error {
					if left > 0 {
						left--
						return busy
					}
					return nil
				})
				if !errors.Is(err, test.want) {
					t.Errorf("error %v, want %v", err, test.want)
				}
				if took := time.Since(began); took > removalTimeout+removalPoll {
					t.Errorf("took %s, more than %s", took, removalTimeout)
				}
			})
		})
	}
}
