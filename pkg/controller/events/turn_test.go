package events

import (
	"net/http"
	"testing"

	"github.com/cdevents/sdk-go/pkg/api"
	v05 "github.com/cdevents/sdk-go/pkg/api/v05"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/running"
)

func testTurn(t *testing.T, from, to running.Standing) running.Turn {
	t.Helper()
	d, err := image.ParseDigest(testDigest)
	if err != nil {
		t.Fatal(err)
	}
	return running.Turn{
		Gate: "production", GateUID: "44444444-4444-4444-8444-444444444444", Digest: d,
		Place: running.Place{Pod: types.NamespacedName{Namespace: "shop", Name: "web-1"}, Image: "r.example:5000/shop/web:1@" + testDigest},
		From:  from, To: to, Message: "it failed: line\nbreak", At: at(5),
		Verdict: &v1alpha1.Verdict{At: metav1.NewTime(at(4))},
	}
}

// Every turn is a CDEvent by the SDK's own validation, with what Triggers filter on.
func TestATurnIsAValidCDEvent(t *testing.T) {
	for _, test := range []struct {
		from, to running.Standing
		kind     string
		outcome  any
	}{
		{running.Verified, running.Failed, v05.IncidentDetectedEventType.String(), "fail"},
		{running.Verified, running.Expired, v05.IncidentDetectedEventType.String(), nil},
		{running.Failed, running.Verified, v05.IncidentResolvedEventType.String(), "pass"},
	} {
		t.Run(test.to.String(), func(t *testing.T) {
			c, err := Turned(testTurn(t, test.from, test.to)).CloudEvent()
			if err != nil {
				t.Fatal(err)
			}
			read, err := v05.NewFromJsonBytes(c.Data())
			if err != nil {
				t.Fatalf("%v\n%s", err, c.Data())
			}
			if err := api.Validate(read); err != nil {
				t.Errorf("%v\n%s", err, c.Data())
			}
			got := map[string]any{}
			for _, name := range []string{AttributeGate, AttributeStanding, AttributeDigest, AttributeRepository} {
				got[name] = c.Extensions()[name]
			}
			want := map[string]any{
				AttributeGate: "production", AttributeStanding: test.to.String(), AttributeDigest: testDigest, AttributeRepository: "r.example:5000/shop/web",
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("attributes (-want +got):\n%s", diff)
			}
			if c.Type() != test.kind || c.Extensions()[AttributeOutcome] != test.outcome {
				t.Errorf("type %s, outcome %v; want %s, %v", c.Type(), c.Extensions()[AttributeOutcome], test.kind, test.outcome)
			}
		})
	}
}

// The same turn has one id, whoever notices it and when; another verdict is another turn.
func TestTheIDOfATurnComesFromTheVerdict(t *testing.T) {
	first := testTurn(t, running.Verified, running.Failed)
	later := first
	later.At, later.From = at(50), running.Expired
	another := first
	another.Verdict = &v1alpha1.Verdict{At: metav1.NewTime(at(9))}
	back := testTurn(t, running.Failed, running.Verified)
	id := func(t running.Turn) string { return Turned(t).event.Context.ID }
	if id(first) != id(later) {
		t.Errorf("%s became %s", id(first), id(later))
	}
	if id(first) == id(another) || id(first) == id(back) {
		t.Errorf("different turns share the id %s", id(first))
	}
}

// A sink that refuses an event for good gets it once; one that is down gets it again.
func TestATurnIsSentAgainOnlyWhereThatMayHelp(t *testing.T) {
	turn := testTurn(t, running.Verified, running.Failed)
	for _, test := range []struct {
		name        string
		status      int
		refused, up bool
	}{
		{"taken", http.StatusAccepted, false, true},
		{"down", http.StatusServiceUnavailable, false, false},
		{"refused", http.StatusBadRequest, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newTestEmitter(t, newSink(t, func(int) int { return test.status }).URL, "")
			refused, err := e.SendTurn(t.Context(), turn)
			if (refused != nil) != test.refused || (err == nil) != test.up {
				t.Errorf("refused %v, error %v", refused, err)
			}
		})
	}
	if refused, err := newTestEmitter(t, "", "").SendTurn(t.Context(), turn); refused != nil || err != nil {
		t.Errorf("without a sink: %v, %v", refused, err)
	}
}
