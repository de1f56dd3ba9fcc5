package imagegate

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/kube"
)

// leading holds every lease.
type leading struct{}

func (leading) Hold(ctx context.Context, _ types.NamespacedName) (context.Context, func(), bool) {
	return ctx, func() {}, true
}

// restingPage is the object of 10,000 digests, 900 KB, as it was written at noon.
type restingPage struct {
	t        *testing.T
	r        *Reconciler
	gate     *v1alpha1.ImageGate
	state    *state
	division *division
}

const restingDigests = 10_000

func newRestingPage(t *testing.T, rate int64) *restingPage {
	t.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	g := &v1alpha1.ImageGate{ObjectMeta: metav1.ObjectMeta{Name: "g", UID: "u"}}
	rules, err := gate.RulesOf(g)
	if err != nil {
		t.Fatal(err)
	}
	b := &restingPage{t: t, gate: g, state: newState(g), division: newDivision(gate.OneShard, g.Name)}
	b.r = &Reconciler{
		Options: Options{
			Live: fake.NewClientBuilder().WithScheme(scheme).Build(), Lease: leading{}, SystemNamespace: "revet-system",
			Limits: gate.LimitsOf(gate.DefaultSplit),
		},
		budget: gate.NewBudget(rate, gate.DefaultBudgetWindow, noon), entries: newEntries(), states: map[string]*state{},
	}
	b.state.desired = gate.NewDesired(rules)
	b.state.setRules(rules, nil)
	b.state.divisions[gate.OneShard] = b.division
	for i := range restingDigests {
		b.conclude(i, gate.Verified, noon)
	}
	if !b.write(noon, gate.Addition) {
		t.Fatal("an object that is not there is not written at once")
	}
	return b
}

func (b *restingPage) conclude(n int, s gate.Standing, now time.Time) {
	hex := fmt.Sprintf("%064x", n)
	b.state.desired.Conclude(hex, gate.Finding{Standing: s, At: now})
	b.state.look(hex, now)
}

// write tries to write the page, and reports whether it did. If not, another try is asked for.
func (b *restingPage) write(now time.Time, u gate.Urgency) bool {
	b.t.Helper()
	p := &pass{Reconciler: b.r, gate: b.gate, state: b.state, now: now}
	pg := b.division.pages[0]
	due := pg.Due(b.state.desired, now, nil)
	before := pg.meta
	if err := p.write(b.t.Context(), job{b.division, pg, gate.Due{Urgency: u, Since: due.Since}}); err != nil {
		b.t.Fatal(err)
	}
	if pg.meta == before && p.wake <= 0 {
		b.t.Error("nothing is written, nor another look asked for")
	}
	return pg.meta != before
}

// Property: a large object that changes all the time is not written each second, or its gate's
// objects use up the budget and then wait for minutes. One that failed does not wait for long.
func TestALargeObjectRests(t *testing.T) {
	const usual, least = gate.DefaultBudgetRate, 64 << 10
	for _, row := range []struct {
		name    string
		rate    int64
		urgency gate.Urgency
		after   time.Duration
		written bool
	}{
		{"an addition while the object rests", usual, gate.Addition, 3300 * time.Millisecond, false},
		{"an addition after that", usual, gate.Addition, 3600 * time.Millisecond, true},
		{"a failure while the object rests", usual, gate.Revocation, 3300 * time.Millisecond, false},
		{"a failure after that", usual, gate.Revocation, 3600 * time.Millisecond, true},
		{"an addition with the least rate", least, gate.Addition, 27 * time.Second, false},
		{"a failure with the least rate", least, gate.Revocation, 10 * time.Second, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newRestingPage(t, row.rate)
			changed := noon.Add(time.Second)
			if row.urgency == gate.Addition {
				b.conclude(restingDigests, gate.Verified, changed)
			} else {
				b.conclude(0, gate.Failed, changed)
			}
			if got := b.write(noon.Add(row.after), row.urgency); got != row.written {
				t.Errorf("%s later it is written: %v, want %v", row.after, got, row.written)
			}
		})
	}
}

// Property: an object that rested long ago is written as soon as changes are gathered.
func TestNoRestWhileIdle(t *testing.T) {
	b := newRestingPage(t, gate.DefaultBudgetRate)
	now := noon.Add(time.Minute)
	b.conclude(0, gate.Failed, now)
	if b.write(now.Add(coalesceRevocations-time.Millisecond), gate.Revocation) {
		t.Error("a failure is written before others are gathered")
	}
	if !b.write(now.Add(coalesceRevocations), gate.Revocation) {
		t.Error("a failure waits")
	}
}
