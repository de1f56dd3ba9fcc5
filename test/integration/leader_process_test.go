package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
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

// leading waits until a process leads all entries and all triggers.
func leading(t *testing.T, identity string) {
	t.Helper()
	eventually(t, identity+" leads", func() error {
		var leases coordinationv1.LeaseList
		if err := admin(t).List(t.Context(), &leases, client.InNamespace(systemNamespace)); err != nil {
			return err
		}
		holders := map[string]string{}
		for _, l := range leases.Items {
			if strings.HasSuffix(l.Name, fmt.Sprintf("-of-%02d", buckets)) && l.Spec.HolderIdentity != nil {
				holders[l.Name] = *l.Spec.HolderIdentity
			}
		}
		for lease, holder := range holders {
			if holder != identity {
				return fmt.Errorf("%s is held by %q", lease, holder)
			}
		}
		if len(holders) != 2*buckets {
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

// blindNamespace makes a namespace whose sink is a plain URL: nobody can look into
// what it starts, so that a request must not be sent twice.
func blindNamespace(t *testing.T) (string, *standInListener) {
	t.Helper()
	for _, install := range []func() error{triggersKinds, pipelinesKinds} {
		if err := install(); err != nil {
			t.Fatal(err)
		}
	}
	namespace := newNamespace(t)
	stand := newStandInListener(t, namespace)
	setConfig(t, "config-sinks", map[string]string{
		"sinks.yaml": fmt.Sprintf("[{host: %q, namespaces: [%s]}]", strings.TrimPrefix(stand.server.URL, "http://"), namespace),
	})
	for _, o := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "default"}},
		&nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "class-" + namespace}, Handler: "runsc"},
		&v1alpha1.ImageTrigger{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "vet"},
			Spec: v1alpha1.ImageTriggerSpec{
				Images:        []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{}}},
				Sink:          v1alpha1.Sink{URI: stand.server.URL},
				Sandbox:       v1alpha1.Sandbox{RuntimeClassName: "class-" + namespace},
				MaxConcurrent: 1000,
			},
		},
	} {
		if err := admin(t).Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	mayGet(t, namespace)
	return namespace, stand
}

// counted returns the requests that a stand-in took, by run.
func (l *standInListener) counted() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.requests)
}

// fleet is several receivers, by which pushes are told in turn, and two
// namespaces: one whose runs can be confirmed, and one whose cannot.
type fleet struct {
	t          *testing.T
	addresses  []string
	clear      string
	blind      string
	clearStand *standInListener
	blindStand *standInListener
	pushed     int
}

func newFleet(t *testing.T, dir string, receivers int) *fleet {
	t.Helper()
	f := &fleet{t: t}
	f.clear, f.clearStand = verifiedNamespace(t)
	f.blind, f.blindStand = blindNamespace(t)
	for range receivers {
		address := freeAddress(t)
		newProgram(t, dir, "receiver", "--address", address, "--drain-delay", "0s").start(t, "").answering(address)
		f.addresses = append(f.addresses, address)
	}
	return f
}

// push pushes a number of images to each namespace; the receivers hear of them in turn.
func (f *fleet) push(number int) {
	f.t.Helper()
	for range number {
		stream := fmt.Sprintf("app%d", f.pushed)
		source := adapter{t: f.t, address: f.addresses[f.pushed%len(f.addresses)]}
		for _, namespace := range []string{f.clear, f.blind} {
			push(f.t, namespace+"/"+stream+":v1")
			source.deliver(namespace, stream)
		}
		f.pushed++
	}
}

// once checks that every push has one entry and one run, and that nothing was
// asked for twice that must not be. A request that its process did not come to
// send ends visibly where it cannot be known whether it was sent.
func (f *fleet) once() {
	f.t.Helper()
	inPhase(f.t, f.clear, f.pushed, v1alpha1.PhaseRunning)
	oneRunEach(f.t, f.clear)
	eventually(f.t, "every entry of the blind sink is decided", func() error {
		entries := entriesOf(f.t, f.blind)
		for _, e := range entries {
			if s := e.Status; s.Phase != v1alpha1.PhaseRunning && s.Reason != "Unconfirmed" {
				return fmt.Errorf("%s is %s/%s: %s", e.Name, s.Phase, s.Reason, s.Message)
			}
		}
		if len(entries) != f.pushed {
			return fmt.Errorf("there are %d entries", len(entries))
		}
		return nil
	})
	requests, unconfirmed := f.blindStand.counted(), 0
	for _, e := range entriesOf(f.t, f.blind) {
		if e.Status.RunCount != 1 {
			f.t.Errorf("entry %s of the blind sink has %d runs", e.Name, e.Status.RunCount)
		}
		if e.Status.Reason == "Unconfirmed" {
			unconfirmed++
		}
	}
	for run, n := range requests {
		if n != 1 {
			f.t.Errorf("the blind sink was asked %d times for run %s", n, run)
		}
	}
	if len(requests)+unconfirmed < f.pushed || len(requests) > f.pushed {
		f.t.Errorf("the blind sink was asked for %d runs, and %d are unconfirmed, of %d", len(requests), unconfirmed, f.pushed)
	}
	f.t.Logf("%d pushes each; requests where they may be repeated %v; where they may not: %d for %d runs, %d unconfirmed",
		f.pushed, f.clearStand.counted(), sum(requests), len(requests), unconfirmed)
}

func sum(counts map[string]int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

// Property: with several receivers and controllers, a leader that stands still
// while pushes go on, and goes on after another took over, makes no run twice and
// loses none.
func TestALeaderThatStandsStillMakesNoRunTwice(t *testing.T) {
	shortElection(t)
	dir := buildPrograms(t, "receiver", "controller")
	f := newFleet(t, dir, 3)
	first := startLeader(t, newProgram(t, dir, "controller", "--address", "127.0.0.1:0", "--identity", "first"), "")
	leading(t, "first")
	newProgram(t, dir, "controller", "--address", "127.0.0.1:0", "--identity", "second").start(t, "")
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

// Property: a leader that stands still between its look at the lease and its
// request, and goes on after another took over, does not send that request.
func TestALeaderThatStandsStillBeforeItsRequestDoesNotSendIt(t *testing.T) {
	shortElection(t)
	dir := buildPrograms(t, "receiver", "controller")
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
			namespace, stand := test.namespace(t)
			address := freeAddress(t)
			newProgram(t, dir, "receiver", "--address", address, "--drain-delay", "0s").start(t, "").answering(address)
			first := startLeader(t, newProgram(t, dir, "controller", "--address", "127.0.0.1:0", "--identity", "first"), "verification.fire:stop")
			leading(t, "first")
			push(t, namespace+"/app:v1")
			adapter{t: t, address: address}.deliver(namespace, "app")
			first.stopped()
			newProgram(t, dir, "controller", "--address", "127.0.0.1:0", "--identity", "second").start(t, "")
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
	shortElection(t)
	dir := buildPrograms(t, "receiver", "controller")
	f := newFleet(t, dir, 2)
	network := newGate(t, strings.TrimPrefix(shared.RESTConfig().Host, "https://"))
	newProgramAt(t, dir, "controller", "https://"+network.address(), "--address", "127.0.0.1:0", "--identity", "first").start(t, "")
	leading(t, "first")
	newProgram(t, dir, "controller", "--address", "127.0.0.1:0", "--identity", "second").start(t, "")
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
