package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Property: kill -9 of the receiver or the controller between any two steps,
// after which it is started again and the event delivered again, gives one entry,
// one run and its verdict.
//
// Both are processes under their own accounts. The EventListener, what ends a
// PipelineRun, the ApiServerSource and the Broker are stand-ins.
func TestKillBetweenAnyTwoStepsGivesOneRun(t *testing.T) {
	// It is not parallel, but its subtests are: what takes longest goes first.
	broker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	t.Cleanup(broker.Close) // when the subtests have ended
	for _, test := range []struct {
		failpoint string
		recorded  int // entries when it is killed
	}{{"intake.decoded", 0}, {"intake.read", 0}, {"ledger.created", 1}, {"intake.recorded", 1}} {
		t.Run("receiver at "+test.failpoint, func(t *testing.T) {
			ownCluster(t)
			receiver, controller, source := killedPrograms(t, broker.URL)
			namespace, listener := verifiedNamespace(t)
			push(t, namespace+"/app:v1")
			crashing := receiver.start(t, test.failpoint)
			crashing.answering()
			if code, err := source.try(namespace, "app"); err == nil {
				t.Errorf("the event was answered %d, want a broken connection", code)
			}
			crashing.killed(func() {})
			if got := len(entriesOf(t, namespace)); got != test.recorded {
				t.Errorf("%d entries when the receiver is killed, want %d", got, test.recorded)
			}
			receiver.start(t, "")
			source.deliver(namespace, "app")
			// Only now, so that no sweep records what the event must.
			controller.start(t, "")
			verified(t, namespace)
			delivererFindsNothingNew(t, source, namespace)
			oneRun(t, namespace, listener)
		})
	}
	for _, failpoint := range []string{
		"verification.fire", "verification.fired", "verification.intent", "verification.confirmed",
		"verification.outcome", "verification.emitted",
	} {
		t.Run("controller at "+failpoint, func(t *testing.T) {
			ownCluster(t)
			receiver, controller, source := killedPrograms(t, broker.URL)
			namespace, listener := verifiedNamespace(t)
			push(t, namespace+"/app:v1")
			receiver.start(t, "").answering()
			source.deliver(namespace, "app")
			controller.start(t, failpoint).killed(func() { endRunning(t, namespace) })
			source.deliver(namespace, "app")
			controller.start(t, "")
			source.deliver(namespace, "app")
			verified(t, namespace)
			delivererFindsNothingNew(t, source, namespace)
			oneRun(t, namespace, listener)
		})
	}
}

// killedPrograms makes the programs that are killed, and who delivers events to the receiver.
func killedPrograms(t *testing.T, broker string) (receiver, controller program, source adapter) {
	t.Helper()
	dir, address := buildPrograms(t, "receiver", "controller"), freeAddress(t)
	receiver = newProgram(t, dir, "receiver", "--address", address, "--drain-delay", "0s")
	controller = newProgram(t, dir, "controller", "--health-address", "127.0.0.1:0", "--identity", "killed", "--event-sink", broker)
	return receiver, controller, adapter{t: t, address: address}
}

// endRunning ends the run of an entry that follows it.
func endRunning(t *testing.T, namespace string) {
	t.Helper()
	for _, e := range entriesOf(t, namespace) {
		if e.Status.Phase == v1alpha1.PhaseRunning {
			standInRuns(t, namespace, "pass", "class-"+namespace)
		}
	}
}

// verified waits until the namespace's one entry has passed and all is told.
func verified(t *testing.T, namespace string) {
	t.Helper()
	eventually(t, "the push has its verdict", func() error {
		endRunning(t, namespace)
		entries := entriesOf(t, namespace)
		if len(entries) != 1 {
			return fmt.Errorf("there are %d entries, want 1", len(entries))
		}
		s := entries[0].Status
		if s.Phase != v1alpha1.PhasePassed {
			return fmt.Errorf("it is %s/%s: %s", s.Phase, s.Reason, s.Message)
		}
		if len(s.Emitted) < 4 {
			return fmt.Errorf("told only of %v", s.Emitted)
		}
		return nil
	})
}

// delivererFindsNothingNew delivers an event once more: it must leave an entry
// that has its verdict as it is, or another run could follow.
func delivererFindsNothingNew(t *testing.T, source adapter, namespace string) {
	t.Helper()
	before := entriesOf(t, namespace)
	source.deliver(namespace, "app")
	if diff := cmp.Diff(before, entriesOf(t, namespace)); diff != "" {
		t.Errorf("the ledger after one more delivery (-before +after):\n%s", diff)
	}
}

// oneRun checks what was created for the namespace's one push.
func oneRun(t *testing.T, namespace string, listener *standInListener) {
	t.Helper()
	entries, runs := entriesOf(t, namespace), runsOf(t, namespace)
	if len(entries) != 1 || len(runs) != 1 {
		t.Fatalf("%d entries and %d PipelineRuns, want one of each", len(entries), len(runs))
	}
	s := entries[0].Status
	if s.Phase != v1alpha1.PhasePassed || s.RunCount != 1 || len(s.Runs) != 1 || s.Runs[0].Name != runs[0].Name {
		t.Errorf("phase %s, runCount %d, runs %+v; want Passed with the one run %q", s.Phase, s.RunCount, s.Runs, runs[0].Name)
	}
	listener.mu.Lock()
	defer listener.mu.Unlock()
	if _, asked := listener.requests[runs[0].Name]; !asked || len(listener.requests) != 1 {
		t.Errorf("the listener was asked for runs %v, want only %q", listener.requests, runs[0].Name)
	}
	t.Logf("requests by run: %v", listener.requests)
}
