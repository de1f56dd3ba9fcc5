//go:build e2e

package e2e

import (
	"context"
	"os/exec"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/test/cluster/node"
)

// TestAKilledProcessLeavesNothing kills one process of a cluster with SIGKILL,
// at a moment that the appearance of another process marks.
func TestAKilledProcessLeavesNothing(t *testing.T) {
	o := options(t)
	dir, err := node.StateDir(o)
	if err != nil {
		t.Fatal(err)
	}
	before := look(t)
	for _, row := range []struct{ name, moment, victim string }{
		{"the supervisor as soon as it is there", "role supervisor", "role supervisor"},
		{"the supervisor when the janitor is there", "role janitor", "role supervisor"},
		{"the supervisor when process 1 is there", "role init", "role supervisor"},
		{"the supervisor when the agent is there", "role agent", "role supervisor"},
		{"the supervisor when containerd is there", "containerd --config", "role supervisor"},
		{"the supervisor when the kubelet is there", "kube kubelet", "role supervisor"},
		{"the janitor as soon as it is there", "role janitor", "role janitor"},
		{"the janitor when the kubelet is there", "kube kubelet", "role janitor"},
		{"process 1 as soon as it is there", "role init", "role init"},
		{"process 1 when the kubelet is there", "kube kubelet", "role init"},
		{"the agent when the API server is there", "kube kube-apiserver", "role agent"},
	} {
		t.Run("while it starts: "+row.name, func(t *testing.T) {
			ended := make(chan error, 1)
			go func() {
				_, err := node.Up(t.Context(), o)
				ended <- err
			}()
			kill(t, dir, row.moment, row.victim, ended)
			if err := <-ended; err == nil {
				t.Error("up reported a cluster that was killed")
			}
			gone(t, o, dir, before)
		})
	}
	for _, victim := range []string{"role supervisor", "role janitor", "role init", "role agent"} {
		t.Run("with a Pod of each runtime: "+victim, func(t *testing.T) {
			info := up(t, o)
			runServers(t, info)
			kill(t, dir, victim, victim, nil)
			gone(t, o, dir, before)
		})
	}
	t.Run("and the next one just works", func(t *testing.T) {
		up(t, o)
		down(t, o)
		gone(t, o, dir, before)
	})
}

// TestAComponentThatDiesIsStartedAgain keeps the cluster for the sake of tests
// that kill parts of it.
func TestAComponentThatDiesIsStartedAgain(t *testing.T) {
	o := options(t)
	dir, err := node.StateDir(o)
	if err != nil {
		t.Fatal(err)
	}
	before := look(t)
	info := up(t, o)
	c := client(t, info)
	create(t, c)
	pushProbe(t, info, namespace+"/probe:1")
	for _, component := range []string{"kube kube-apiserver", "kube etcd", "kube kubelet", "containerd --config", "cluster registry", "kube coredns", "kube kube-proxy"} {
		kill(t, dir, component, component, nil)
	}
	eventually(t, podTimeout, func() error {
		_, err := c.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
		return err
	})
	if output := runPod(t, c, "kata", info.RegistryInCluster+"/"+namespace+"/probe:1", "lookup", "kubernetes.default.svc.cluster.local"); output != "[10.96.0.1]\n" {
		t.Errorf("after all components were killed: %q", output)
	}
	down(t, o)
	gone(t, o, dir, before)
}

// TestAnInterruptedStartLeavesNothing cancels Up, as Ctrl-C does.
func TestAnInterruptedStartLeavesNothing(t *testing.T) {
	o := options(t)
	dir, err := node.StateDir(o)
	if err != nil {
		t.Fatal(err)
	}
	before := look(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := node.Up(ctx, o)
		ended <- err
	}()
	eventually(t, upTimeout, func() error { return present(dir, "kube kubelet") })
	cancel()
	if err := <-ended; err == nil {
		t.Error("up reported a cluster although it was interrupted")
	}
	gone(t, o, dir, before)
}

// TestAKilledUpLeavesNothing kills the command that starts a cluster, which
// cannot clean up then.
func TestAKilledUpLeavesNothing(t *testing.T) {
	o := options(t)
	dir, err := node.StateDir(o)
	if err != nil {
		t.Fatal(err)
	}
	before := look(t)
	cmd := exec.CommandContext(t.Context(), command, "up", "--name", clusterName, "--fresh-registry")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, upTimeout, func() error { return present(dir, "kube kubelet") })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	gone(t, o, dir, before)
}

// runServers runs a Pod in each runtime, so that there are containers, mounts
// and cgroups to leave behind.
func runServers(t *testing.T, info *node.Info) {
	t.Helper()
	c := client(t, info)
	create(t, c)
	pushProbe(t, info, namespace+"/probe:1")
	image := info.RegistryInCluster + "/" + namespace + "/probe:1"
	for name, class := range map[string]string{"plain": "", "sandboxed": "kata"} {
		server := pod(name, class, image, "serve", ":8080")
		if _, err := c.CoreV1().Pods(namespace).Create(t.Context(), server, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, podTimeout, func() error { return phase(t.Context(), c, name, corev1.PodRunning) })
	}
}
