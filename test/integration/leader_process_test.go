package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// buckets are how many leases the keys of a kind are spread over.
const buckets = 3

// shortElection makes another process lead six seconds after one was stopped.
func shortElection(t *testing.T) {
	t.Helper()
	setConfig(t, "config-leader-election", map[string]string{
		"buckets": fmt.Sprint(buckets), "lease-duration": "6s", "renew-deadline": "4s", "retry-period": "500ms",
	})
}

// setConfig sets one of Revet's ConfigMaps until the test ends.
func setConfig(t *testing.T, name string, data map[string]string) {
	t.Helper()
	c := admin(t)
	set := func(data map[string]string) (before map[string]string, err error) {
		err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
			var m corev1.ConfigMap
			if err := c.Get(t.Context(), client.ObjectKey{Namespace: systemNamespace, Name: name}, &m); err != nil {
				return err
			}
			before, m.Data = m.Data, data
			return c.Update(t.Context(), &m)
		})
		return before, err
	}
	before, err := set(data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		var m corev1.ConfigMap
		m.Namespace, m.Name, m.Data = systemNamespace, name, before
		if err := c.Update(context.Background(), &m); err != nil {
			t.Error(err)
		}
	})
}

// holdersOf returns who holds each lease.
func holdersOf(t *testing.T) (map[string]string, error) {
	t.Helper()
	var leases coordinationv1.LeaseList
	if err := admin(t).List(t.Context(), &leases, client.InNamespace(systemNamespace)); err != nil {
		return nil, err
	}
	holders := map[string]string{}
	for _, l := range leases.Items {
		if strings.HasSuffix(l.Name, fmt.Sprintf("-of-%02d", buckets)) && l.Spec.HolderIdentity != nil {
			holders[l.Name] = *l.Spec.HolderIdentity
		}
	}
	return holders, nil
}

// leading waits until a process leads all entries, triggers and gates.
func leading(t *testing.T, identity string) {
	t.Helper()
	eventually(t, identity+" leads", func() error {
		holders, err := holdersOf(t)
		if err != nil {
			return err
		}
		for lease, holder := range holders {
			if holder != identity {
				return fmt.Errorf("%s is held by %q", lease, holder)
			}
		}
		if len(holders) != 3*buckets {
			return fmt.Errorf("there are leases %v", holders)
		}
		return nil
	})
}

// signal sends a signal to the process.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.command.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// stopped waits until the process stands still.
func (p *process) stopped() {
	p.t.Helper()
	eventually(p.t, "the "+p.program.name+" stands still", func() error {
		stat, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(p.command.Process.Pid), "stat"))
		if err != nil {
			return err
		}
		// pid (name) state ...
		if _, after, _ := strings.Cut(string(stat), ") "); !strings.HasPrefix(after, "T") {
			return fmt.Errorf("its state is %.1s", after)
		}
		return nil
	})
}

// logged waits until the process logged a message.
func (p *process) logged(message string) {
	p.t.Helper()
	eventually(p.t, "the "+p.program.name+" logs "+message, func() error {
		content, err := os.ReadFile(p.log)
		if err == nil && !strings.Contains(string(content), message) {
			err = errors.New("it did not")
		}
		return err
	})
}

// startLeader starts a controller that leads everything. It goes on before the
// test ends, as what stands still cannot be stopped.
func startLeader(t *testing.T, p program, failpoint string) *process {
	t.Helper()
	started := p.start(t, failpoint)
	t.Cleanup(func() { _ = started.command.Process.Signal(syscall.SIGCONT) })
	return started
}

// Property: with several receivers and controllers, a leader that stands still
// while pushes go on, and goes on after another took over, makes no run twice and
// loses none.
func TestALeaderThatStandsStillMakesNoRunTwice(t *testing.T) {
	ownCluster(t)
	shortElection(t)
	dir := buildPrograms(t, "receiver", "controller")
	f := newFleet(t, dir, 3)
	first := startLeader(t, newProgram(t, dir, "controller", "--health-address", "127.0.0.1:0", "--identity", "first"), "")
	leading(t, "first")
	newProgram(t, dir, "controller", "--health-address", "127.0.0.1:0", "--identity", "second").start(t, "")
	f.push(4)
	first.signal(syscall.SIGSTOP)
	f.push(4)
	leading(t, "second")
	f.push(2)
	first.signal(syscall.SIGCONT)
	f.push(4)
	f.once()
	leading(t, "second")
}

// reserve gives a bucket of entries to a controller that is about to start.
func reserve(t *testing.T, bucket int, identity string) {
	t.Helper()
	c := admin(t)
	at := client.ObjectKey{Namespace: systemNamespace, Name: fmt.Sprintf("controller.imageverification.%02d-of-%02d", bucket, buckets)}
	seconds, now := int32(6), metav1.NowMicro()
	spec := coordinationv1.LeaseSpec{HolderIdentity: &identity, LeaseDurationSeconds: &seconds, AcquireTime: &now, RenewTime: &now}
	var lease coordinationv1.Lease
	err := c.Get(t.Context(), at, &lease)
	switch {
	case apierrors.IsNotFound(err):
		err = c.Create(t.Context(), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: at.Namespace, Name: at.Name}, Spec: spec})
	case err == nil:
		lease.Spec = spec
		err = c.Update(t.Context(), &lease)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Property: where several controllers lead a part each, every entry is worked on,
// and on one by one only.
func TestControllersThatShareTheBucketsLeaveNothingOut(t *testing.T) {
	ownCluster(t)
	shortElection(t)
	dir := buildPrograms(t, "receiver", "controller")
	f := newFleet(t, dir, 1)
	identities := []string{"first", "second", "third"}
	for bucket, identity := range identities {
		reserve(t, bucket, identity)
	}
	for _, identity := range identities {
		newProgram(t, dir, "controller", "--health-address", "127.0.0.1:0", "--identity", identity).start(t, "")
	}
	f.push(12)
	f.once()
	eventually(t, "each leads a part", func() error {
		holders, err := holdersOf(t)
		if err != nil {
			return err
		}
		for bucket, identity := range identities {
			if got := holders[fmt.Sprintf("controller.imageverification.%02d-of-%02d", bucket, buckets)]; got != identity {
				return fmt.Errorf("bucket %d is led by %q, not %q", bucket, got, identity)
			}
		}
		return nil
	})
}

// Property: a leader that stands still between its look at the lease and its
// request, and goes on after another took over, does not send that request.
func TestALeaderThatStandsStillBeforeItsRequestDoesNotSendIt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		namespace func(*testing.T) (string, *standInListener)
		phase     v1alpha1.Phase
		requests  int
	}{
		{"where a request may be repeated, it is", verifiedNamespace, v1alpha1.PhaseRunning, 1},
		{"where it may not, the entry says that it is not known", blindNamespace, v1alpha1.PhaseError, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			ownCluster(t)
			shortElection(t)
			dir := buildPrograms(t, "receiver", "controller")
			namespace, stand := test.namespace(t)
			address := freeAddress(t)
			newProgram(t, dir, "receiver", "--address", address, "--drain-delay", "0s").start(t, "").answering()
			first := startLeader(t, newProgram(t, dir, "controller", "--health-address", "127.0.0.1:0", "--identity", "first"), "verification.fire:stop")
			leading(t, "first")
			push(t, namespace+"/app:v1")
			adapter{t: t, address: address}.deliver(namespace, "app")
			first.stopped()
			newProgram(t, dir, "controller", "--health-address", "127.0.0.1:0", "--identity", "second").start(t, "")
			leading(t, "second")
			inPhase(t, namespace, 1, test.phase)
			first.signal(syscall.SIGCONT)
			first.logged("the sink did not take the request")
			if got := sum(stand.counted()); got != test.requests {
				t.Errorf("the sink was asked %d times, want %d", got, test.requests)
			}
			inPhase(t, namespace, 1, test.phase)
			leading(t, "second")
		})
	}
}

// Property: a leader that alone does not reach the API server, and reaches it
// again after another took over, makes no run twice, loses none, and leaves the
// other the lead.
func TestALeaderThatIsCutOffMakesNoRunTwice(t *testing.T) {
	ownCluster(t)
	shortElection(t)
	dir := buildPrograms(t, "receiver", "controller")
	f := newFleet(t, dir, 2)
	network := newGate(t, strings.TrimPrefix(clusterOf(t).RESTConfig().Host, "https://"))
	newProgramAt(t, dir, "controller", "https://"+network.address(), "--health-address", "127.0.0.1:0", "--identity", "first").start(t, "")
	leading(t, "first")
	newProgram(t, dir, "controller", "--health-address", "127.0.0.1:0", "--identity", "second").start(t, "")
	f.push(4)
	network.cut()
	f.push(4)
	leading(t, "second")
	f.push(2)
	network.heal()
	f.push(4)
	f.once()
	leading(t, "second")
}
