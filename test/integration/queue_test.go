package integration

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/app"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// Property: the queue is the ledger. Whatever becomes of the controllers, no push
// that waits is lost or run twice, and the bound of all triggers holds.
func TestControllersAreOutlivedByTheQueue(t *testing.T) {
	ownCluster(t)
	const number, most = 9, 2
	namespace, _ := verifiedNamespace(t)
	bound := most + underWay(t) // what other tests left counts too
	metrics := freeAddress(t)
	start := func(identity, metrics string) (stop func()) {
		return startController(t, identity, func(o *app.ControllerOptions) { o.MaxConcurrent, o.MetricsAddress = bound, metrics })
	}
	r := receiver(t)
	for i := range number {
		stream := fmt.Sprintf("app%d", i)
		push(t, namespace+"/"+stream+":v1")
		if code, body := send(t, r, streamNamed(t, namespace, stream)); code != http.StatusAccepted {
			t.Fatalf("the receiver answered %d %s", code, body)
		}
	}
	stop := start("one", metrics)
	next := 2 * most // when a controller is stopped, by the runs that have ended
	for ended := 0; ended < number; {
		eventually(t, "the next runs are under way", func() error {
			open := 0
			for _, pr := range runsOf(t, namespace) {
				if pr.Status.CompletionTime == nil {
					open++
				}
			}
			// What other tests left may end meanwhile, and make room for more than most.
			if all := underWay(t); all > bound {
				t.Fatalf("%d runs under way, want at most %d", all, bound)
			}
			if want := min(most, number-ended); open < want {
				return fmt.Errorf("%d are, want %d", open, want)
			}
			return nil
		})
		switch {
		case ended >= next && next == 2*most:
			queueIsMeasured(t, metrics, namespace)
			stop()
			stop = start("two", "")
			next = 3 * most
		case ended >= next && next == 3*most:
			stop()
			stop = start("one", "") // as a container is that was killed
			next = number
		}
		standInRuns(t, namespace, "pass", "class-"+namespace)
		ended = 0
		for _, pr := range runsOf(t, namespace) {
			if pr.Status.CompletionTime != nil {
				ended++
			}
		}
	}
	inPhase(t, namespace, number, v1alpha1.PhasePassed)
	oneRunEach(t, namespace)
}

// underWay counts the entries of the cluster whose run the bound of all triggers
// counts: those of which none appears, for a reason that is known, give their place to
// others. Some of what other tests left comes to that while this one goes on.
func underWay(t *testing.T) int {
	t.Helper()
	var all v1alpha1.ImageVerificationList
	if err := admin(t).List(t.Context(), &all, client.InNamespace("")); err != nil {
		t.Fatal(err)
	}
	n := 0
	for i := range all.Items {
		s := &all.Items[i].Status
		if run := s.CurrentRun(); run != nil && (run.ConfirmedAt != nil || run.Attempts == 0 || lifecycle.Reason(s.Reason) == lifecycle.Requested) {
			n++
		}
	}
	return n
}

// queueIsMeasured checks the names under which Prometheus gets the numbers.
func queueIsMeasured(t *testing.T, address, namespace string) {
	t.Helper()
	resp, err := http.Get("http://" + address + "/metrics") //nolint:noctx // a probe of this process
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"revet_requests_total", "revet_runs_total", "revet_confirm_seconds_count", "revet_push_to_fire_seconds_count",
		"revet_push_to_confirm_seconds_count", "revet_push_to_verdict_seconds_count", "revet_pushed_to_run_seconds_count",
		"revet_pushed_to_verdict_seconds_count", "revet_queue_length", "revet_queue_oldest_seconds", "revet_runs_under_way", "revet_entries",
	} {
		found := false
		for line := range strings.Lines(string(body)) {
			found = found || strings.HasPrefix(line, want+"{")
		}
		if !found {
			t.Errorf("there is no %s", want)
		}
	}
	if of := fmt.Sprintf("namespace=%q", namespace); !strings.Contains(string(body), of) {
		t.Errorf("nothing is measured of %s", of)
	}
}
