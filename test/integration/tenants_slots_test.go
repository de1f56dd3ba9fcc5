package integration

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/app"
)

// Property: a namespace whose runs never end, with room for a thousand, leaves slots to others:
// another one's push has its run, though none of theirs ends.
func TestANamespaceDoesNotTakeTheSlotsOfAll(t *testing.T) {
	ownCluster(t)
	const pushes, share = 12, 4
	hostile, _ := verifiedNamespace(t)
	victim, _ := verifiedNamespace(t)
	left := underWay(t) // what other tests left counts too
	startController(t, "one", func(o *app.ControllerOptions) {
		o.MaxConcurrent, o.Reserve = share+1+left, 1+left
	})
	r := receiver(t)
	pushed := func(namespace, stream string) {
		push(t, namespace+"/"+stream+":v1")
		if code, body := send(t, r, streamNamed(t, namespace, stream)); code != http.StatusAccepted {
			t.Fatalf("the receiver answered %d %s", code, body)
		}
	}
	for n := range pushes {
		pushed(hostile, fmt.Sprintf("app%d", n))
	}
	eventually(t, "the namespace has its share", func() error {
		if entries, running := len(entriesOf(t, hostile)), len(runsOf(t, hostile)); entries < pushes || running < share {
			return fmt.Errorf("there are %d entries and %d runs", entries, running)
		}
		return nil
	})
	pushed(victim, "web")
	inPhase(t, victim, 1, v1alpha1.PhaseRunning)
	if running := len(runsOf(t, hostile)); running != share {
		t.Errorf("%d runs of one namespace are under way, want %d", running, share)
	}
}
