package integration

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// blindNamespace makes a namespace whose sink is a plain URL: nobody can look into
// what it starts, so that a request must not be sent twice.
func blindNamespace(t *testing.T) (string, *standInListener) {
	t.Helper()
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
		newProgram(t, dir, "receiver", "--address", address, "--drain-delay", "0s").start(t, "").answering()
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
