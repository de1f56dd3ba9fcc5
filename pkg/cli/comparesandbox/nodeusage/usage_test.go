package nodeusage_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/cli/comparesandbox/nodeusage"
)

const (
	uidA = "0a0a0a0a-1111-4222-8333-444444444444"
	uidB = "0b0b0b0b-1111-4222-8333-444444444444"
	// under is how systemd's driver writes uidA.
	under = "0a0a0a0a_1111_4222_8333_444444444444"
)

// netDev is /proc/PID/net/dev with one line for each interface.
func netDev(lines ...string) string {
	return "Inter-|   Receive                                                |  Transmit\n" +
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n" +
		strings.Join(lines, "\n") + "\n"
}

const (
	loopback = "    lo:       9       1    0    0    0     0          0         0        9       1    0    0    0     0       0          0"
	nodeEth0 = "  eth0: 7777777       1    0    0    0     0          0         0  7777777       1    0    0    0     0       0          0"
	nodeVeth = " veth9:       5       1    0    0    0     0          0         0        5       1    0    0    0     0       0          0"
	podEth0  = "  eth0: 1048576     700    0    0    0     0          0         0     4096      61    0    0    0     0       0          0"
)

// files is a node's file system.
type files map[string]string

func (f files) write(t *testing.T, root string) {
	t.Helper()
	for name, content := range f {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// processes are the node's init, a helper of the sandbox in the node's network, and
// a process of the Pod's.
var processes = files{
	"proc/1/net/dev":  netDev(loopback, nodeEth0, nodeVeth),
	"proc/70/net/dev": netDev(loopback, nodeEth0, nodeVeth),
	"proc/71/net/dev": netDev(loopback, podEth0),
}

// unified is a node with version 2 and systemd's driver.
func unified() files {
	pod := "cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + under + ".slice/"
	return files{
		"cgroup/cgroup.controllers":                               "cpuset cpu io memory\n",
		"cgroup/system.slice/cgroup.procs":                        "1\n",
		"cgroup/kubepods.slice/cpu.stat":                          "usage_usec 999999999\n",
		pod + "cpu.stat":                                          "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\nnr_periods 0\n",
		pod + "memory.peak":                                       "90000384\n",
		pod + "memory.current":                                    "1\n",
		pod + "io.stat":                                           "254:0 rbytes=1000 wbytes=2000 rios=1 wios=2 dbytes=0 dios=0\n8:16 rbytes=24 wbytes=48 rios=1 wios=1 dbytes=5 dios=1\n",
		pod + "cgroup.procs":                                      "",
		pod + "cri-containerd-1.scope/cgroup.procs":               "0\n70\n71\n",
		"cgroup/kubepods.slice/kubepods-pod" + "x.slice/cpu.stat": "usage_usec 1\n",
	}
}

// nested is the same in a group of the kubelet's own, as kind has it.
func nested() files {
	tree := files{}
	for name, content := range unified() {
		name = strings.ReplaceAll(name, "/kubepods", "/kubelet-kubepods")
		tree[strings.Replace(name, "cgroup/kubelet-", "cgroup/kubelet.slice/kubelet-", 1)] = content
	}
	return tree
}

// divided is a node with version 1 and the other driver, in a group of its own.
func divided() files {
	pod := "/nested/kubepods/burstable/pod" + uidA + "/"
	return files{
		"cgroup/cpuacct" + pod + "cpuacct.usage":                           "2500000000\n",
		"cgroup/memory" + pod + "memory.max_usage_in_bytes":                "90000384\n",
		"cgroup/memory" + pod + "c1/cgroup.procs":                          "71\n",
		"cgroup/memory/nested/kubepods/pod" + uidB + "/cgroup.procs":       "70\n",
		"cgroup/blkio" + pod + "blkio.throttle.io_service_bytes_recursive": "8:0 Read 1000\n8:0 Write 2000\n8:0 Total 3000\n8:16 Read 24\n8:16 Write 1\n8:16 Total 25\nTotal 3025\n",
	}
}

func open(t *testing.T, trees ...files) (*nodeusage.Reader, string) {
	t.Helper()
	root := t.TempDir()
	for _, f := range trees {
		f.write(t, root)
	}
	r, err := nodeusage.New(filepath.Join(root, "cgroup"), filepath.Join(root, "proc"))
	if err != nil {
		t.Fatal(err)
	}
	return r, root
}

func value[T any](v T) *T { return &v }

// Both versions of control groups tell the same of a Pod, but for what the older one
// does not know.
func TestUsageIsRead(t *testing.T) {
	for _, test := range []struct {
		name    string
		tree    files
		version int
		pods    []string
		written *int64
	}{
		{"version 2, systemd's driver", unified(), 2, []string{uidA}, value(int64(2048))},
		{"version 2, nested", nested(), 2, []string{uidA}, value(int64(2048))},
		{"version 1, nested", divided(), 1, []string{uidA, uidB}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, _ := open(t, test.tree, processes)
			if r.Version != test.version {
				t.Errorf("version %d, want %d", r.Version, test.version)
			}
			pods := r.Pods()
			for _, uid := range test.pods {
				if pods[uid] == "" {
					t.Errorf("Pod %s is not among %v", uid, pods)
				}
			}
			if len(pods) != len(test.pods) {
				t.Errorf("%d Pods, want %d: %v", len(pods), len(test.pods), pods)
			}
			want := nodeusage.Usage{
				CPU:        value(2500 * time.Millisecond),
				PeakMemory: value(int64(90000384)),
				DiskRead:   value(int64(1024)), DiskWritten: test.written,
				Received: value(int64(1 << 20)), Sent: value(int64(4096)),
			}
			if diff := cmp.Diff(want, r.Read(pods[uidA])); diff != "" {
				t.Errorf("usage (-want +got):\n%s", diff)
			}
		})
	}
}

// What the kernel does not tell is not taken for nothing.
func TestWhatIsNotToldIsUnknown(t *testing.T) {
	tree := unified()
	for name := range tree {
		if strings.HasSuffix(name, "memory.peak") || strings.HasSuffix(name, "io.stat") {
			delete(tree, name)
		}
		if strings.HasSuffix(name, "memory.current") {
			tree[name] = "5000\n"
		}
		if strings.HasSuffix(name, "scope/cgroup.procs") {
			tree[name] = "70\n" // which is in the node's network
		}
	}
	r, _ := open(t, tree, processes)
	want := nodeusage.Usage{CPU: value(2500 * time.Millisecond), PeakMemory: value(int64(5000))}
	if diff := cmp.Diff(want, r.Read(r.Pods()[uidA])); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
}

// A folder that is no node's names the cure.
func TestAnythingButANodeIsRefused(t *testing.T) {
	empty := t.TempDir()
	if err := os.Mkdir(filepath.Join(empty, "memory"), 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := nodeusage.New(empty, "/proc"); err == nil || !strings.Contains(err.Error(), "mount the node's /sys/fs/cgroup there") {
		t.Errorf("no groups of Pods: %v", err)
	}
	if _, err := nodeusage.New(filepath.Join(empty, "none"), "/proc"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

// A Pod is told of once, when it is gone, with the most that was seen of it; one that
// was there before is not.
func TestPodsAreToldOfWhenTheyHaveEnded(t *testing.T) {
	r, root := open(t, divided(), processes)
	group := func(controller string) string {
		return filepath.Join(root, "cgroup", controller, "nested/kubepods/besteffort/pod0c0c0c0c-1111-4222-8333-444444444444")
	}
	set := func(cpu, peak string) {
		files{
			"cpuacct.usage": cpu,
		}.write(t, group("cpuacct"))
		files{"memory.max_usage_in_bytes": peak, "cgroup.procs": "71\n"}.write(t, group("memory"))
	}
	begin := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ticks := make(chan time.Time)
	var ended []nodeusage.Ended
	done := make(chan error)
	go func() {
		done <- r.Watch(ctx, ticks, func(e nodeusage.Ended) error { ended = append(ended, e); return nil })
	}()
	// A tick is taken only when the look before it is over, so that two of them make
	// one look complete; each thing that is changed is looked at once or twice.
	second := 0
	look := func() {
		for range 2 {
			ticks <- begin.Add(time.Duration(second) * time.Second)
			second++
		}
	}
	look()
	set("1000000000", "100")
	look()
	set("3000000000", "50") // the kernel's mark never falls, but the fallback's samples do
	look()
	if err := os.RemoveAll(filepath.Join(root, "cgroup/memory/nested/kubepods/pod"+uidB)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(group("memory")); err != nil {
		t.Fatal(err)
	}
	look()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(ended) != 1 {
		t.Fatalf("told of %d Pods, want the one that began and ended: %+v", len(ended), ended)
	}
	got := ended[0]
	if got.Since.Before(begin.Add(time.Second)) || got.Since.After(begin.Add(3*time.Second)) || got.Until.Before(begin.Add(4*time.Second)) || got.Until.After(begin.Add(6*time.Second)) {
		t.Errorf("seen from %s until %s", got.Since, got.Until)
	}
	want := nodeusage.Ended{
		UID: "0c0c0c0c-1111-4222-8333-444444444444", Since: got.Since, Until: got.Until,
		CPUSeconds: value(3.0), PeakMemoryBytes: value(int64(100)),
		ReceivedBytes: value(int64(1 << 20)), SentBytes: value(int64(4096)),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ended (-want +got):\n%s", diff)
	}
}

// A line that cannot be written ends the watch: figures that nobody gets are none.
func TestWatchEndsIfNobodyListens(t *testing.T) {
	r, root := open(t, divided())
	dir := filepath.Join(root, "cgroup/memory/nested/kubepods/pod0c0c0c0c-1111-4222-8333-444444444444")
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	ticks := make(chan time.Time)
	broken := errors.New("broken pipe")
	done := make(chan error)
	go func() { done <- r.Watch(t.Context(), ticks, func(nodeusage.Ended) error { return broken }) }()
	ticks <- time.Unix(1, 0)
	ticks <- time.Unix(2, 0)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case ticks <- time.Unix(3, 0):
			continue
		case err := <-done:
			if !errors.Is(err, broken) {
				t.Errorf("got %v", err)
			}
		}
		return
	}
}
